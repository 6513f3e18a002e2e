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
    /// Of a step to Ready: the id of the event that began the operation that it ends. A secondary in whose log another
    /// operation runs does not apply it. `None` for any other step, and where the writer does not name an operation, as Java's
    /// writers and [`startup_complete`](crate::BackupTracker::startup_complete): such a step ends whatever runs.
    pub operation: Option<Uuid>,
}

impl BackupTransition {
    /// The latest timestamp that the formats carry: what a signed number of 64 bits holds, for readers in Java.
    pub const MAX_TIMESTAMP_MILLIS: u64 = i64::MAX as u64;

    /// A transition with these contents that names no operation. A timestamp beyond
    /// [`MAX_TIMESTAMP_MILLIS`](Self::MAX_TIMESTAMP_MILLIS) is lowered to it.
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
            operation: None,
        }
    }

    /// The transition as the end of the operation that began with this event.
    #[must_use]
    pub fn ending(mut self, operation: Uuid) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The return to Ready that undoes this announcement when the primary has given it up and the log may hold it (T7).
    ///
    /// From the state that was announced, not from the primary's own: whoever took the announcement finds its own state in
    /// it, and the Java readers ignore a step from READY to READY. It is another event than the announcement, so it has
    /// another id: derived and not drawn, to keep randomness out of the machine.
    pub(crate) fn undo(&self) -> Self {
        let id = Uuid::from_u128(self.id.as_u128() ^ 1);
        Self { id, from: self.to, to: BackupState::Ready, operation: Some(self.id), ..self.clone() }
    }

    /// Whether this step takes `announced` back: the primary did not learn whether its announcement had reached the log,
    /// gave it up, and announced the return to Ready (T7). The operation that was announced never ran.
    #[must_use]
    pub fn takes_back(&self, announced: &Self) -> bool {
        let undo = announced.undo();
        // Earlier versions did not name the operation.
        announced.to.is_operation() && (*self == undo || *self == Self { operation: None, ..undo })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_does_not_take_back_what_it_ends() {
        let (begin, end) = (Uuid::from_u128(4), Uuid::from_u128(5));
        let step = |id, millis, from, to| BackupTransition::new(id, "app", millis, from, to);
        let announced = step(begin, 7, BackupState::Ready, BackupState::BackingUp);
        let back = announced.undo();
        let nameless = step(end, 7, BackupState::BackingUp, BackupState::Ready);
        assert_eq!(back, nameless.clone().ending(begin));
        assert!(back.takes_back(&announced));
        assert!(nameless.takes_back(&announced), "as an older version wrote it");
        assert!(!nameless.ending(Uuid::from_u128(6)).takes_back(&announced));
        let random = Uuid::from_u128(99);
        assert!(!step(random, 7, BackupState::BackingUp, BackupState::Ready).takes_back(&announced));
        assert!(!step(end, 8, BackupState::BackingUp, BackupState::Ready).takes_back(&announced));
        assert!(!back.takes_back(&back) && !announced.takes_back(&announced));
    }
}
