//! What a secondary applies, commits and tells, record by record (T1 to T6, T8, T10 to T14, S12).

mod interface;

use std::sync::Arc;
use std::time::Duration;

use super::View;
use super::applier::{Applied, Applier};
use super::backlog::Backlog;
use super::calls::{Call, Calls};
use super::place::Place;
use crate::error::Error;
use crate::event::Position;
use crate::listener::{Change, Notice};
use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::{DecodeError, Decoded};

pub use interface::CommitOrder;
pub(crate) use interface::{Effect, Input, Settings};

/// How long a step to Ready may wait for the listeners of earlier steps, with the gate shut and nothing read meanwhile, so that
/// its commit covers nothing that was not told. After that the gate follows the log without the commit until they have returned
/// (T12).
pub(crate) const LISTENER_GRACE: Duration = Duration::from_secs(1);

/// The machine.
#[derive(Debug)]
pub(crate) struct Secondary {
    settings: Settings,
    applier: Applier,
    place: Place,
    backlog: Backlog,
    calls: Calls,
    /// The state that shows, and the step that led to it. Behind the applier's while a Ready is held back.
    state: BackupState,
    last: Option<BackupTransition>,
    held: Option<Held>,
    /// A step to Ready has waited for the call that is running, in vain. No other waits for it.
    listeners_are_late: bool,
    /// What the last view said.
    synced: bool,
    gate_open: bool,
    /// Records were lost, and no step has come since (T14).
    lost: bool,
    contact: Contact,
    position: Commits,
    /// What remains is not asked for before this.
    count_again_at: Duration,
}

/// A step to Ready that does not show yet (T2). Nothing is read meanwhile, so with the gate open it is not held for long.
#[derive(Debug)]
struct Held {
    change: Change,
    waits: WaitsFor,
}

#[derive(Debug)]
enum WaitsFor {
    /// The listeners of earlier steps, until then.
    Listeners { until: Duration },
    /// Its own commit, which is tried again then.
    Commit { retry_at: Duration },
    /// One attempt at its commit: the gate is open.
    OneAttempt,
}

#[derive(Debug)]
enum Contact {
    Good,
    LostAt(Duration),
    /// For so long that the gate was shut (T13).
    Silent,
}

/// What is known of the position.
#[derive(Debug, Default)]
struct Commits {
    /// Something was read that is not behind it.
    behind: bool,
    /// A Ready of the own application was read that is not behind it.
    ready: bool,
    last: Duration,
    retry_at: Duration,
}

impl Secondary {
    /// A resumed session starts in Ready, since only Ready is ever committed (T4).
    pub(crate) fn new(application: Arc<str>, settings: Settings, resumed: bool) -> Self {
        let applier = if resumed { Applier::resumed(application) } else { Applier::new(application) };
        Self {
            calls: Calls::new(settings.order),
            settings,
            state: applier.state(),
            applier,
            place: Place::default(),
            backlog: Backlog::new(),
            last: None,
            held: None,
            listeners_are_late: false,
            synced: false,
            gate_open: false,
            lost: false,
            contact: Contact::Good,
            position: Commits::default(),
            count_again_at: Duration::ZERO,
        }
    }

    pub(crate) const fn application(&self) -> &Arc<str> {
        self.applier.application()
    }

    pub(crate) fn view(&self) -> View {
        let (synced, gate_open) = self.synced_and_open();
        View { state: self.state, last: self.last.clone(), synced, lost: self.lost, gate_open }
    }

    fn synced_and_open(&self) -> (bool, bool) {
        // A step that does not show yet is not applied (T10).
        let synced = if self.held.is_some() { self.synced } else { self.backlog.is_read() };
        let unknown = (self.lost && !self.settings.open_after_loss)
            || (self.settings.shut_while_starting && self.state == BackupState::Starting)
            || matches!(self.contact, Contact::Silent);
        (synced, synced && !self.state.is_operation() && !unknown)
    }

    /// How many records the log holds that have not come yet, as far as known.
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog.remaining()
    }

    /// How many calls of listeners have not returned or not begun.
    pub(crate) fn outstanding_calls(&self) -> u64 {
        self.calls.outstanding()
    }

    /// The calls that are still to be made when the session ends.
    pub(crate) fn remaining_calls(&mut self) -> Vec<Call> {
        self.calls.take_waiting()
    }

    /// Whether the next record may be read now.
    pub(crate) const fn reads(&self) -> bool {
        self.held.is_none()
    }

    /// When the next [`Input::Tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let held = self.held.as_ref().and_then(|held| match held.waits {
            WaitsFor::Listeners { until } => Some(until),
            WaitsFor::Commit { retry_at } => Some(retry_at),
            WaitsFor::OneAttempt => None,
        });
        [held, self.count_due(), self.commit_due(), self.silence_due()].into_iter().flatten().min()
    }

    fn count_due(&self) -> Option<Duration> {
        self.backlog.recount_due().map(|due| due.max(self.count_again_at))
    }

    fn commit_due(&self) -> Option<Duration> {
        let is_ready = self.state == BackupState::Ready && self.held.is_none();
        if !is_ready || !self.calls.allow_commit() {
            return None;
        }
        let Commits { behind, ready, last, retry_at } = self.position;
        let due = if ready || self.calls.wait_for_commit() {
            last
        } else if behind {
            last.saturating_add(self.settings.commit_interval)
        } else {
            last.saturating_add(self.settings.keep_alive)
        };
        Some(due.max(retry_at))
    }

    fn silence_due(&self) -> Option<Duration> {
        match (&self.contact, self.settings.shut_after_silence) {
            (Contact::LostAt(since), Some(patience)) => Some(since.saturating_add(patience)),
            _ => None,
        }
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        let now = match &input {
            Input::Record { now, .. } | Input::Others { now, .. } | Input::Tick { now } => Some(*now),
            _ => None,
        };
        match input {
            Input::Begin => self.begin(&mut effects),
            Input::Record { position, decoded, now } => self.record(position, decoded, now, &mut effects),
            Input::Others { position, count, now } => self.others(position, count, now),
            Input::Lost { error, again_at } => self.log_lost(error, again_at, &mut effects),
            Input::Remaining(remaining) => self.backlog.count(remaining),
            Input::NotCounted { retry_at } => self.count_again_at = retry_at,
            Input::Committed { now } => self.committed(now, &mut effects),
            Input::NotCommitted { retry_at } => self.not_committed(retry_at, &mut effects),
            Input::Returned => self.returned(&mut effects),
            Input::OutOfContact { now } => self.out_of_contact(now),
            Input::InContact => self.in_contact(),
            Input::Tick { now } => self.tick(now, &mut effects),
        }
        self.show_if_changed(&mut effects);
        if let Some(call) = self.calls.begin_next() {
            effects.push(Effect::Call(call));
        }
        // Last, since it may take its time.
        if self.commit_due().zip(now).is_some_and(|(due, now)| now >= due) {
            effects.push(Effect::Commit { insist: false });
        }
        effects
    }

    fn begin(&mut self, effects: &mut Vec<Effect>) {
        let state = self.state;
        self.calls.push_notice(Notice::Begun { state, resumed: state == BackupState::Ready });
        effects.push(Effect::CountRemaining);
    }

    fn record(
        &mut self,
        position: Position,
        decoded: Result<Decoded, DecodeError>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let replay = self.backlog.record(position, now);
        self.position.behind = true;
        match self.applier.apply(decoded) {
            Ok(applied) => self.apply(position, applied, replay, now, effects),
            Err(reason) => effects.push(Effect::Skip { position, reason }),
        }
    }

    fn others(&mut self, position: Position, count: u64, now: Duration) {
        self.backlog.records(position, count, now);
        self.position.behind = true;
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
        let (_, gate_was_open) = self.synced_and_open();
        let change = Change { replay, missed: gap.is_some(), ..Change::step(transition) };
        let leads_to_ready = change.transition.to == BackupState::Ready;
        self.position.ready = leads_to_ready;
        // With the gate open, nothing may keep the source from telling of the next operation for long.
        let is_covered = self.calls.are_covered();
        if !leads_to_ready || self.settings.order == CommitOrder::ListenersFirst {
            self.show(change, false, effects);
        } else if gate_was_open && is_covered {
            self.held = Some(Held { change, waits: WaitsFor::OneAttempt });
            effects.push(Effect::Commit { insist: false });
        } else if gate_was_open {
            self.show(change, false, effects);
        } else if is_covered {
            self.held = Some(Held { change, waits: WaitsFor::Commit { retry_at: now } });
            effects.push(Effect::Commit { insist: true });
        } else if self.listeners_are_late {
            self.show(change, false, effects);
        } else {
            let until = now.saturating_add(LISTENER_GRACE);
            self.held = Some(Held { change, waits: WaitsFor::Listeners { until } });
        }
    }

    /// The step shows, and its listeners are next in line.
    fn show(&mut self, change: Change, committed: bool, effects: &mut Vec<Effect>) {
        let transition = &change.transition;
        (self.state, self.last, self.lost) = (transition.to, Some(transition.clone()), false);
        self.publish(effects);
        let (transition, replay, missed) = (transition.clone(), change.replay, change.missed);
        effects.push(Effect::Applied { transition, replay, missed });
        self.calls.push(change, committed);
    }

    fn publish(&mut self, effects: &mut Vec<Effect>) {
        let view = self.view();
        (self.synced, self.gate_open) = (view.synced, view.gate_open);
        effects.push(Effect::Publish(view));
    }

    fn show_if_changed(&mut self, effects: &mut Vec<Effect>) {
        if self.synced_and_open() != (self.synced, self.gate_open) {
            self.publish(effects);
        }
    }

    fn log_lost(&mut self, error: Error, again_at: Duration, effects: &mut Vec<Effect>) {
        self.applier.lose();
        self.place.lose();
        self.backlog.lose();
        self.lost = true;
        // Nothing that was read is in the log any more, so nothing is left that could be read again.
        self.calls.committed();
        self.position = Commits { last: self.position.last, retry_at: again_at, ..Commits::default() };
        self.count_again_at = again_at;
        if let Some(Held { change, .. }) = self.held.take() {
            self.calls.push(change, true);
        }
        self.state = self.applier.state();
        self.publish(effects);
        self.calls.push_notice(Notice::Lost { error });
    }

    fn committed(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.position = Commits { last: now, ..Commits::default() };
        self.calls.committed();
        if let Some(Held { change, .. }) = self.held.take() {
            self.show(change, true, effects);
        }
    }

    fn not_committed(&mut self, again_at: Duration, effects: &mut Vec<Effect>) {
        self.position.retry_at = again_at;
        match self.held.take() {
            Some(Held { change, waits: WaitsFor::OneAttempt }) => self.show(change, false, effects),
            Some(Held { change, waits: WaitsFor::Commit { .. } }) => {
                self.held = Some(Held { change, waits: WaitsFor::Commit { retry_at: again_at } });
            }
            held => self.held = held,
        }
    }

    fn returned(&mut self, effects: &mut Vec<Effect>) {
        self.calls.returned();
        self.listeners_are_late = false;
        if let Some(Held { waits, .. }) = &mut self.held
            && matches!(waits, WaitsFor::Listeners { .. })
            && self.calls.are_covered()
        {
            *waits = WaitsFor::Commit { retry_at: Duration::ZERO };
            effects.push(Effect::Commit { insist: true });
        }
    }

    fn out_of_contact(&mut self, now: Duration) {
        if matches!(self.contact, Contact::Good) {
            self.contact = Contact::LostAt(now);
        }
    }

    /// What came in the meantime is in the log. After a silence the gate stays shut until it is read.
    fn in_contact(&mut self) {
        match std::mem::replace(&mut self.contact, Contact::Good) {
            Contact::Silent => self.backlog.lose(),
            Contact::LostAt(_) => self.backlog.doubt(),
            Contact::Good => {}
        }
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.silence_due().is_some_and(|due| now >= due) {
            self.contact = Contact::Silent;
        }
        match &self.held {
            Some(Held { waits: WaitsFor::Listeners { until }, .. }) if now >= *until => {
                if let Some(Held { change, .. }) = self.held.take() {
                    self.listeners_are_late = true;
                    self.show(change, false, effects);
                }
            }
            Some(Held { waits: WaitsFor::Commit { retry_at }, .. }) if now >= *retry_at => {
                effects.push(Effect::Commit { insist: true });
            }
            _ => {}
        }
        if now >= self.count_again_at && self.backlog.recount(now) {
            effects.push(Effect::CountRemaining);
        }
    }
}

#[cfg(test)]
mod tests;
