//! What a tracker shows: written by its driver, read by everybody without waiting.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::gate::{GateKeeper, WorkGate};
use crate::health::Health;
use crate::metrics::{BoardMetrics, Series, Waiters};
use crate::state::BackupState;
use crate::transition::BackupTransition;

#[derive(Debug)]
pub(super) struct Board {
    state: AtomicU8,
    states: watch::Sender<BackupState>,
    status: watch::Sender<Status>,
    gate: GateKeeper,
    metrics: BoardMetrics,
}

#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) last: Option<BackupTransition>,
    pub(super) synced: bool,
    pub(super) health: Health,
    pub(super) ended: Option<Result<()>>,
}

impl Board {
    pub(super) fn new(state: BackupState, synced: bool, gate_open: bool, series: &Series) -> Self {
        let gate = GateKeeper::with_waiters(Waiters::new(series));
        if !gate_open {
            gate.shut();
        }
        let metrics = BoardMetrics::new(series);
        metrics.in_state(state);
        Self {
            state: AtomicU8::new(state as u8),
            states: watch::Sender::new(state),
            status: watch::Sender::new(Status { last: None, synced, health: Health::Healthy, ended: None }),
            gate,
            metrics,
        }
    }

    pub(super) fn state(&self) -> BackupState {
        let number = usize::from(self.state.load(Ordering::SeqCst));
        BackupState::ALL.get(number).copied().unwrap_or(BackupState::Starting)
    }

    pub(super) fn watch(&self) -> watch::Receiver<BackupState> {
        self.states.subscribe()
    }

    pub(super) fn gate(&self) -> WorkGate {
        self.gate.gate()
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
        self.metrics.in_state(state);
        self.states.send_replace(state);
    }

    /// For the metrics only; the step shows by [`publish`](Self::publish).
    pub(super) fn stepped(&self, transition: &BackupTransition, missed: bool) {
        self.metrics.stepped(transition, missed);
    }

    pub(super) fn troubled(&self, error: Error) {
        self.metrics.in_trouble();
        self.status.send_modify(|status| status.health = status.health.troubled(error));
    }

    pub(super) fn healthy(&self) {
        if self.status.borrow().health.is_healthy() {
            return;
        }
        self.metrics.recovered();
        self.status.send_modify(|status| status.health = Health::Healthy);
    }

    /// Shuts the gate for good. [`end`](Self::end) does it, too; a driver that waits for listeners before it ends calls this
    /// first, so that no listener waits for the gate meanwhile. The first end is the one that counts.
    pub(super) fn end_gate(&self, result: &Result<()>) {
        let closed = || Error::new(ErrorKind::Closed, "track the state", "the tracker was closed");
        self.gate.end(result.as_ref().err().cloned().unwrap_or_else(closed));
    }

    /// The first end is the one that counts. Called by one task only.
    pub(super) fn end(&self, result: Result<()>) {
        if self.status.borrow().ended.is_some() {
            return;
        }
        self.end_gate(&result);
        self.metrics.ended(&result);
        self.status.send_modify(|status| {
            status.health = match &result {
                Ok(()) => Health::Closed,
                Err(error) => Health::Failed { error: error.clone() },
            };
            status.ended = Some(result);
        });
    }
}
