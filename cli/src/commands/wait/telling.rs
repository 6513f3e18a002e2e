//! The time limit, and what people are told meanwhile.

use std::future::Future;
use std::time::Duration;

use backup_tracker::BackupState;
use tokio::time::{Instant, sleep_until};

use super::super::reading::{PATIENCE, say, time};

/// Tells on standard error what is being waited for, once it takes its time, and whenever that changes.
#[derive(Debug)]
pub(super) struct Telling {
    goal: String,
    limit: Option<Duration>,
    started: Instant,
    now: String,
    told: bool,
}

impl Telling {
    pub(super) fn new(application: &str, until: BackupState, limit: Option<Duration>) -> Self {
        let goal = format!("`{}` to be {until}", say::plain(application));
        Self { goal, limit, started: Instant::now(), now: String::new(), told: false }
    }

    /// How things are now.
    pub(super) fn now(&mut self, now: String) {
        let changed = self.now != now;
        self.now = now;
        if changed && self.told {
            self.tell();
        }
    }

    fn tell(&self) {
        say::note(format_args!("waiting for {}; {}", self.goal, self.now));
    }

    /// The future's outcome; `None` when the time is over.
    pub(super) async fn within<T: Send>(&mut self, future: impl Future<Output = T> + Send) -> Option<T> {
        let deadline = self.limit.and_then(|limit| self.started.checked_add(limit));
        let tell_at = self.started + PATIENCE;
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                // The limit first: a log that is busy without end must not outrun it.
                biased;
                () = sleep_until(deadline.unwrap_or(self.started)), if deadline.is_some() => return None,
                outcome = &mut future => return Some(outcome),
                () = sleep_until(tell_at), if !self.told => {
                    self.told = true;
                    self.tell();
                }
            }
        }
    }

    pub(super) fn gave_up(&self) {
        let limit = time::brief(self.limit.unwrap_or_default());
        say::error(format_args!("the time of {limit} for {} is over; {}", self.goal, self.now));
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::advance;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_for_all_futures_together_also_for_those_that_are_always_ready() {
        let mut telling = Telling::new("shop", BackupState::Ready, Some(LIMIT));
        assert_eq!(telling.within(ready(1)).await, Some(1));
        assert!(!telling.told);
        advance(LIMIT / 2).await;
        assert_eq!(telling.within(ready(2)).await, Some(2));
        assert_eq!(telling.within(pending::<()>()).await, None);
        assert!(telling.told);
        assert_eq!(telling.started.elapsed(), LIMIT);
        assert_eq!(telling.within(ready(3)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_waits_for_ever() {
        let mut telling = Telling::new("shop", BackupState::Ready, None);
        let year = Duration::from_secs(365 * 86_400);
        assert_eq!(telling.within(async { tokio::time::sleep(year).await }).await, Some(()));
    }
}
