//! What a look at the stream tells of a position. No waiting, no server.

use redis::Value;

use crate::entry::EntryId;
use crate::print::Print;

/// A place in the stream, and how it is recognised when the stream changes under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last entry that lies before the place.
    pub(crate) id: EntryId,
    /// How many entries were ever added up to there, as `entries-added` counts them. What was removed before the count
    /// began counts as added.
    pub(crate) read: u64,
    /// What identifies the entry, where one was seen there.
    pub(crate) print: Option<Print>,
}

/// An entry that was read, and the mark behind it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) mark: Mark,
    pub(crate) fields: Vec<Value>,
}

impl Entry {
    /// How many bytes its fields have.
    pub(crate) fn size(&self) -> usize {
        let size = |field: &Value| match field {
            Value::BulkString(bytes) => bytes.len(),
            _ => 0,
        };
        self.fields.iter().map(size).sum()
    }
}

/// The numbers of `XINFO STREAM`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// How many entries were ever added.
    pub(crate) added: u64,
    /// How many there are.
    pub(crate) length: u64,
    pub(crate) first: Option<EntryId>,
    pub(crate) tail: Option<EntryId>,
    /// The greatest identifier that was ever given.
    pub(crate) last: EntryId,
    /// The greatest identifier of an entry that was deleted (`XDEL`); a trim is none.
    pub(crate) deleted: EntryId,
}

impl Numbers {
    /// Before everything that the stream holds.
    pub(crate) fn earliest(&self) -> Mark {
        match self.first {
            Some(first) => {
                Mark { id: first.before(), read: self.added.saturating_sub(self.length), print: None }
            }
            None => self.latest(),
        }
    }

    /// Behind everything that the stream holds.
    pub(crate) const fn latest(&self) -> Mark {
        Mark { id: self.last, read: self.added, print: None }
    }

    /// Whether entries behind the mark are gone, or the log is another one, when this stands at the mark.
    ///
    /// The server trims from the front. So as long as an entry up to the mark is there, nothing behind it was trimmed; and
    /// otherwise all that is there lies behind it, and must be exactly as much as was added since: less when some of it was
    /// trimmed, more when the stream was deleted and created anew.
    pub(crate) fn lost_behind(&self, mark: &Mark, there: Option<Print>) -> bool {
        let passed = self.first.is_none_or(|first| first > mark.id);
        self.added < mark.read
            || self.is_another_log(mark, there)
            || (passed && self.added - mark.read != self.length)
    }

    /// Whether the entry at the mark was never in this log, when this stands there: the log was restored, or went on from an
    /// earlier place, however long it is by now. An entry that was trimmed or deleted proves nothing.
    pub(crate) fn is_another_log(&self, mark: &Mark, there: Option<Print>) -> bool {
        let replaced = match (mark.print, there) {
            (Some(known), Some(there)) => known != there,
            (Some(_), None) => self.first.is_some_and(|first| first <= mark.id) && self.deleted < mark.id,
            (None, _) => false,
        };
        replaced || self.last < mark.id
    }

    /// How many entries there are behind the mark: too many when some in the middle were deleted, never too few.
    pub(crate) fn behind(&self, mark: &Mark) -> u64 {
        match self.tail {
            Some(tail) if tail > mark.id => self.added.saturating_sub(mark.read).clamp(1, self.length.max(1)),
            _ => 0,
        }
    }
}

/// Entries as the server returns them: where each stands, and its names and values in turn.
pub(crate) type Read = Vec<(EntryId, Vec<Value>)>;

/// A look at the stream.
#[derive(Debug)]
pub(crate) struct View {
    /// By which the group knows its stream; empty when there is no such group, and for an observer.
    pub(crate) token: String,
    pub(crate) numbers: Numbers,
}

/// What follows a mark.
#[derive(Debug)]
pub(crate) enum Found {
    /// These entries; and the mark where the next look begins.
    Entries(Vec<Entry>, Mark),
    /// Entries behind the mark are gone.
    Lost,
}

impl View {
    /// What follows the mark, when these entries were read at the same moment: from the mark's own on, so that it is compared each
    /// time and at no cost, and at most so many behind it.
    pub(crate) fn behind(self, mut entries: Read, mark: &Mark, limit: usize) -> Found {
        let Self { numbers, .. } = self;
        let there = entries.first().filter(|(id, _)| *id == mark.id).map(|(_, fields)| Print::of(fields));
        if there.is_some() {
            entries.remove(0);
        }
        let count = entries.len() as u64;
        let complete = entries.len() < limit;
        // Fewer were added than there are behind the mark: the server forgot some, and went on from there.
        let went_back = complete && numbers.added < mark.read.saturating_add(count);
        if went_back || numbers.lost_behind(mark, there) {
            return Found::Lost;
        }
        // At the end the count is exact again, whatever was deleted in the middle.
        let mut read = if complete { numbers.added - count } else { mark.read };
        let mut next = Mark { id: mark.id, read, print: mark.print.or(there) };
        let entries = entries.into_iter().map(|(id, fields)| {
            read += 1;
            next = Mark { id, read, print: Some(Print::of(&fields)) };
            Entry { mark: next.clone(), fields }
        });
        let entries = entries.collect();
        Found::Entries(entries, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(millis: u64) -> EntryId {
        EntryId { millis, sequence: 0 }
    }

    /// A stream that ever had the entries 1 to `added`, and still has those from `first` on.
    fn numbers(first: u64, added: u64) -> Numbers {
        let some = first <= added;
        Numbers {
            added,
            length: (added + 1).saturating_sub(first),
            first: some.then(|| id(first)),
            tail: some.then(|| id(added)),
            last: id(added),
            deleted: id(0),
        }
    }

    fn mark(at: u64) -> Mark {
        Mark { id: id(at), read: at, print: None }
    }

    /// As the log has it.
    fn seen(at: u64) -> Mark {
        Mark { print: Some(Print::of(&fields(at))), ..mark(at) }
    }

    fn fields(at: u64) -> Vec<Value> {
        vec![Value::BulkString(at.to_string().into_bytes())]
    }

    fn behind(numbers: Numbers, entries: std::ops::RangeInclusive<u64>, mark: &Mark, limit: usize) -> Found {
        let entries = entries.map(|at| (id(at), fields(at))).collect();
        View { token: String::new(), numbers }.behind(entries, mark, limit)
    }

    #[test]
    fn a_trim_is_a_loss_exactly_when_it_takes_what_lies_behind_the_mark() {
        for added in 0..8 {
            for first in 1..=added + 1 {
                for at in 0..=added {
                    let expected = first > at + 1;
                    let there = (first..=added).contains(&at).then(|| Print::of(&fields(at)));
                    let lost = numbers(first, added).lost_behind(&seen(at), there);
                    assert_eq!(lost, expected, "{added} added, from {first} on, at {at}");
                }
            }
        }
    }

    #[test]
    fn a_server_that_forgot_entries_is_a_loss_also_when_it_went_on() {
        assert!(numbers(1, 3).lost_behind(&mark(5), None));
        // Two forgotten, three others added under greater identifiers.
        let mut forgot = numbers(1, 6);
        (forgot.tail, forgot.last) = (Some(id(9)), id(9));
        let found = behind(forgot, 7..=9, &mark(5), 100);
        assert!(matches!(found, Found::Lost), "{found:?}");
    }

    #[test]
    fn what_is_behind_is_never_too_few_and_ends_at_zero() {
        for added in 0..8 {
            for first in 1..=added + 1 {
                for at in first - 1..=added {
                    assert_eq!(numbers(first, added).behind(&mark(at)), added - at);
                }
            }
        }
        // Deleted in the middle: too many, but not at the end.
        let mut holes = numbers(1, 8);
        holes.length = 5;
        assert!(holes.behind(&mark(2)) >= 3);
        assert_eq!(holes.behind(&mark(8)), 0);
    }

    #[test]
    fn marks_count_up_and_become_exact_at_the_end() {
        let Found::Entries(entries, next) = behind(numbers(1, 9), 4..=6, &mark(3), 3) else { panic!() };
        let marks: Vec<_> = entries.into_iter().map(|entry| entry.mark).collect();
        assert_eq!(marks, [seen(4), seen(5), seen(6)]);
        assert_eq!(next, seen(6));
        // Entry 7 was deleted by hand, so that only two follow.
        let entries = [6, 8, 9].map(|at| (id(at), fields(at))).into();
        let view = View { token: String::new(), numbers: numbers(1, 9) };
        let Found::Entries(_, next) = view.behind(entries, &next, 3) else { panic!() };
        assert_eq!(next, seen(9));
    }

    #[test]
    fn the_earliest_mark_loses_nothing() {
        for (first, added) in [(1, 0), (1, 5), (4, 5), (6, 5)] {
            let numbers = numbers(first, added);
            assert!(!numbers.lost_behind(&numbers.earliest(), None));
            assert_eq!(numbers.behind(&numbers.earliest()), numbers.length);
        }
    }

    #[test]
    fn a_log_that_went_on_without_the_entry_at_the_mark_is_another_one_however_long_it_is() {
        // The entries 4 and 5 are forgotten, and others were added until there are more than before.
        let mut other = numbers(1, 9);
        let mark = seen(5);
        assert!(other.lost_behind(&mark, None));
        assert!(other.lost_behind(&mark, Some(Print::of(&fields(50)))), "under the same identifier");
        assert!(!other.lost_behind(&mark, mark.print));
        // It may have been deleted since.
        other.deleted = id(5);
        assert!(!other.lost_behind(&mark, None));
        // A trimmed entry is no loss.
        assert!(!numbers(6, 9).lost_behind(&mark, None));
        // Of a place without an entry nothing is known.
        assert!(!numbers(1, 9).lost_behind(&Mark { print: None, ..mark }, None));
    }

    #[test]
    fn what_stands_at_the_mark_is_learned_and_compared_and_not_read_again() {
        let Found::Entries(entries, next) = behind(numbers(1, 3), 3..=3, &mark(3), 9) else { panic!() };
        assert_eq!((entries.len(), next), (0, seen(3)));
        let Found::Entries(entries, next) = behind(numbers(1, 5), 3..=5, &seen(3), 9) else { panic!() };
        assert_eq!((entries.len(), next), (2, seen(5)));
        let other = Mark { print: seen(4).print, ..mark(3) };
        assert!(matches!(behind(numbers(1, 5), 3..=5, &other, 9), Found::Lost));
    }
}
