//! One step of an application from a state to the next.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::state::BackupState;

/// One announced step of an application: the content of an event. (`BackupTransition` in the Java module, too.)
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BackupTransition {
    /// The event's identity; a retry of the same announcement keeps it (T11).
    pub id: Uuid,
    /// The application that it is about.
    pub application: Arc<str>,
    /// When the primary decided on it: milliseconds since the epoch, by the primary's clock.
    pub timestamp_millis: u64,
    /// The state that the primary left.
    pub from: BackupState,
    /// The state that the primary reached.
    pub to: BackupState,
}

impl BackupTransition {
    /// The latest timestamp that the formats carry: what a signed number of 64 bits holds, for readers in Java.
    pub const MAX_TIMESTAMP_MILLIS: u64 = i64::MAX as u64;

    /// A transition with these contents. A timestamp beyond [`MAX_TIMESTAMP_MILLIS`](Self::MAX_TIMESTAMP_MILLIS) is
    /// lowered to it.
    pub fn new(
        id: Uuid,
        application: impl Into<Arc<str>>,
        timestamp_millis: u64,
        from: BackupState,
        to: BackupState,
    ) -> Self {
        Self {
            id,
            application: application.into(),
            timestamp_millis: timestamp_millis.min(Self::MAX_TIMESTAMP_MILLIS),
            from,
            to,
        }
    }

    /// When the primary decided on it; `None` where the platform's clock cannot express it.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.timestamp_millis))
    }
}

impl fmt::Display for BackupTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}", self.application, self.from, self.to)
    }
}
