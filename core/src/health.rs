//! The health of a tracker.

use std::fmt;
use std::time::SystemTime;

use crate::error::Error;

/// The health of a tracker's background task (T9).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Health {
    /// All is well.
    Healthy,
    /// A transient error keeps it from its work; it retries forever, with back-off. Where several things fail at a time,
    /// reading or announcing comes before committing, and that before counting what remains.
    Troubled {
        /// The newest error.
        error: Error,
        /// How many times in a row it failed.
        attempts: u32,
        /// When the first of them was.
        since: SystemTime,
    },
    /// A listener has not returned for longer than
    /// [`listener_slow_after`](crate::SecondaryBackupTracker::DEFAULT_LISTENER_SLOW_AFTER). State and gate follow the log all
    /// the same; later calls of listeners wait (T12).
    ListenerSlow {
        /// The listener's type.
        listener: &'static str,
        /// When it was called.
        since: SystemTime,
    },
    /// A permanent error ended it. It will not come back by itself.
    Failed {
        /// What ended it.
        error: Error,
    },
    /// It was closed.
    Closed,
}

impl Health {
    /// Whether all is well.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }

    /// The error behind trouble or failure.
    #[must_use]
    pub const fn error(&self) -> Option<&Error> {
        match self {
            Self::Troubled { error, .. } | Self::Failed { error } => Some(error),
            Self::Healthy | Self::ListenerSlow { .. } | Self::Closed => None,
        }
    }
}

/// What a tracker's background task does, each of which can fail by itself. The first that fails is the one that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Reading, or announcing.
    Contact,
    Committing,
    Counting,
}

/// What keeps a tracker from being healthy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Complaints {
    troubles: [Option<Trouble>; 3],
    pub(crate) slow_listener: Option<(&'static str, SystemTime)>,
}

#[derive(Clone, Debug)]
struct Trouble {
    error: Error,
    attempts: u32,
    since: SystemTime,
}

impl Complaints {
    /// One more attempt failed.
    pub(crate) fn add(&mut self, activity: Activity, error: Error) {
        let slot = &mut self.troubles[activity as usize];
        let (attempts, since) =
            slot.as_ref().map_or((0, SystemTime::now()), |before| (before.attempts, before.since));
        *slot = Some(Trouble { error, attempts: attempts.saturating_add(1), since });
    }

    /// It works again. False if it did before.
    pub(crate) fn remove(&mut self, activity: Activity) -> bool {
        self.troubles[activity as usize].take().is_some()
    }

    pub(crate) fn in_trouble(&self) -> bool {
        self.troubles.iter().any(Option::is_some)
    }

    pub(crate) fn health(&self) -> Health {
        if let Some(Trouble { error, attempts, since }) = self.troubles.iter().flatten().next().cloned() {
            return Health::Troubled { error, attempts, since };
        }
        match self.slow_listener {
            Some((listener, since)) => Health::ListenerSlow { listener, since },
            None => Health::Healthy,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Troubled { error, attempts, .. } => write!(f, "troubled, {attempts} attempts: {error}"),
            Self::ListenerSlow { listener, since } => {
                let seconds = since.elapsed().unwrap_or_default().as_secs();
                write!(f, "the listener `{listener}` has not returned for {seconds} s")
            }
            Self::Failed { error } => write!(f, "failed: {error}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}
