//! How a tracker fares.

use std::fmt;
use std::time::SystemTime;

use crate::error::Error;

/// How the background task of a tracker fares (T9).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Health {
    /// All is well.
    Healthy,
    /// A transient error keeps it from its work; it tries again for ever, with back-off.
    Troubled {
        /// The newest error.
        error: Error,
        /// How many times in a row it failed.
        attempts: u32,
        /// When the first of them was.
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
            Self::Healthy | Self::Closed => None,
        }
    }

    /// The state after one more transient error.
    pub(crate) fn troubled(&self, error: Error) -> Self {
        match self {
            Self::Troubled { attempts, since, .. } => {
                Self::Troubled { error, attempts: attempts.saturating_add(1), since: *since }
            }
            _ => Self::Troubled { error, attempts: 1, since: SystemTime::now() },
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Troubled { error, attempts, .. } => write!(f, "troubled, {attempts} attempts: {error}"),
            Self::Failed { error } => write!(f, "failed: {error}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}
