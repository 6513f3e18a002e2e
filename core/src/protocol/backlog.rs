//! Whether everything is read that the log held (T10).

use std::time::Duration;

/// How long a source may be silent before what remains is counted again, if anything was counted: the count may have been too
/// high (gaps in the log).
pub(crate) const RECOUNT_AFTER: Duration = Duration::from_millis(200);

/// What the log held when a session began, as far as it is not read yet (T10).
///
/// Its user counts at opening with [`EventSource::remaining`](crate::EventSource::remaining), says each record, and counts
/// again after an error, and when [`recount_due`](Self::recount_due) has come. Times are those since any one moment.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    /// How many records stood in the log and were not returned yet; `None` until counted.
    outstanding: Option<u64>,
    read: bool,
    /// What the source counted last, less what came since.
    remaining: u64,
    last_activity: Duration,
}

impl Backlog {
    /// A backlog that was not counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether all of it is read. It stays so until [`lose`](Self::lose), whatever is appended to the log.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        self.read
    }

    /// How many records the log holds that have not come yet, also of those that were appended later; may be too high until it
    /// is counted again.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The source returned a record. Says whether it belongs to the backlog: whether it is older than the session.
    pub fn record(&mut self, now: Duration) -> bool {
        let replay = self.outstanding.is_none_or(|outstanding| outstanding > 0);
        self.last_activity = now;
        self.outstanding = self.outstanding.map(|outstanding| outstanding.saturating_sub(1));
        self.remaining = self.remaining.saturating_sub(1);
        self.settle();
        replay
    }

    /// The source says how many records remain. Both the old count, less what came since, and the new one may be too high,
    /// but neither is too low.
    pub fn count(&mut self, remaining: u64) {
        self.outstanding = Some(self.outstanding.map_or(remaining, |old| old.min(remaining)));
        self.remaining = remaining;
        self.settle();
    }

    /// Records were lost, and the source begins again (S12): it must be counted anew.
    pub fn lose(&mut self) {
        self.outstanding = None;
        self.read = false;
    }

    /// When it is to be counted again unless a record comes before; `None` when all is read and nothing remains.
    #[must_use]
    pub fn recount_due(&self) -> Option<Duration> {
        (!self.read || self.remaining > 0).then(|| self.last_activity + RECOUNT_AFTER)
    }

    /// Whether it is to be counted again now. If so, it is not due again until as much time has passed once more.
    pub fn recount(&mut self, now: Duration) -> bool {
        let due = self.recount_due().is_some_and(|due| now >= due);
        if due {
            self.last_activity = now;
        }
        due
    }

    fn settle(&mut self) {
        self.read |= self.outstanding == Some(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    #[test]
    fn it_is_read_when_as_many_records_came_as_were_counted_and_stays_so() {
        let mut backlog = Backlog::new();
        assert!(!backlog.is_read(), "nothing was counted");
        backlog.count(2);
        assert!(backlog.record(TICK) && !backlog.is_read());
        assert!(backlog.record(TICK) && backlog.is_read());
        assert!(!backlog.record(TICK), "it came later");
        assert!(backlog.recount_due().is_none());
        backlog.count(7);
        assert!(backlog.is_read());
        backlog.record(TICK);
        assert_eq!((backlog.remaining(), backlog.recount_due()), (6, Some(TICK + RECOUNT_AFTER)));
        backlog.lose();
        assert!(!backlog.is_read());
        backlog.count(0);
        assert!(backlog.is_read());
    }

    #[test]
    fn a_count_that_was_too_high_comes_down_when_it_is_silent_and_never_goes_up() {
        let mut backlog = Backlog::new();
        backlog.count(5);
        backlog.record(TICK);
        assert!(!backlog.recount(2 * TICK));
        assert!(backlog.recount(3 * TICK));
        assert!(!backlog.recount(4 * TICK), "it was counted just now");
        backlog.count(9);
        for _ in 0..4 {
            assert!(!backlog.is_read());
            backlog.record(TICK);
        }
        assert!(backlog.is_read());
    }

    #[test]
    fn records_before_the_first_count_are_of_the_backlog_and_not_counted_twice() {
        let mut backlog = Backlog::new();
        assert!(backlog.record(TICK));
        backlog.count(0);
        assert!(backlog.is_read());
    }
}
