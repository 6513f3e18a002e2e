//! Whether everything is read that the log held (T10).

use std::time::Duration;

use crate::event::Position;
use crate::source::Remaining;

/// How long a source may be silent before what remains is counted again, if anything was counted: the count may have been too
/// high (gaps in the log, records of others that the broker leaves out). While it stays silent, each wait is twice the one
/// before.
pub(crate) const RECOUNT_AFTER: Duration = Duration::from_millis(5);
/// The longest of these waits.
pub(crate) const RECOUNT_AT_LEAST_EVERY: Duration = Duration::from_millis(200);

/// What the log held when a session began, as far as it is not read yet (T10), partition by partition (S15).
///
/// Its user counts at opening with [`EventSource::remaining`](crate::EventSource::remaining), says each record, and counts
/// again after an error, and when [`recount_due`](Self::recount_due) has come. Times are those since any one moment.
#[derive(Clone, Debug)]
pub struct Backlog {
    /// How many records stood in the log and were not returned yet; `None` until counted.
    outstanding: Option<Remaining>,
    read: bool,
    /// What was counted is not to be relied on any more.
    doubtful: bool,
    /// What the source counted last, less what came since.
    remaining: Remaining,
    last_activity: Duration,
    /// How long it may be silent from there on.
    patience: Duration,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            outstanding: None,
            read: false,
            doubtful: false,
            remaining: Remaining::default(),
            last_activity: Duration::ZERO,
            patience: RECOUNT_AFTER,
        }
    }
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
    pub fn remaining(&self) -> u64 {
        self.remaining.total()
    }

    /// The source returned a record. Says whether it belongs to the backlog: whether it is older than the session.
    pub fn record(&mut self, position: Position, now: Duration) -> bool {
        let replay = self.outstanding.as_ref().is_none_or(|outstanding| outstanding.at(position) > 0);
        self.records(position, 1, now);
        replay
    }

    /// The source returned so many records of one partition, the last of which stands here.
    pub fn records(&mut self, position: Position, count: u64, now: Duration) {
        (self.last_activity, self.patience) = (now, RECOUNT_AFTER);
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.came(position, count);
        }
        self.remaining.came(position, count);
        self.settle();
    }

    /// The source says how many records remain. Both the old count, less what came since, and the new one may be too high,
    /// but neither is too low. A partition that was added since the first count holds nothing that is older than the session.
    pub fn count(&mut self, remaining: Remaining) {
        let least = match &self.outstanding {
            Some(old) => {
                old.counts().iter().zip(remaining.counts()).map(|(old, new)| *old.min(new)).collect()
            }
            None => remaining.counts().to_vec(),
        };
        self.outstanding = Some(Remaining::in_partitions(least));
        (self.remaining, self.doubtful) = (remaining, false);
        self.settle();
    }

    /// Records were lost, and the source begins again (S12): it must be counted anew.
    pub fn lose(&mut self) {
        self.outstanding = None;
        (self.read, self.doubtful) = (false, false);
    }

    /// Records may have come to the log unnoticed, behind those that were counted: it is to be counted again when the source is
    /// silent. What is read stays so.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// When it is to be counted again unless a record comes before; `None` when all is read and nothing remains
    /// or is in doubt.
    #[must_use]
    pub fn recount_due(&self) -> Option<Duration> {
        (!self.read || self.doubtful || self.remaining() > 0)
            .then(|| self.last_activity.saturating_add(self.patience))
    }

    /// Whether it is to be counted again now. If so, it is not due again until twice as much time has passed, and at most 200 ms.
    pub fn recount(&mut self, now: Duration) -> bool {
        let due = self.recount_due().is_some_and(|due| now >= due);
        if due {
            self.last_activity = now;
            self.patience = (2 * self.patience).min(RECOUNT_AT_LEAST_EVERY);
        }
        due
    }

    fn settle(&mut self) {
        self.read |= self.outstanding.as_ref().is_some_and(|outstanding| outstanding.total() == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);
    const HERE: Position = Position::Offset(7);

    #[test]
    fn it_is_read_when_as_many_records_came_as_were_counted_and_stays_so() {
        let mut backlog = Backlog::new();
        assert!(!backlog.is_read(), "nothing was counted");
        backlog.count(2.into());
        assert!(backlog.record(HERE, TICK) && !backlog.is_read());
        assert!(backlog.record(HERE, TICK) && backlog.is_read());
        assert!(!backlog.record(HERE, TICK), "it came later");
        assert!(backlog.recount_due().is_none());
        backlog.count(7.into());
        assert!(backlog.is_read());
        backlog.record(HERE, TICK);
        assert_eq!((backlog.remaining(), backlog.recount_due()), (6, Some(TICK + RECOUNT_AFTER)));
        backlog.lose();
        assert!(!backlog.is_read());
        backlog.count(0.into());
        assert!(backlog.is_read());
    }

    #[test]
    fn a_count_that_was_too_high_comes_down_when_it_is_silent_and_never_goes_up() {
        let mut backlog = Backlog::new();
        backlog.count(5.into());
        backlog.record(HERE, TICK);
        assert!(!backlog.recount(TICK + RECOUNT_AFTER / 2));
        let first = TICK + RECOUNT_AFTER;
        assert!(backlog.recount(first));
        assert!(!backlog.recount(first + RECOUNT_AFTER), "it was counted just now");
        assert!(backlog.recount(first + 2 * RECOUNT_AFTER));
        backlog.count(9.into());
        for _ in 0..4 {
            assert!(!backlog.is_read());
            backlog.record(HERE, TICK);
        }
        assert!(backlog.is_read());
    }

    #[test]
    fn what_is_newer_in_one_partition_does_not_stand_for_what_is_outstanding_in_another() {
        let at = |partition| Position::Partition { partition, offset: 9 };
        let mut backlog = Backlog::new();
        backlog.count(Remaining::in_partitions([1, 0]));
        assert!(!backlog.record(at(1), TICK), "it is newer than the session");
        assert!(!backlog.record(at(2), TICK), "so is what comes from a partition that was added");
        assert!(!backlog.is_read());
        backlog.count(Remaining::in_partitions([1, 0, 5]));
        assert!(backlog.record(at(0), TICK));
        assert!(backlog.is_read());
        assert_eq!(backlog.remaining(), 5);
    }

    #[test]
    fn records_before_the_first_count_are_of_the_backlog_and_not_counted_twice() {
        let mut backlog = Backlog::new();
        assert!(backlog.record(HERE, TICK));
        backlog.count(0.into());
        assert!(backlog.is_read());
    }

    #[test]
    fn a_source_that_stays_silent_is_asked_less_and_less_often_until_it_speaks() {
        let mut backlog = Backlog::new();
        backlog.count(5.into());
        let mut wait = || {
            let due = backlog.recount_due().unwrap();
            let since = due - backlog.last_activity;
            assert!(backlog.recount(due));
            since.as_millis()
        };
        let waits: Vec<u128> = (0..8).map(|_| wait()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 200, 200]);
        let now = 10 * TICK;
        backlog.record(HERE, now);
        assert_eq!(backlog.recount_due(), Some(now + RECOUNT_AFTER));
    }
}
