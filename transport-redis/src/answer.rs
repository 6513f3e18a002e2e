//! Reads what the scripts answer.

use redis::Value;

use crate::entry::EntryId;
use crate::log::{Mark, Numbers, View};

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
    /// The stream in which the group had its position is gone, and nobody has committed since.
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
    let lost = state == "lost";
    // Nobody commits without a count.
    let committed = state == "committed" && behind < 0;
    let mark = Mark { id, read };
    Some(Opened::At(Box::new(Start { lost, token, committed, mark, numbers })))
}

/// What a look at the stream found.
#[derive(Debug)]
pub(crate) enum Looked {
    /// There is no stream.
    Missing,
    View(View),
}

/// `None`: no answer that the script gives.
pub(crate) fn looked(answer: Value) -> Option<Looked> {
    let mut answer = Parts::new(answer)?;
    match &*answer.text()? {
        "missing" => return Some(Looked::Missing),
        "found" => {}
        _ => return None,
    }
    let token = answer.text()?;
    let numbers = answer.numbers()?;
    let entries = answer.array()?.into_iter().map(entry).collect::<Option<_>>()?;
    Some(Looked::View(View { token, numbers, entries }))
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
        let (first, tail, last) = (self.id()?, self.id()?, self.id()??);
        Some(Numbers { added, length, first, tail, last })
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
