//! What goes into the machine of a secondary, and what comes out of it.

use std::time::Duration;

#[cfg(doc)]
use super::Secondary;
use crate::error::Error;
use crate::event::Position;
#[cfg(doc)]
use crate::listener::Change;
use crate::protocol::View;
use crate::protocol::applier::Skip;
use crate::protocol::calls::Call;
use crate::source::Remaining;
use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::{DecodeError, Decoded};

/// Whether the position moves before or after the listeners of a step to Ready (T2).
///
/// In both orders a commit never covers a step whose listeners have not returned, except, in the first one, the Ready for
/// which it is made. So after a crash every other step is told again whose listeners had not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CommitOrder {
    /// Commit, then apply, then listeners. A listener that ends the process does not meet the same event again after the
    /// restart; in exchange, its work for this event may never be done.
    ///
    /// Where the gate is open already and the commit does not succeed within 1 s, and where listeners are still busy with an
    /// earlier step for more than 1 s, the step is applied first, so that a later operation is seen; its listeners wait for the
    /// commit. A Ready that could not be committed before the next step came is passed over
    /// ([`Change::passed_over`]).
    #[default]
    CommitFirst,
    /// Apply, then listeners, then commit. No listener of Ready is ever missed; in exchange, one that ends the process
    /// meets the same event again after each restart. The gate opens when the step is applied and waits for no listener.
    ListenersFirst,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) order: CommitOrder,
    pub(crate) shut_while_starting: bool,
    /// Whether the gate opens after a loss although no step has said where the application is (T14).
    pub(crate) open_after_loss: bool,
    /// The gate shuts when the source was out of contact for so long (T13).
    pub(crate) shut_after_silence: Option<Duration>,
    /// While Ready, the position follows other applications' events at most this often (T3).
    pub(crate) commit_interval: Duration,
    /// While Ready and quiet, the position is committed again this often, so that the broker does not forget it.
    pub(crate) keep_alive: Duration,
}

/// Time is the time since the tracker was built.
#[derive(Debug)]
pub(crate) enum Input {
    /// The session begins; only once, before anything else.
    Begin,
    Record {
        position: Position,
        decoded: Result<Decoded, DecodeError>,
        now: Duration,
    },
    /// So many records that are certainly about other applications (T1). They are counted already.
    Others {
        position: Position,
        count: u64,
        now: Duration,
    },
    /// The source says that records were lost under its position (S12). Nothing is asked of it before `again_at`.
    Lost {
        error: Error,
        again_at: Duration,
    },
    /// What [`Effect::CountRemaining`] asked for.
    Remaining(Remaining),
    /// It was not answered. To be asked again from then on.
    NotCounted {
        retry_at: Duration,
    },
    /// What [`Effect::Commit`] asked for is confirmed.
    Committed {
        now: Duration,
    },
    /// It is not; the position is the old one or the new one. To be tried again from then on.
    NotCommitted {
        retry_at: Duration,
    },
    /// The listeners of the last [`Effect::Call`] have returned.
    Returned,
    /// Reading has failed, and is not known to work again.
    OutOfContact {
        now: Duration,
    },
    /// Reading works again.
    InContact,
    /// Time passes; see [`Secondary::deadline`].
    Tick {
        now: Duration,
    },
}

#[derive(Debug)]
pub(crate) enum Effect {
    /// Commit, and say [`Input::Committed`], [`Input::NotCommitted`] or [`Input::Lost`] before anything else is said. Unless
    /// `insist`, reading comes first: an attempt that takes long is given up.
    Commit { insist: bool },
    /// Show this to the world.
    Publish(View),
    /// Count and log the step.
    Applied { transition: BackupTransition, replay: bool, missed: bool },
    /// Call the listeners, and say [`Input::Returned`] when they have returned.
    Call(Call),
    /// Count and log the record.
    Skip { position: Position, reason: Skip },
    /// Log that steps are missing before this one.
    Gap { position: Position, known: BackupState, from: BackupState },
    /// Count and warn that this step stands in another partition than the one before it, so that their order is not certain.
    PartitionChange { position: Position, before: u32 },
    /// Ask the source what remains, and say [`Input::Remaining`], [`Input::NotCounted`] or [`Input::Lost`]. Reading comes first
    /// once all of the backlog is read.
    CountRemaining,
}
