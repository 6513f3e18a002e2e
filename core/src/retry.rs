//! How long to wait before trying again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

/// Without any wait, retrying would keep a processor busy.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longer than anybody waits, and short enough for arithmetic.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Exponential back-off: the first wait, the longest wait, and for how long to go on altogether.
///
/// Waits double from the first to the longest, each with a random part of up to its own length added, so that many
/// services that lost the same broker do not come back in step. Only errors of kind
/// [`Unavailable`](crate::ErrorKind::Unavailable) are ever tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    first: Duration,
    longest: Duration,
    total: Option<Duration>,
}

impl RetryPolicy {
    /// The first wait unless set: 100 ms.
    pub const DEFAULT_FIRST: Duration = Duration::from_millis(100);
    /// The longest wait unless set: 5 s.
    pub const DEFAULT_LONGEST: Duration = Duration::from_secs(5);
    /// For how long a primary's announcement is tried unless set: 30 s.
    pub const DEFAULT_TOTAL: Duration = Duration::from_secs(30);

    /// Gives up after [`DEFAULT_TOTAL`](Self::DEFAULT_TOTAL).
    #[must_use]
    pub const fn new() -> Self {
        Self { first: Self::DEFAULT_FIRST, longest: Self::DEFAULT_LONGEST, total: Some(Self::DEFAULT_TOTAL) }
    }

    /// The first wait; at least 1 ms, at most 30 days.
    #[must_use]
    pub const fn first(mut self, wait: Duration) -> Self {
        self.first = wait;
        self
    }

    /// The longest wait; at least the first one, at most 30 days.
    #[must_use]
    pub const fn longest(mut self, wait: Duration) -> Self {
        self.longest = wait;
        self
    }

    /// Gives up when the next attempt would begin later than this after the first one. An attempt that is under way by then
    /// is not cut off, because its outcome would be unknown: altogether it may take as much longer as the transport lets
    /// one attempt take. Zero means a single attempt.
    #[must_use]
    pub const fn give_up_after(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }

    /// Never gives up.
    #[must_use]
    pub const fn for_ever(mut self) -> Self {
        self.total = None;
        self
    }

    fn first_wait(&self) -> Duration {
        self.first.clamp(SHORTEST, LONGEST)
    }

    pub(crate) fn longest_wait(&self) -> Duration {
        self.longest.clamp(self.first_wait(), LONGEST)
    }

    /// The waits of a series of attempts, one after each attempt that failed; at the end of them it is given up.
    #[must_use]
    pub fn waits(&self) -> Waits {
        let first = self.first_wait();
        let waits = ExponentialBuilder::default()
            .with_min_delay(first)
            .with_max_delay(self.longest_wait())
            .with_jitter()
            .without_max_times()
            .build();
        Waits { waits, total: self.total, waited: Duration::ZERO, since: Instant::now() }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The waits of one series of attempts: [`RetryPolicy::waits`].
#[derive(Debug)]
pub struct Waits {
    waits: backon::ExponentialBackoff,
    total: Option<Duration>,
    waited: Duration,
    since: Instant,
}

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.waits.next()?;
        // Attempts that hang count, too; and waits that nobody waits for.
        let begins_after = self.waited.max(self.since.elapsed()).saturating_add(wait);
        if self.total.is_some_and(|total| begins_after > total) {
            return None;
        }
        self.waited = self.waited.saturating_add(wait);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_that_hang_count() {
        let mut waits = RetryPolicy::new().give_up_after(Duration::from_secs(30)).waits();
        let begin = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            tokio::time::sleep(Duration::from_secs(10)).await;
            let Some(wait) = waits.next() else { break };
            tokio::time::sleep(wait).await;
        }
        assert_eq!(attempts, 3);
        assert!(begin.elapsed() < Duration::from_secs(40));
    }

    #[test]
    fn no_setting_makes_it_spin_or_overflow() {
        for first in [Duration::ZERO, Duration::MAX] {
            for longest in [Duration::ZERO, Duration::MAX] {
                for total in [None, Some(Duration::MAX)] {
                    let policy = RetryPolicy { total, ..RetryPolicy::new().first(first).longest(longest) };
                    let waits: Vec<_> = policy.waits().take(100).collect();
                    assert_eq!(waits.len(), 100);
                    assert!(waits.iter().all(|wait| *wait >= SHORTEST && *wait <= 2 * LONGEST), "{waits:?}");
                }
            }
        }
    }

    #[test]
    fn waits_grow_to_the_longest_and_end_with_the_total() {
        let policy = RetryPolicy::new().first(Duration::from_millis(10)).longest(Duration::from_millis(80));
        let total: Duration = policy.give_up_after(Duration::from_secs(1)).waits().sum();
        assert!(total <= Duration::from_secs(1) && total > Duration::from_millis(800), "{total:?}");
        assert_eq!(policy.give_up_after(Duration::ZERO).waits().count(), 0);
        for (number, wait) in policy.for_ever().waits().take(100).enumerate() {
            let base = Duration::from_millis(10 << number.min(3));
            assert!(wait >= base && wait <= 2 * base, "wait {number} is {wait:?}");
        }
    }
}
