//! What a tracker shows: written by its driver, read by everybody without waiting.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::gate::{GateKeeper, WorkGate};
use crate::health::{Activity, Complaints, Health};
use crate::metrics::{BoardMetrics, Series, Waiters};
use crate::protocol::View;
use crate::state::BackupState;
use crate::transition::BackupTransition;

#[derive(Debug)]
pub(super) struct Board {
    state: AtomicU8,
    /// None when the tracker has ended, so that nobody waits for another state.
    states: Mutex<Option<watch::Sender<BackupState>>>,
    watching: watch::Receiver<BackupState>,
    status: watch::Sender<Status>,
    /// The listener that is being called.
    busy_listener: Mutex<Option<&'static str>>,
    gate: GateKeeper,
    metrics: BoardMetrics,
}

#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) last: Option<BackupTransition>,
    pub(super) synced: bool,
    /// See [`SecondaryBackupTracker::is_lost`](super::SecondaryBackupTracker::is_lost).
    pub(super) lost: bool,
    complaints: Complaints,
    pub(super) ended: Option<Result<()>>,
}

impl Status {
    pub(super) fn health(&self) -> Health {
        match &self.ended {
            None => self.complaints.health(),
            Some(Ok(())) => Health::Closed,
            Some(Err(error)) => Health::Failed { error: error.clone() },
        }
    }
}

impl Board {
    pub(super) fn new(state: BackupState, synced: bool, gate_open: bool, series: &Series) -> Self {
        let gate = GateKeeper::with_waiters(Waiters::new(series));
        if !gate_open {
            gate.shut();
        }
        let metrics = BoardMetrics::new(series);
        metrics.in_state(state);
        let (states, watching) = watch::channel(state);
        let complaints = Complaints::default();
        Self {
            state: AtomicU8::new(state as u8),
            states: Mutex::new(Some(states)),
            watching,
            status: watch::Sender::new(Status { last: None, synced, lost: false, complaints, ended: None }),
            busy_listener: Mutex::new(None),
            gate,
            metrics,
        }
    }

    pub(super) fn state(&self) -> BackupState {
        let number = usize::from(self.state.load(Ordering::SeqCst));
        BackupState::ALL.get(number).copied().unwrap_or(BackupState::Starting)
    }

    pub(super) fn watch(&self) -> watch::Receiver<BackupState> {
        let mut watching = self.watching.clone();
        // Only what comes from now on is a change.
        watching.mark_unchanged();
        watching
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
    pub(super) fn publish(&self, view: View) {
        let View { state, last, synced, lost, gate_open } = view;
        if !gate_open {
            self.gate.shut();
        }
        self.state.store(state as u8, Ordering::SeqCst);
        if gate_open {
            self.gate.open();
        }
        self.status.send_modify(|status| {
            status.last = last;
            (status.synced, status.lost) = (synced, lost);
        });
        self.metrics.in_state(state);
        if let Some(states) = &*self.states.lock().unwrap_or_else(PoisonError::into_inner) {
            states.send_replace(state);
        }
    }

    /// For the metrics only; the step shows by [`publish`](Self::publish).
    pub(super) fn stepped(&self, transition: &BackupTransition, missed: bool) {
        self.metrics.stepped(transition, missed);
    }

    /// Reading, or announcing, has failed.
    pub(super) fn troubled(&self, error: Error) {
        self.fails(Activity::Contact, error);
    }

    /// Reading, or announcing, works.
    pub(super) fn healthy(&self) {
        self.works(Activity::Contact);
    }

    pub(super) fn fails(&self, activity: Activity, error: Error) {
        self.metrics.in_trouble();
        self.status.send_modify(|status| status.complaints.add(activity, error));
    }

    pub(super) fn works(&self, activity: Activity) {
        let recovered = |status: &mut Status| {
            let was_in_trouble = status.complaints.remove(activity);
            if was_in_trouble && !status.complaints.in_trouble() {
                self.metrics.recovered();
            }
            was_in_trouble
        };
        self.status.send_if_modified(recovered);
    }

    pub(super) fn listener_is_busy(&self, name: Option<&'static str>) {
        *self.busy_listener.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    pub(super) fn busy_listener(&self) -> Option<&'static str> {
        *self.busy_listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A listener was called then and has not returned for long; `None`: it has.
    pub(super) fn slow_listener(&self, slow: Option<(&'static str, SystemTime)>) {
        self.status.send_modify(|status| status.complaints.slow_listener = slow);
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
        self.status.send_modify(|status| status.ended = Some(result));
        drop(self.states.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Ends the board however the driver ends: also when it is aborted, and with a runtime that never polled it. Made before the
/// driver is spawned.
pub(super) struct EndOfBoard {
    board: Arc<Board>,
    operation: &'static str,
}

impl EndOfBoard {
    pub(super) const fn new(board: Arc<Board>, operation: &'static str) -> Self {
        Self { board, operation }
    }

    pub(super) fn with(self, result: Result<()>) {
        self.board.end(result);
    }
}

impl Drop for EndOfBoard {
    fn drop(&mut self) {
        let message = "the last handle of the tracker was dropped, or the Tokio runtime on which it was built has ended; close \
                       the tracker before";
        self.board.end(Err(Error::new(ErrorKind::Closed, self.operation, message)));
    }
}
