//! Reads what the scripts answer.

use redis::Value;

use crate::entry::EntryId;
use crate::log::{Mark, Numbers, Read, View};
use crate::print::Print;

/// What opening found.
#[derive(Debug)]
pub(crate) enum Opened {
    /// There is no stream.
    Missing,
    At(Box<Start>),
}

/// Where a session begins.
#[derive(Debug)]
pub(crate) struct Start {
    /// What the position stood for is gone, and nobody has committed since.
    pub(crate) lost: bool,
    /// By which the group knows its stream; empty for an observer.
    pub(crate) token: String,
    /// Whether the position was committed, and is not a start.
    pub(crate) committed: bool,
    pub(crate) mark: Mark,
    pub(crate) numbers: Numbers,
}

/// `None`: no answer that the script gives.
pub(crate) fn opened(answer: Value) -> Option<Opened> {
    let mut answer = Parts::new(answer)?;
    match &*answer.text()? {
        "missing" => return Some(Opened::Missing),
        "found" => {}
        _ => return None,
    }
    let token = answer.text()?;
    let state = answer.text()?;
    let id = answer.id()??;
    let (read, behind) = (answer.integer()?, answer.integer()?);
    let numbers = answer.numbers()?;
    let read = match (u64::try_from(read), usize::try_from(behind)) {
        (Ok(read), _) => read,
        // Somebody set the position by hand and not the count. Everything up to the last entry is counted then.
        (_, Ok(behind)) if behind < 100 => numbers.added.saturating_sub(behind as u64),
        _ => numbers.added.saturating_sub(numbers.length),
    };
    let noted = answer.id()?;
    // Empty where nothing is noted; what cannot be read is as good as that: only the identifiers are compared then.
    let print = answer.text()?.parse().ok();
    let there = answer.there()?;
    let noted = noted.map(|id| Mark { id, read: 0, print });
    // Nobody commits without a count.
    let committed = state == "committed" && behind < 0;
    // Also of a position that an earlier version moved on from there. One that was set by hand stands for nothing that was read.
    let another = committed && noted.as_ref().is_some_and(|noted| numbers.is_another_log(noted, there));
    let at_noted = noted.filter(|noted| committed && noted.id == id);
    let (print, there) = at_noted.map_or((None, None), |noted| (noted.print, there));
    let mark = Mark { id, read, print };
    let lost = state == "lost" || another || numbers.lost_behind(&mark, there);
    Some(Opened::At(Box::new(Start { lost, token, committed, mark, numbers })))
}

/// What a look at the stream found.
#[derive(Debug)]
pub(crate) enum Looked {
    /// There is no stream.
    Missing,
    /// The server knows a younger connection of the sink.
    Stale,
    /// The stream, and what stands at the place in question.
    View(View, Option<Print>),
}

/// `None`: no answer that the script gives.
pub(crate) fn looked(answer: Value) -> Option<Looked> {
    let mut answer = Parts::new(answer)?;
    match &*answer.text()? {
        "missing" => return Some(Looked::Missing),
        "stale" => return Some(Looked::Stale),
        "found" => {}
        _ => return None,
    }
    let token = answer.text()?;
    let numbers = answer.numbers()?;
    Some(Looked::View(View { token, numbers }, answer.there()?))
}

/// The token by which a group knows its stream, from what the hash holds for it; empty when it holds nothing.
fn token(held: Value) -> Option<String> {
    match held {
        Value::Nil => Some(String::new()),
        held => text(held)?.split(' ').next().map(str::to_owned),
    }
}

/// The stream as `XINFO STREAM` describes it, and what was read of it: the last of these answers. Before them, for a group, come
/// what the hash holds for it, and an answer that says no more than that the group is there.
pub(crate) fn view_and_entries(answers: Vec<Value>, of_group: bool) -> Option<(View, Read)> {
    let mut answers = Parts(answers.into_iter());
    let mut known_by = String::new();
    if of_group {
        known_by = token(answers.0.next()?)?;
        answers.array()?;
    }
    let numbers = described(answers.array()?)?;
    let entries = answers.array()?.into_iter().map(entry).collect::<Option<_>>()?;
    Some((View { token: known_by, numbers }, entries))
}

/// Names and values in turn.
fn described(info: Vec<Value>) -> Option<Numbers> {
    let mut numbers = Numbers::default();
    let mut info = info.into_iter();
    let mut found = 0;
    while let (Some(name), Some(value)) = (info.next(), info.next()) {
        found += 1;
        match &*text(name)? {
            "length" => numbers.length = count(value)?,
            "entries-added" => numbers.added = count(value)?,
            "last-generated-id" => numbers.last = text(value)?.parse().ok()?,
            "max-deleted-entry-id" => numbers.deleted = text(value)?.parse().ok()?,
            "first-entry" => numbers.first = end(value)?,
            "last-entry" => numbers.tail = end(value)?,
            _ => found -= 1,
        }
    }
    (found == 6).then_some(numbers)
}

fn count(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// The identifier of an entry, where there is one.
fn end(value: Value) -> Option<Option<EntryId>> {
    match value {
        Value::Nil => Some(None),
        value => entry(value).map(|(id, _)| Some(id)),
    }
}

fn entry(value: Value) -> Option<(EntryId, Vec<Value>)> {
    let mut parts = Parts::new(value)?;
    Some((parts.id()??, parts.array()?))
}

/// The elements of an array, one after another.
struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    fn new(value: Value) -> Option<Self> {
        match value {
            Value::Array(parts) => Some(Self(parts.into_iter())),
            // With RESP3, names and values are a map.
            Value::Map(pairs) => {
                let parts: Vec<Value> = pairs.into_iter().flat_map(|(name, value)| [name, value]).collect();
                Some(Self(parts.into_iter()))
            }
            _ => None,
        }
    }

    fn array(&mut self) -> Option<Vec<Value>> {
        Some(Self::new(self.0.next()?)?.0.collect())
    }

    fn text(&mut self) -> Option<String> {
        text(self.0.next()?)
    }

    fn integer(&mut self) -> Option<i64> {
        match self.0.next()? {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// An identifier, or empty text for none.
    fn id(&mut self) -> Option<Option<EntryId>> {
        let text = self.text()?;
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    }

    fn numbers(&mut self) -> Option<Numbers> {
        let added = u64::try_from(self.integer()?).ok()?;
        let length = u64::try_from(self.integer()?).ok()?;
        let (first, tail, last, deleted) = (self.id()?, self.id()?, self.id()??, self.id()??);
        Some(Numbers { added, length, first, tail, last, deleted })
    }

    /// What stands at a place: an array of one entry, or of none.
    fn there(&mut self) -> Option<Option<Print>> {
        match self.array()?.into_iter().next() {
            None => Some(None),
            Some(found) => entry(found).map(|(_, fields)| Some(Print::of(&fields))),
        }
    }
}

/// The text of an answer that is one.
pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::Okay => Some("OK".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn written(id: &str) -> Value {
        Value::Array(vec![bulk(id), Value::Array(vec![bulk("payload"), bulk("x")])])
    }

    fn info(first: Value, last: Value) -> Value {
        Value::Array(vec![
            bulk("length"),
            Value::Int(2),
            bulk("radix-tree-keys"),
            Value::Int(1),
            bulk("last-generated-id"),
            bulk("9-0"),
            bulk("max-deleted-entry-id"),
            bulk("0-0"),
            bulk("entries-added"),
            Value::Int(5),
            bulk("first-entry"),
            first,
            bulk("last-entry"),
            last,
        ])
    }

    #[test]
    fn a_description_of_the_stream_is_a_view_of_it() {
        let read = Value::Array(vec![written("8-1"), written("9-0")]);
        let held = || bulk("token committed");
        let answers =
            vec![held(), Value::Array(Vec::new()), info(written("8-1"), written("9-0")), read.clone()];
        let (view, entries) = view_and_entries(answers, true).unwrap();
        let id = |text: &str| text.parse::<EntryId>().unwrap();
        assert_eq!(view.token, "token");
        let (first, tail) = (Some(id("8-1")), Some(id("9-0")));
        let expected = Numbers { added: 5, length: 2, first, tail, last: id("9-0"), deleted: id("0-0") };
        assert_eq!(view.numbers, expected);
        assert_eq!(entries.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id("8-1"), id("9-0")]);

        let (view, _) = view_and_entries(vec![info(Value::Nil, Value::Nil), read], false).unwrap();
        assert_eq!((view.token.as_str(), view.numbers.first), ("", None));
    }

    #[test]
    fn a_group_that_the_hash_does_not_know_has_no_token_and_what_is_missing_is_strange() {
        let none = || Value::Array(Vec::new());
        let answers = vec![Value::Nil, none(), info(Value::Nil, Value::Nil), none()];
        assert_eq!(view_and_entries(answers, true).unwrap().0.token, "");
        assert!(view_and_entries(vec![none(), none()], false).is_none());
        assert!(view_and_entries(vec![info(Value::Nil, Value::Nil)], false).is_none());
    }
}
