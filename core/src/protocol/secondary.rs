//! What a secondary applies, commits and tells, record by record (T1 to T6, T10, T11, S12).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::event::Position;
use crate::listener::Change;
use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::{DecodeError, Decoded};

/// How many ids of its own application a secondary remembers in order to apply none twice (T11): a retry follows its first
/// attempt closely, and this is months of backups.
pub(crate) const REMEMBERED_IDS: usize = 4096;

/// How long a source may be silent before a secondary asks again what remains, if it counted anything: the count may have
/// been too high (gaps in the log).
const RECOUNT_AFTER: Duration = Duration::from_millis(200);

/// Whether the position moves before or after the listeners of a step to Ready (T2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CommitOrder {
    /// Commit, then apply, then listeners. A listener that ends the process does not meet the same event again after the
    /// restart; in exchange, its work for this event may never be done.
    #[default]
    CommitFirst,
    /// Apply, then listeners, then commit. No listener of Ready is ever missed; in exchange, one that ends the process
    /// meets the same event again after each restart.
    ListenersFirst,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) order: CommitOrder,
    pub(crate) shut_while_starting: bool,
    /// While Ready, the position follows other applications' events at most this often (T3).
    pub(crate) commit_interval: Duration,
    /// While Ready and quiet, the position is committed again this often, so that the broker does not forget it.
    pub(crate) keep_alive: Duration,
}

/// Time is the time since the tracker was built.
#[derive(Debug)]
pub(crate) enum Input {
    Record {
        position: Position,
        decoded: Result<Decoded, DecodeError>,
        now: Duration,
    },
    /// The source says that records were lost under its position (S12).
    Lost,
    /// What [`Effect::CountRemaining`] asked for.
    Remaining(u64),
    /// Time passes; see [`Secondary::deadline`].
    Tick {
        now: Duration,
    },
}

#[derive(Debug)]
pub(crate) enum Effect {
    /// Commit; nothing may follow before it is confirmed.
    Commit,
    /// Show this to the world.
    Publish(View),
    /// Tell the listeners; if `wait`, go on only when they have returned.
    Notify { change: Change, wait: bool },
    /// Count and log the record.
    Skip { position: Position, reason: Skip },
    /// Log that steps are missing before this one.
    Gap { position: Position, known: BackupState, from: BackupState },
    /// Ask the source what remains, and say [`Input::Remaining`].
    CountRemaining,
}

/// Why a record has no effect.
#[derive(Debug)]
pub(crate) enum Skip {
    OtherApplication,
    OtherAction(String),
    Undecodable(DecodeError),
    Forbidden { from: BackupState, to: BackupState },
    Duplicate(Uuid),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) state: BackupState,
    pub(crate) last: Option<BackupTransition>,
    pub(crate) synced: bool,
    pub(crate) gate_open: bool,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Secondary {
    application: Arc<str>,
    settings: Settings,
    state: BackupState,
    last: Option<BackupTransition>,
    /// Whether the state rests on an event or a commit, so that a step from elsewhere means that something was missed.
    known: bool,
    lost: bool,
    /// How many records stood in the log at opening and were not returned yet; `None` until counted.
    outstanding: Option<u64>,
    synced: bool,
    /// What the source counted last, less what came since; may be too high until it is counted again.
    backlog: u64,
    remembered: Remembered,
    uncommitted: bool,
    last_commit: Duration,
    last_activity: Duration,
}

impl Secondary {
    /// A resumed session starts in Ready, since only Ready is ever committed (T4).
    pub(crate) fn new(application: Arc<str>, settings: Settings, resumed: bool) -> Self {
        Self {
            application,
            settings,
            state: if resumed { BackupState::Ready } else { BackupState::Starting },
            last: None,
            known: resumed,
            lost: false,
            outstanding: None,
            synced: false,
            backlog: 0,
            remembered: Remembered::default(),
            uncommitted: false,
            last_commit: Duration::ZERO,
            last_activity: Duration::ZERO,
        }
    }

    pub(crate) fn view(&self) -> View {
        let shut = self.state.is_operation()
            || (self.settings.shut_while_starting && self.state == BackupState::Starting);
        View {
            state: self.state,
            last: self.last.clone(),
            synced: self.synced,
            gate_open: self.synced && !shut,
        }
    }

    /// How many records the log holds that have not come yet, as far as known.
    pub(crate) const fn backlog(&self) -> u64 {
        self.backlog
    }

    /// When the next [`Input::Tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let recount = self.counts_again().then(|| self.last_activity + RECOUNT_AFTER);
        [recount, self.commit_due()].into_iter().flatten().min()
    }

    /// An old count is not left standing.
    const fn counts_again(&self) -> bool {
        !self.synced || self.backlog > 0
    }

    fn commit_due(&self) -> Option<Duration> {
        let every = if self.uncommitted { self.settings.commit_interval } else { self.settings.keep_alive };
        (self.state == BackupState::Ready).then(|| self.last_commit + every)
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Record { position, decoded, now } => self.record(position, decoded, now, &mut effects),
            Input::Lost => self.log_lost(&mut effects),
            Input::Remaining(remaining) => self.count(remaining, &mut effects),
            Input::Tick { now } => self.tick(now, &mut effects),
        }
        effects
    }

    fn record(
        &mut self,
        position: Position,
        decoded: Result<Decoded, DecodeError>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let replay = self.outstanding.is_none_or(|outstanding| outstanding > 0);
        self.outstanding = self.outstanding.map(|outstanding| outstanding.saturating_sub(1));
        self.backlog = self.backlog.saturating_sub(1);
        self.last_activity = now;
        self.uncommitted = true;
        match self.understand(decoded) {
            Ok(transition) => self.apply(position, transition, replay, now, effects),
            Err(reason) => {
                effects.push(Effect::Skip { position, reason });
                self.commit_if_due(now, effects);
                self.sync_if_done(effects);
            }
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
        if transition.application != self.application {
            Err(Skip::OtherApplication)
        } else if !from.can_become(to) {
            Err(Skip::Forbidden { from, to })
        } else if !self.remembered.insert(id) {
            Err(Skip::Duplicate(id))
        } else {
            Ok(transition)
        }
    }

    fn apply(
        &mut self,
        position: Position,
        transition: BackupTransition,
        replay: bool,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let from = transition.from;
        let missed = self.lost || (self.known && from != self.state);
        if missed {
            effects.push(Effect::Gap { position, known: self.state, from });
        }
        self.state = transition.to;
        self.last = Some(transition.clone());
        self.known = true;
        self.lost = false;
        self.synced |= self.outstanding == Some(0);

        let change = Change { transition, replay, missed };
        let publish = Effect::Publish(self.view());
        match (self.state, self.settings.order) {
            (BackupState::Ready, CommitOrder::CommitFirst) => {
                effects.extend([Effect::Commit, publish, Effect::Notify { change, wait: false }]);
                self.committed(now);
            }
            (BackupState::Ready, CommitOrder::ListenersFirst) => {
                effects.extend([publish, Effect::Notify { change, wait: true }, Effect::Commit]);
                self.committed(now);
            }
            _ => effects.extend([publish, Effect::Notify { change, wait: false }]),
        }
    }

    /// Nothing that is known about the application is certain any more. An operation that was running counts as running
    /// until the primary says Ready: better paused too long than a corrupt backup.
    fn log_lost(&mut self, effects: &mut Vec<Effect>) {
        if !self.state.is_operation() {
            self.state = BackupState::Starting;
        }
        self.lost = true;
        self.synced = false;
        self.outstanding = None;
        effects.extend([Effect::Publish(self.view()), Effect::CountRemaining]);
    }

    /// Both the old count, less what came since, and the new one may be too high, but neither is too low.
    fn count(&mut self, remaining: u64, effects: &mut Vec<Effect>) {
        self.outstanding = Some(self.outstanding.map_or(remaining, |old| old.min(remaining)));
        self.backlog = remaining;
        self.sync_if_done(effects);
    }

    fn sync_if_done(&mut self, effects: &mut Vec<Effect>) {
        if !self.synced && self.outstanding == Some(0) {
            self.synced = true;
            effects.push(Effect::Publish(self.view()));
        }
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.commit_if_due(now, effects);
        if self.counts_again() && now >= self.last_activity + RECOUNT_AFTER {
            self.last_activity = now;
            effects.push(Effect::CountRemaining);
        }
    }

    fn commit_if_due(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.commit_due().is_some_and(|due| now >= due) {
            effects.push(Effect::Commit);
            self.committed(now);
        }
    }

    const fn committed(&mut self, now: Duration) {
        self.uncommitted = false;
        self.last_commit = now;
    }
}

/// The newest ids, oldest first.
#[derive(Debug, Default)]
struct Remembered {
    order: VecDeque<Uuid>,
    set: HashSet<Uuid>,
}

impl Remembered {
    /// False if it was there before.
    fn insert(&mut self, id: Uuid) -> bool {
        if !self.set.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests;
