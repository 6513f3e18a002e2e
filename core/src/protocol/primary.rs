//! What a primary announces, when, and what follows from the outcome (T7, T11, F1).

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
    /// Nothing else is to be done: announce what is pending, if anything is.
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
    /// This announcement is pending from now on; it comes before anything else.
    Postpone(BackupTransition, Error),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Primary {
    application: Arc<str>,
    state: BackupState,
    /// The event with which the operation that runs began; `None` also where another primary began it.
    operation: Option<Uuid>,
    pending: Option<Pending>,
    sending: Option<Sending>,
    /// Waits until nothing is pending.
    waiting: Option<Command>,
    /// The newest step, if it was announced after its caller had been told that it was given up.
    announced_late: Option<(Action, BackupTransition)>,
}

/// An announcement of Ready that must reach the log before anything else does. It names the operation that it ends, so that it
/// ends no other, however late it comes (F1).
#[derive(Clone, Debug)]
struct Pending {
    transition: BackupTransition,
    /// The action that asked for the very same thing, if one did: a finish, because `startup_complete` asks for more.
    asked_by: Option<Action>,
}

#[derive(Debug)]
struct Sending {
    transition: BackupTransition,
    /// None for the pending announcement.
    command: Option<Command>,
    /// Whether some attempt may have reached the log.
    unknown: bool,
    error: Option<Error>,
}

impl Primary {
    /// In the state that the log's last word left the application in, or in Starting.
    pub(crate) fn new(application: Arc<str>, state: BackupState) -> Self {
        Self {
            application,
            state,
            operation: None,
            pending: None,
            sending: None,
            waiting: None,
            announced_late: None,
        }
    }

    pub(crate) const fn state(&self) -> BackupState {
        self.state
    }

    pub(crate) fn pending(&self) -> Option<&BackupTransition> {
        self.pending.as_ref().map(|pending| &pending.transition)
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Command(command) => self.command(command),
            Input::Idle => self.send_pending(),
            Input::Accepted => self.accepted(),
            Input::Failed(error) => self.failed(error),
            Input::Retry => {
                self.sending.as_ref().map(|s| Effect::Send(s.transition.clone())).into_iter().collect()
            }
            Input::GiveUp => self.give_up(),
        }
    }

    fn command(&mut self, command: Command) -> Vec<Effect> {
        if self.pending.is_some() {
            self.waiting = Some(command);
            return self.send_pending();
        }
        // Until somebody asks for something else, who repeats the call is told what became of it.
        if let Some((_, transition)) =
            self.announced_late.take().filter(|(asked, _)| *asked == command.action)
        {
            self.announced_late = Some((command.action, transition.clone()));
            return vec![Effect::Answer(Ok(transition))];
        }
        let (from, to) = (self.state, command.action.target());
        let running = command.only_if_running.is_none_or(|id| self.operation == Some(id));
        if !running || !command.action.is_legal_from(from) {
            return vec![Effect::Answer(Err(Error::illegal_transition(from, to)))];
        }
        let mut transition =
            BackupTransition::new(command.id, self.application.clone(), command.now_millis, from, to);
        // `startup_complete` is for everything that runs, whoever began it.
        if to == BackupState::Ready && command.action != Action::StartupComplete {
            transition.operation = self.operation;
        }
        self.send(transition, Some(command))
    }

    fn send_pending(&mut self) -> Vec<Effect> {
        match self.pending.clone() {
            Some(pending) => self.send(pending.transition, None),
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
        let asked_by = self.pending.take().and_then(|pending| pending.asked_by);
        self.announced_late = asked_by.map(|action| (action, transition));
        if let Some(waiting) = self.waiting.take() {
            effects.extend(self.command(waiting));
        }
        effects
    }

    fn failed(&mut self, error: Error) -> Vec<Effect> {
        let Some(sending) = &mut self.sending else { return Vec::new() };
        sending.unknown |= error.delivery() == Delivery::Unknown;
        sending.error = Some(error.clone());
        if error.is_transient() { vec![Effect::BackOff(error)] } else { self.give_up() }
    }

    fn give_up(&mut self) -> Vec<Effect> {
        let Some(Sending { transition, command, unknown, error }) = self.sending.take() else {
            return Vec::new();
        };
        let delivery = if unknown { Delivery::Unknown } else { Delivery::NotSent };
        let error = error.unwrap_or_else(|| Error::closed("announce")).with_delivery(delivery);
        let Some(command) = command else {
            // It stays pending. Whoever waits for it is told why, and that its own event was never sent.
            let error = error.with_delivery(Delivery::NotSent);
            return self.waiting.take().map(|_| Effect::Answer(Err(error))).into_iter().collect();
        };
        let mut effects = Vec::new();
        self.pending = self.pending_after(transition, command.action, unknown);
        if let Some(pending) = &self.pending {
            effects.push(Effect::Postpone(pending.transition.clone(), error.clone()));
        }
        effects.push(Effect::Answer(Err(error)));
        effects
    }

    /// What must still be announced when this announcement has been given up, so that nobody stays paused. The state is as it
    /// was.
    ///
    /// An end stays pending whatever became of it, but only the end of an operation of this primary. Without a name it would end
    /// whatever runs by the time when it goes out; nobody is paused by this primary then, and the caller, who has the error,
    /// knows best.
    fn pending_after(&self, given_up: BackupTransition, action: Action, unknown: bool) -> Option<Pending> {
        if given_up.to == BackupState::Ready {
            let transition = given_up.ending(self.operation?);
            return Some(Pending {
                transition,
                asked_by: Some(action).filter(|action| *action != Action::StartupComplete),
            });
        }
        unknown.then(|| Pending { transition: given_up.undo(), asked_by: None })
    }
}

#[cfg(test)]
mod tests;
