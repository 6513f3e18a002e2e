//! Back-off for each thing that a secondary does, apart: only what works again begins anew with short waits.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::ErrorKind;
use crate::health::Activity;
use crate::retry::{RetryPolicy, Waits};

/// How long trouble of which cause may last: forever where nothing is set.
#[derive(Debug, Default)]
pub(super) struct GiveUp {
    limits: Vec<(ErrorKind, Duration)>,
    /// Of each activity, the cause of its trouble, and since when.
    troubles: [Option<(ErrorKind, Instant)>; 3],
}

impl GiveUp {
    pub(super) fn set(&mut self, cause: ErrorKind, limit: Duration) {
        self.limits.retain(|(of, _)| *of != cause);
        self.limits.push((cause, limit));
    }

    /// It failed. Whether that has lasted too long.
    pub(super) fn is_due(&mut self, activity: Activity, cause: Option<ErrorKind>, now: Instant) -> bool {
        let trouble = &mut self.troubles[activity as usize];
        *trouble = cause.map(|cause| match *trouble {
            Some((before, since)) if before == cause => (cause, since),
            _ => (cause, now),
        });
        let limit = |cause| self.limits.iter().find(|(of, _)| *of == cause).map(|(_, limit)| *limit);
        trouble.is_some_and(|(cause, since)| limit(cause).is_some_and(|limit| now - since >= limit))
    }

    pub(super) const fn works(&mut self, activity: Activity) {
        self.troubles[activity as usize] = None;
    }
}

/// The back-off of one activity.
#[derive(Debug)]
pub(super) struct Patience {
    policy: RetryPolicy,
    waits: Waits,
    /// The newest wait; zero while it works.
    wait: Duration,
}

impl Patience {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, waits: policy.waits(), wait: Duration::ZERO }
    }

    /// It failed: how long to wait.
    pub(super) fn fail(&mut self) -> Duration {
        self.wait = self.waits.next().unwrap_or(RetryPolicy::DEFAULT_LONGEST);
        self.wait
    }

    /// It works.
    pub(super) fn works(&mut self) {
        if !self.wait.is_zero() {
            *self = Self::new(self.policy);
        }
    }
}

/// How reading goes, which is good news when nothing comes of it: a `next` that waits.
#[derive(Debug)]
pub(super) struct Reading {
    patience: Patience,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Works,
    /// It failed; again then.
    Backs {
        off_until: Instant,
    },
    /// It is tried again, and waits since then. When it has waited for as long as the back-off did, its trouble no longer shows.
    Tries {
        since: Instant,
    },
    /// Trouble no longer shows. When it has waited for as long as the longest back-off, it works; a source that fails before
    /// that meets a back-off that goes on growing, until trouble shows all the time.
    Settles {
        since: Instant,
    },
}

impl Reading {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { patience: Patience::new(policy), phase: Phase::Works }
    }

    /// Whether it is to be tried now.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if let Phase::Backs { off_until } = self.phase {
            if now < off_until {
                return false;
            }
            self.phase = Phase::Tries { since: now };
        }
        true
    }

    /// When there is something to do although nothing was read.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Works => None,
            Phase::Backs { off_until } => Some(off_until),
            Phase::Tries { since } => since.checked_add(self.patience.wait),
            Phase::Settles { since } => since.checked_add(self.patience.policy.longest_wait()),
        }
    }

    /// It failed. Returns the wait.
    pub(super) fn fail(&mut self, now: Instant) -> Duration {
        let wait = self.patience.fail();
        self.phase = now.checked_add(wait).map_or(self.phase, |off_until| Phase::Backs { off_until });
        wait
    }

    /// Something was read. Whether trouble showed until now.
    pub(super) fn works(&mut self) -> bool {
        self.patience.works();
        matches!(std::mem::replace(&mut self.phase, Phase::Works), Phase::Backs { .. } | Phase::Tries { .. })
    }

    /// Time has passed without an error. Whether trouble showed until now.
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        match self.phase {
            Phase::Tries { since } => {
                self.phase = Phase::Settles { since };
                true
            }
            Phase::Settles { .. } => self.works(),
            Phase::Works | Phase::Backs { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_that_fails_whenever_it_has_waited_is_left_alone_longer_and_longer() {
        let fails_after = Duration::from_millis(500);
        let mut reading = Reading::new(RetryPolicy::new().for_ever());
        let (mut attempts, mut recoveries) = (0, 0);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            assert!(reading.is_due(Instant::now()));
            let fails_at = Instant::now() + fails_after;
            if let Some(deadline) = reading.deadline().filter(|deadline| *deadline < fails_at) {
                tokio::time::sleep_until(deadline).await;
                recoveries += u32::from(reading.settle(Instant::now()));
            }
            tokio::time::sleep_until(fails_at).await;
            attempts += 1;
            let wait = reading.fail(Instant::now());
            assert!(!reading.is_due(Instant::now()) && !reading.settle(Instant::now()));
            tokio::time::sleep(wait).await;
        }
        assert!(recoveries <= 3, "{recoveries} recoveries");
        assert!(attempts <= 25, "{attempts} attempts in a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cause_is_given_up_on_when_it_alone_has_lasted_for_its_limit() {
        use ErrorKind::{Denied, NotFound};
        const LIMIT: Duration = Duration::from_secs(60);
        let mut give_up = GiveUp::default();
        give_up.set(Denied, Duration::ZERO);
        give_up.set(Denied, LIMIT);
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert!(!give_up.is_due(Activity::Contact, Some(Denied), at(0)));
        assert!(!give_up.is_due(Activity::Contact, Some(NotFound), at(50)), "another cause begins anew");
        assert!(!give_up.is_due(Activity::Contact, Some(NotFound), at(500)), "which has no limit");
        assert!(!give_up.is_due(Activity::Contact, Some(Denied), at(500)));
        assert!(!give_up.is_due(Activity::Committing, Some(Denied), at(560)), "each activity by itself");
        assert!(give_up.is_due(Activity::Contact, Some(Denied), at(560)));
        give_up.works(Activity::Contact);
        assert!(!give_up.is_due(Activity::Contact, Some(Denied), at(600)));
        assert!(!give_up.is_due(Activity::Contact, None, at(700)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_ends_the_back_off_and_so_does_a_long_wait_without_an_error() {
        let mut reading = Reading::new(RetryPolicy::new().for_ever());
        assert!(!reading.works() && reading.deadline().is_none());
        for by_record in [true, false] {
            let first = reading.fail(Instant::now());
            tokio::time::sleep(first).await;
            assert!(reading.is_due(Instant::now()));
            if by_record {
                assert!(reading.works());
            } else {
                for shows in [true, false] {
                    tokio::time::sleep_until(reading.deadline().unwrap()).await;
                    assert_eq!(reading.settle(Instant::now()), shows);
                }
            }
            assert!(reading.deadline().is_none());
            assert!(reading.fail(Instant::now()) <= 2 * RetryPolicy::DEFAULT_FIRST, "it begins anew");
            assert!(reading.works());
        }
    }
}
