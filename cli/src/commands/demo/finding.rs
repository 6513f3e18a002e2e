//! What can be wrong with a run.

use std::fmt;

use backup_tracker::{BackupState, BackupTransition};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The primary did not announce what the script asks for.
    OffPlan { announced: Vec<BackupState> },
    /// The work of an operation never began.
    NoOperation { state: BackupState },
    /// It had more or fewer sessions than the script gives it.
    Sessions { expected: usize, count: usize },
    /// A session was never told.
    Missing { session: usize, transition: BackupTransition },
    /// A session was told more than once.
    Repeated { session: usize, transition: BackupTransition, times: usize },
    /// A session was told what it should not have been told.
    Unexpected { session: usize, transition: BackupTransition },
    /// A session was told with the right id and a wrong content.
    Altered { session: usize, transition: BackupTransition },
    /// A session was told in another order than that of the announcements.
    OutOfOrder { session: usize },
    /// What happened before the session was told as news, or news as a replay.
    WrongReplay { session: usize, transition: BackupTransition, replay: bool },
    /// The tracker said that something was missed before this one.
    SaidMissed { session: usize, transition: BackupTransition },
    /// It held a permit while the operation ran.
    WorkedDuring { state: BackupState },
    /// It did not work when it could.
    NeverWorked { when: &'static str },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffPlan { announced } => {
                let announced: Vec<_> = announced.iter().map(|state| state.as_str()).collect();
                write!(f, "the announcements were not those of the script: {}", announced.join(", "))
            }
            Self::NoOperation { state } => write!(f, "the work of {state} never began"),
            Self::Sessions { expected, count } => {
                write!(f, "it had {count} sessions instead of {expected}")
            }
            Self::Missing { session, transition } => {
                write!(f, "session {session} was never told {}", Brief(transition))
            }
            Self::Repeated { session, transition, times } => {
                write!(f, "session {session} was told {times} times {}", Brief(transition))
            }
            Self::Unexpected { session, transition } => {
                write!(f, "session {session} should not have been told {}", Brief(transition))
            }
            Self::Altered { session, transition } => {
                write!(f, "session {session} was told something else instead of {}", Brief(transition))
            }
            Self::OutOfOrder { session } => {
                write!(f, "session {session} was told in another order than announced")
            }
            Self::WrongReplay { session, transition, replay: true } => {
                write!(f, "session {session} was told as a replay, though it was new: {}", Brief(transition))
            }
            Self::WrongReplay { session, transition, replay: false } => {
                write!(f, "session {session} was told as new, though it was a replay: {}", Brief(transition))
            }
            Self::SaidMissed { session, transition } => {
                write!(f, "session {session} missed something before {}", Brief(transition))
            }
            Self::WorkedDuring { state } => write!(f, "it held a permit during {state}"),
            Self::NeverWorked { when } => write!(f, "it did not work {when}, when it could"),
        }
    }
}

/// A transition without its application, which is the same for all.
struct Brief<'a>(&'a BackupTransition);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} ({})", self.0.from, self.0.to, self.0.id)
    }
}
