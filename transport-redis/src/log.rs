//! What a look at the stream tells of a position. No waiting, no server.

use redis::Value;

use crate::entry::EntryId;

/// A place in the stream, and how it is recognised when the stream changes under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last entry that lies before the place.
    pub(crate) id: EntryId,
    /// How many entries were ever added up to there, as `entries-added` counts them. What was removed before the count
    /// began counts as added.
    pub(crate) read: u64,
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
}

impl Numbers {
    /// Before everything that the stream holds.
    pub(crate) fn earliest(&self) -> Mark {
        match self.first {
            Some(first) => Mark { id: first.before(), read: self.added.saturating_sub(self.length) },
            None => self.latest(),
        }
    }

    /// Behind everything that the stream holds.
    pub(crate) const fn latest(&self) -> Mark {
        Mark { id: self.last, read: self.added }
    }

    /// Whether entries behind the mark are gone, or the stream is another one.
    ///
    /// The server trims from the front. So as long as an entry up to the mark is there, nothing behind it was trimmed; and
    /// otherwise all that is there lies behind it, and must be exactly as much as was added since: less when some of it was
    /// trimmed, more when the stream was deleted and created anew.
    pub(crate) fn lost_behind(&self, mark: &Mark) -> bool {
        let went_back = self.last < mark.id || self.added < mark.read;
        let passed = self.first.is_none_or(|first| first > mark.id);
        went_back || (passed && self.added - mark.read != self.length)
    }

    /// How many entries there are behind the mark: too many when some in the middle were deleted, never too few.
    pub(crate) fn behind(&self, mark: &Mark) -> u64 {
        match self.tail {
            Some(tail) if tail > mark.id => self.added.saturating_sub(mark.read).clamp(1, self.length.max(1)),
            _ => 0,
        }
    }
}

/// Entries as the server tells them: where each stands, and its names and values in turn.
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
    /// What follows the mark, when these entries, at most `limit`, were read behind it at the same moment.
    pub(crate) fn behind(self, entries: Read, mark: &Mark, limit: usize) -> Found {
        let Self { numbers, .. } = self;
        let count = entries.len() as u64;
        let complete = entries.len() < limit;
        // Fewer were added than there are behind the mark: the server forgot some, and went on from there.
        let went_back = complete && numbers.added < mark.read.saturating_add(count);
        if went_back || numbers.lost_behind(mark) {
            return Found::Lost;
        }
        // At the end the count is exact again, whatever was deleted in the middle.
        let mut read = if complete { numbers.added - count } else { mark.read };
        let mut next = Mark { id: mark.id, read };
        let entries = entries.into_iter().map(|(id, fields)| {
            read += 1;
            next = Mark { id, read };
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
        }
    }

    fn mark(at: u64) -> Mark {
        Mark { id: id(at), read: at }
    }

    fn behind(numbers: Numbers, entries: std::ops::RangeInclusive<u64>, mark: &Mark, limit: usize) -> Found {
        let entries = entries.map(|at| (id(at), Vec::new())).collect();
        View { token: String::new(), numbers }.behind(entries, mark, limit)
    }

    #[test]
    fn a_trim_is_a_loss_exactly_when_it_takes_what_lies_behind_the_mark() {
        for added in 0..8 {
            for first in 1..=added + 1 {
                for at in 0..=added {
                    let expected = first > at + 1;
                    let lost = numbers(first, added).lost_behind(&mark(at));
                    assert_eq!(lost, expected, "{added} added, from {first} on, at {at}");
                }
            }
        }
    }

    #[test]
    fn a_server_that_forgot_entries_is_a_loss_also_when_it_went_on() {
        assert!(numbers(1, 3).lost_behind(&mark(5)));
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
        assert_eq!(marks, [mark(4), mark(5), mark(6)]);
        assert_eq!(next, mark(6));
        // Entry 7 was deleted by hand, so that only two follow.
        let Found::Entries(_, next) = behind(numbers(1, 9), 8..=9, &next, 3) else { panic!() };
        assert_eq!(next, mark(9));
    }

    #[test]
    fn the_earliest_mark_loses_nothing() {
        for (first, added) in [(1, 0), (1, 5), (4, 5), (6, 5)] {
            let numbers = numbers(first, added);
            assert!(!numbers.lost_behind(&numbers.earliest()));
            assert_eq!(numbers.behind(&numbers.earliest()), numbers.length);
        }
    }
}
