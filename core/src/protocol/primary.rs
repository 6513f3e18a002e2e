//! What a primary announces, when, and what follows from the outcome (T7, T11).

use std::sync::Arc;

use uuid::Uuid;

use crate::error::{Delivery, Error};
use crate::state::BackupState;
use crate::transition::BackupTransition;

/// What the application asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    StartupComplete,
    StartBackup,
    FinishBackup,
    StartRestore,
    FinishRestore,
}

impl Action {
    pub(crate) const fn target(self) -> BackupState {
        match self {
            Self::StartupComplete | Self::FinishBackup | Self::FinishRestore => BackupState::Ready,
            Self::StartBackup => BackupState::BackingUp,
            Self::StartRestore => BackupState::Restoring,
        }
    }

    const fn is_legal_from(self, state: BackupState) -> bool {
        match self {
            Self::StartupComplete => true,
            Self::StartBackup | Self::StartRestore => {
                matches!(state, BackupState::Starting | BackupState::Ready)
            }
            Self::FinishBackup => matches!(state, BackupState::BackingUp),
            Self::FinishRestore => matches!(state, BackupState::Restoring),
        }
    }
}

/// One request, with what the machine may not make up itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) action: Action,
    /// The id of the event, should it come to one.
    pub(crate) id: Uuid,
    pub(crate) now_millis: u64,
    /// Only while the operation that began with this event is the one that runs. Nobody ends somebody else's.
    pub(crate) only_if_running: Option<Uuid>,
    /// Whether the announcement stays owed when it is given up, whatever became of it.
    pub(crate) insist: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Only between answers: one command at a time.
    Command(Command),
    /// The broker has the event of the last [`Effect::Send`].
    Accepted,
    /// It has not, or nobody knows.
    Failed(Error),
    /// The wait of the last [`Effect::BackOff`] is over.
    Retry,
    /// There will be no more retries.
    GiveUp,
    /// Nothing else is to be done: pay what is owed, if anything is.
    Idle,
}

#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Send(BackupTransition),
    /// Wait, then say [`Input::Retry`], or [`Input::GiveUp`] when the policy has ended.
    BackOff(Error),
    /// The own state changes, and listeners are told.
    Apply(BackupTransition),
    /// The caller of the command gets this.
    Answer(Result<BackupTransition, Error>),
    /// An announcement is owed from now on; it comes before anything else.
    Owe(BackupTransition, Error),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Primary {
    application: Arc<str>,
    state: BackupState,
    /// The event with which the operation that runs began.
    operation: Option<Uuid>,
    debt: Option<Debt>,
    sending: Option<Sending>,
    /// Waits until the debt is paid.
    waiting: Option<Command>,
}

/// An announcement of Ready that must reach the log before anything else does.
#[derive(Clone, Debug)]
struct Debt {
    transition: BackupTransition,
    /// The action that asked for the very same thing, if one did: paying is doing it.
    answers: Option<Action>,
}

#[derive(Debug)]
struct Sending {
    transition: BackupTransition,
    /// None while the debt is paid.
    command: Option<Command>,
    /// Whether some attempt may have reached the log.
    unknown: bool,
    error: Option<Error>,
}

impl Primary {
    /// In the state that the log's last word left the application in, or in Starting.
    pub(crate) fn new(application: Arc<str>, state: BackupState) -> Self {
        Self { application, state, operation: None, debt: None, sending: None, waiting: None }
    }

    pub(crate) const fn state(&self) -> BackupState {
        self.state
    }

    pub(crate) fn owes(&self) -> Option<&BackupTransition> {
        self.debt.as_ref().map(|debt| &debt.transition)
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Command(command) => self.command(command),
            Input::Idle => self.pay(),
            Input::Accepted => self.accepted(),
            Input::Failed(error) => self.failed(error),
            Input::Retry => {
                self.sending.as_ref().map(|s| Effect::Send(s.transition.clone())).into_iter().collect()
            }
            Input::GiveUp => self.give_up(),
        }
    }

    fn command(&mut self, command: Command) -> Vec<Effect> {
        if self.debt.is_some() {
            self.waiting = Some(command);
            return self.pay();
        }
        let (from, to) = (self.state, command.action.target());
        let running = command.only_if_running.is_none_or(|id| self.operation == Some(id));
        if !running || !command.action.is_legal_from(from) {
            return vec![Effect::Answer(Err(Error::illegal_transition(from, to)))];
        }
        let transition =
            BackupTransition::new(command.id, self.application.clone(), command.now_millis, from, to);
        self.send(transition, Some(command))
    }

    fn pay(&mut self) -> Vec<Effect> {
        match self.debt.clone() {
            Some(debt) => self.send(debt.transition, None),
            None => Vec::new(),
        }
    }

    fn send(&mut self, transition: BackupTransition, command: Option<Command>) -> Vec<Effect> {
        self.sending = Some(Sending { transition: transition.clone(), command, unknown: false, error: None });
        vec![Effect::Send(transition)]
    }

    fn accepted(&mut self) -> Vec<Effect> {
        let Some(Sending { transition, command, .. }) = self.sending.take() else {
            return Vec::new();
        };
        self.state = transition.to;
        self.operation = self.state.is_operation().then_some(transition.id);
        let mut effects = vec![Effect::Apply(transition.clone())];
        if command.is_some() {
            effects.push(Effect::Answer(Ok(transition)));
            return effects;
        }
        let paid = self.debt.take();
        if let Some(waiting) = self.waiting.take() {
            if paid.is_some_and(|debt| debt.answers == Some(waiting.action)) {
                effects.push(Effect::Answer(Ok(transition)));
            } else {
                effects.extend(self.command(waiting));
            }
        }
        effects
    }

    fn failed(&mut self, error: Error) -> Vec<Effect> {
        let Some(sending) = &mut self.sending else { return Vec::new() };
        sending.unknown |= error.delivery() == Delivery::Unknown;
        sending.error = Some(error.clone());
        if error.is_transient() { vec![Effect::BackOff(error)] } else { self.give_up() }
    }

    /// The state stays as it was. If the log may hold what was announced, or the announcement was insisted on, the way back
    /// to Ready is owed, so that nobody stays paused.
    fn give_up(&mut self) -> Vec<Effect> {
        let Some(Sending { transition, command, unknown, error }) = self.sending.take() else {
            return Vec::new();
        };
        let delivery = if unknown { Delivery::Unknown } else { Delivery::NotSent };
        let error = error.unwrap_or_else(|| Error::closed("announce")).with_delivery(delivery);
        let Some(command) = command else {
            // The debt stays. Whoever waits for it is told why, and that its own event was never sent.
            let error = error.with_delivery(Delivery::NotSent);
            return self.waiting.take().map(|_| Effect::Answer(Err(error))).into_iter().collect();
        };
        let mut effects = Vec::new();
        if unknown || command.insist {
            let debt = Self::way_back(transition, command.action);
            effects.push(Effect::Owe(debt.transition.clone(), error.clone()));
            self.debt = Some(debt);
        }
        effects.push(Effect::Answer(Err(error)));
        effects
    }

    fn way_back(announced: BackupTransition, action: Action) -> Debt {
        if announced.to == BackupState::Ready {
            return Debt { transition: announced, answers: Some(action) };
        }
        let transition = announced.way_back();
        Debt { transition, answers: None }
    }
}

#[cfg(test)]
mod tests;
