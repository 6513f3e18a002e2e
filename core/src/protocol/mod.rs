//! Every decision of the protocol, without I/O, clock, randomness or locks.
//!
//! A machine takes an input and returns effects. Its driver performs them one after the other, each to its end before the
//! next, and a crash may fall between any two: what is promised must hold at every such place. The drivers are in
//! `tracker`; the tests here explore the machines themselves.

pub(crate) mod applier;
pub(crate) mod backlog;
pub(crate) mod calls;
pub(crate) mod place;
pub(crate) mod primary;
pub(crate) mod secondary;

#[cfg(test)]
mod exploration;
#[cfg(test)]
mod two_primaries;

use crate::state::BackupState;
use crate::transition::BackupTransition;

/// What a tracker shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) state: BackupState,
    /// The newest step.
    pub(crate) last: Option<BackupTransition>,
    pub(crate) synced: bool,
    /// Records were lost, and no step has come since (T14).
    pub(crate) lost: bool,
    pub(crate) gate_open: bool,
}

impl View {
    /// Of a tracker that takes its steps itself.
    pub(crate) fn after(step: BackupTransition) -> Self {
        let state = step.to;
        Self { state, last: Some(step), synced: true, lost: false, gate_open: !state.is_operation() }
    }
}
