//! What a tracker shows: written by its driver, read by everybody without waiting.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::gate::WorkGate;
use crate::health::Health;
use crate::state::BackupState;
use crate::transition::BackupTransition;

#[derive(Debug)]
pub(super) struct Board {
    state: AtomicU8,
    states: watch::Sender<BackupState>,
    status: watch::Sender<Status>,
    gate: WorkGate,
}

#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) last: Option<BackupTransition>,
    pub(super) synced: bool,
    pub(super) health: Health,
    pub(super) ended: Option<Result<()>>,
}

impl Board {
    pub(super) fn new(state: BackupState, synced: bool, gate_open: bool) -> Self {
        let gate = WorkGate::new();
        gate.turn(gate_open);
        Self {
            state: AtomicU8::new(state as u8),
            states: watch::Sender::new(state),
            status: watch::Sender::new(Status { last: None, synced, health: Health::Healthy, ended: None }),
            gate,
        }
    }

    pub(super) fn state(&self) -> BackupState {
        let number = usize::from(self.state.load(Ordering::SeqCst));
        BackupState::ALL.get(number).copied().unwrap_or(BackupState::Starting)
    }

    pub(super) fn watch(&self) -> watch::Receiver<BackupState> {
        self.states.subscribe()
    }

    pub(super) fn gate(&self) -> &WorkGate {
        &self.gate
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until the status fulfils the condition; the board outlives every waiter, so it cannot be gone before.
    pub(super) async fn wait_for(&self, condition: impl FnMut(&Status) -> bool + Send) -> Status {
        let mut status = self.status.subscribe();
        match status.wait_for(condition).await {
            Ok(status) => status.clone(),
            Err(_gone) => self.status(),
        }
    }

    /// The gate shuts before anything else shows, and opens before anybody is woken: who is told of an operation finds it
    /// shut, and who is told of its end, or of being synced, finds it open.
    pub(super) fn publish(
        &self,
        state: BackupState,
        last: Option<BackupTransition>,
        synced: bool,
        gate_open: bool,
    ) {
        if !gate_open {
            self.gate.shut();
        }
        self.state.store(state as u8, Ordering::SeqCst);
        if gate_open {
            self.gate.open();
        }
        self.status.send_modify(|status| {
            status.last = last;
            status.synced = synced;
        });
        self.states.send_replace(state);
    }

    pub(super) fn troubled(&self, error: Error) {
        self.status.send_modify(|status| status.health = status.health.troubled(error));
    }

    pub(super) fn healthy(&self) {
        self.status.send_if_modified(|status| {
            let changed = !status.health.is_healthy();
            status.health = Health::Healthy;
            changed
        });
    }

    /// The first end is the one that counts.
    pub(super) fn end(&self, result: Result<()>) {
        self.status.send_if_modified(|status| {
            if status.ended.is_some() {
                return false;
            }
            status.health = match &result {
                Ok(()) => Health::Closed,
                Err(error) => Health::Failed { error: error.clone() },
            };
            status.ended = Some(result);
            true
        });
    }
}
