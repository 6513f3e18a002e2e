//! What of a log has an effect on one application (T1, T5, T6, T11, F1).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::{DecodeError, Decoded};

/// How many ids of its own application a secondary remembers in order to apply none twice (T11): a retry follows its first
/// attempt closely, and this is months of backups.
pub(crate) const REMEMBERED_IDS: usize = 4096;

/// How many operations that were begun on top of each other are told apart.
const MOST_RUNNING: usize = 64;

/// Decides, record by record, which steps of one application are applied, and what its state is after them: the rules of
/// every secondary (T1, T5, T6, T11, F1), without a position, listeners or a gate. For programs that only look at a log.
///
/// ```
/// use backup_tracker::{Applier, BackupState, BackupTransition, Skip, wire::Decoded};
/// use uuid::Uuid;
///
/// let mut shop = Applier::new("shop");
/// let step = |id, from, to| Ok(Decoded::Transition(BackupTransition::new(Uuid::from_u128(id), "shop", 0, from, to)));
///
/// let applied = shop.apply(step(1, BackupState::Ready, BackupState::BackingUp)).unwrap();
/// assert_eq!(applied.gap, None);
/// assert_eq!(shop.state(), BackupState::BackingUp);
///
/// let repeated = shop.apply(step(1, BackupState::Ready, BackupState::BackingUp));
/// assert!(matches!(repeated, Err(Skip::Duplicate(_))));
///
/// let applied = shop.apply(step(2, BackupState::Ready, BackupState::Restoring)).unwrap();
/// assert_eq!(applied.gap, Some(BackupState::BackingUp));
/// ```
#[derive(Clone, Debug)]
pub struct Applier {
    application: Arc<str>,
    state: BackupState,
    /// Whether the state rests on an event or a commit, so that a step from elsewhere means that something was missed.
    known: bool,
    lost: bool,
    /// The ids of the events that began what runs and whose ends have not come, where the log told: several where primaries
    /// began on top of each other.
    running: Vec<Uuid>,
    remembered: Remembered,
}

/// A step that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The step.
    pub transition: BackupTransition,
    /// Where something before it was missed: the state that was known until then (T5, S12).
    pub gap: Option<BackupState>,
}

/// Why a record has no effect on an application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Skip {
    /// It is about another application (T1).
    #[error("it is about another application")]
    OtherApplication,
    /// It is about the application, and about neither a backup nor a restore.
    #[error("its action `{0}` is neither a backup nor a restore")]
    OtherAction(String),
    /// It is no transition (T6).
    #[error("it is no transition: {0}")]
    Undecodable(#[source] DecodeError),
    /// The state table forbids the step (T5).
    #[error("the state table forbids a step from {from} to {to}")]
    Forbidden {
        /// The state that the step leaves.
        from: BackupState,
        /// The state that the step reaches.
        to: BackupState,
    },
    /// The event was applied before (T11), or it begins an operation whose end came before it: its send was given up, and
    /// the log took it late.
    #[error("event {0}, or the end of the operation that it begins, was applied before")]
    Duplicate(Uuid),
    /// It ends another operation than the one that runs (F1): a primary that was cut off announces late that its own operation
    /// is over, and meanwhile another primary has begun one.
    #[error(
        "it ends the operation that began with event {named}, and the one that began with event {running} runs"
    )]
    OtherOperation {
        /// The event that began the operation that the step ends.
        named: Uuid,
        /// The event that began the operation that runs.
        running: Uuid,
    },
}

impl Applier {
    /// Nothing is known of the application: its state is Starting.
    pub fn new(application: impl Into<Arc<str>>) -> Self {
        Self {
            application: application.into(),
            state: BackupState::Starting,
            known: false,
            lost: false,
            running: Vec::new(),
            remembered: Remembered::default(),
        }
    }

    /// The application was Ready where the reading begins (T4).
    pub(crate) fn resumed(application: Arc<str>) -> Self {
        Self { state: BackupState::Ready, known: true, ..Self::new(application) }
    }

    pub(crate) const fn application(&self) -> &Arc<str> {
        &self.application
    }

    /// The state after all that was applied.
    #[must_use]
    pub const fn state(&self) -> BackupState {
        self.state
    }

    #[cfg(test)]
    pub(crate) fn running(&self) -> &[Uuid] {
        &self.running
    }

    /// Takes the next record of the log, decoded by [`wire::decode`](crate::wire::decode).
    ///
    /// # Errors
    ///
    /// Why it has no effect. The state has not changed then.
    pub fn apply(&mut self, decoded: Result<Decoded, DecodeError>) -> Result<Applied, Skip> {
        let transition = self.understand(decoded)?;
        let missed = self.lost || (self.known && transition.from != self.state);
        let gap = missed.then_some(self.state);
        self.begin_or_end(&transition);
        self.state = transition.to;
        self.known = true;
        self.lost = false;
        Ok(Applied { transition, gap })
    }

    /// A primary that has just started begins anew, whatever ran before it. Any other beginning joins those whose ends have not
    /// come: what was begun at the same time is over when all of it is.
    fn begin_or_end(&mut self, BackupTransition { id, from, to, .. }: &BackupTransition) {
        let joins = to.is_operation() && self.state.is_operation() && *from != BackupState::Starting;
        if !joins {
            self.running.clear();
        }
        if to.is_operation() {
            self.running.truncate(MOST_RUNNING - 1);
            self.running.push(*id);
        }
    }

    fn understand(&mut self, decoded: Result<Decoded, DecodeError>) -> Result<BackupTransition, Skip> {
        let transition = match decoded.map_err(Skip::Undecodable)? {
            Decoded::Transition(transition) => transition,
            Decoded::OtherAction { application, .. } if application != self.application => {
                return Err(Skip::OtherApplication);
            }
            Decoded::OtherAction { action, .. } => return Err(Skip::OtherAction(action)),
        };
        let BackupTransition { id, from, to, .. } = transition;
        let named = transition.operation.filter(|_| to == BackupState::Ready);
        if transition.application != self.application {
            return Err(Skip::OtherApplication);
        }
        if !from.can_become(to) {
            return Err(Skip::Forbidden { from, to });
        }
        if self.remembered.contains(id) {
            return Err(Skip::Duplicate(id));
        }
        if let Some(named) = named {
            // Its beginning may still come, if nobody knows what became of that.
            self.remembered.insert(named);
            let known = !self.running.is_empty();
            self.running.retain(|running| *running != named);
            if let Some(&running) = self.running.first().filter(|_| known) {
                return Err(Skip::OtherOperation { named, running });
            }
        }
        self.remembered.insert(id);
        Ok(transition)
    }

    /// Records were lost (S12): nothing that is known about the application is certain any more. An operation that was
    /// running counts as running until the primary says Ready, and any end ends it: better paused too long than a corrupt
    /// backup. The log is read again from its earliest record, so what was applied before is applied again.
    pub fn lose(&mut self) {
        if !self.state.is_operation() {
            self.state = BackupState::Starting;
        }
        self.lost = true;
        self.running.clear();
        // What is read again is to be applied again.
        self.remembered = Remembered::default();
    }

    #[cfg(test)]
    pub(crate) fn remembers(&self) -> usize {
        self.remembered.set.len()
    }
}

/// The newest ids, oldest first.
#[derive(Clone, Debug, Default)]
struct Remembered {
    order: VecDeque<Uuid>,
    set: HashSet<Uuid>,
}

impl Remembered {
    fn contains(&self, id: Uuid) -> bool {
        self.set.contains(&id)
    }

    fn insert(&mut self, id: Uuid) {
        if !self.set.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
