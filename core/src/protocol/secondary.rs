//! What a secondary applies, commits and tells, record by record (T1 to T6, T10, T11, S12).

use std::sync::Arc;
use std::time::Duration;

use super::applier::{Applied, Applier, Skip};
use super::backlog::Backlog;
use super::place::Place;
use crate::event::Position;
use crate::listener::Change;
use crate::source::Remaining;
use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::{DecodeError, Decoded};

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
    /// So many records that are certainly about other applications (T1). They are counted already.
    Others {
        position: Position,
        count: u64,
        now: Duration,
    },
    /// The source says that records were lost under its position (S12).
    Lost,
    /// What [`Effect::CountRemaining`] asked for.
    Remaining(Remaining),
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
    /// Count and warn that this step stands in another partition than the one before it, so that their order is not certain.
    PartitionChange { position: Position, before: u32 },
    /// Ask the source what remains, and say [`Input::Remaining`].
    CountRemaining,
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
    settings: Settings,
    applier: Applier,
    place: Place,
    last: Option<BackupTransition>,
    backlog: Backlog,
    /// What the last view said.
    synced: bool,
    uncommitted: bool,
    last_commit: Duration,
}

impl Secondary {
    /// A resumed session starts in Ready, since only Ready is ever committed (T4).
    pub(crate) fn new(application: Arc<str>, settings: Settings, resumed: bool) -> Self {
        Self {
            settings,
            applier: if resumed { Applier::resumed(application) } else { Applier::new(application) },
            place: Place::default(),
            last: None,
            backlog: Backlog::new(),
            synced: false,
            uncommitted: false,
            last_commit: Duration::ZERO,
        }
    }

    pub(crate) const fn application(&self) -> &Arc<str> {
        self.applier.application()
    }

    pub(crate) fn view(&self) -> View {
        let (state, synced) = (self.applier.state(), self.backlog.is_read());
        let shut =
            state.is_operation() || (self.settings.shut_while_starting && state == BackupState::Starting);
        View { state, last: self.last.clone(), synced, gate_open: synced && !shut }
    }

    /// How many records the log holds that have not come yet, as far as known.
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog.remaining()
    }

    /// When the next [`Input::Tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        [self.backlog.recount_due(), self.commit_due()].into_iter().flatten().min()
    }

    fn commit_due(&self) -> Option<Duration> {
        let every = if self.uncommitted { self.settings.commit_interval } else { self.settings.keep_alive };
        (self.applier.state() == BackupState::Ready).then(|| self.last_commit + every)
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Record { position, decoded, now } => self.record(position, decoded, now, &mut effects),
            Input::Others { position, count, now } => self.others(position, count, now, &mut effects),
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
        let replay = self.backlog.record(position, now);
        self.uncommitted = true;
        match self.applier.apply(decoded) {
            Ok(applied) => self.apply(position, applied, replay, now, effects),
            Err(reason) => {
                effects.push(Effect::Skip { position, reason });
                self.commit_if_due(now, effects);
                self.sync_if_done(effects);
            }
        }
    }

    fn others(&mut self, position: Position, count: u64, now: Duration, effects: &mut Vec<Effect>) {
        self.backlog.records(position, count, now);
        self.uncommitted = true;
        self.commit_if_due(now, effects);
        self.sync_if_done(effects);
    }

    fn apply(
        &mut self,
        position: Position,
        Applied { transition, gap }: Applied,
        replay: bool,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(before) = self.place.moves_to(position) {
            effects.push(Effect::PartitionChange { position, before });
        }
        if let Some(known) = gap {
            effects.push(Effect::Gap { position, known, from: transition.from });
        }
        let (to, missed) = (transition.to, gap.is_some());
        self.last = Some(transition.clone());
        self.synced = self.backlog.is_read();

        let change = Change { transition, replay, missed };
        let publish = Effect::Publish(self.view());
        match (to, self.settings.order) {
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

    fn log_lost(&mut self, effects: &mut Vec<Effect>) {
        self.applier.lose();
        self.place.lose();
        self.backlog.lose();
        self.synced = false;
        effects.extend([Effect::Publish(self.view()), Effect::CountRemaining]);
    }

    fn count(&mut self, remaining: Remaining, effects: &mut Vec<Effect>) {
        self.backlog.count(remaining);
        self.sync_if_done(effects);
    }

    fn sync_if_done(&mut self, effects: &mut Vec<Effect>) {
        if !self.synced && self.backlog.is_read() {
            self.synced = true;
            effects.push(Effect::Publish(self.view()));
        }
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.commit_if_due(now, effects);
        if self.backlog.recount(now) {
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

#[cfg(test)]
mod tests;
