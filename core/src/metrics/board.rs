//! What the boards and the drivers of the trackers show.

use std::sync::{Mutex, PoisonError};

use super::backend::{Counter, Gauge, Histogram};
use super::catalogue::Series;
use super::instruments::Share;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::state::BackupState;
use crate::transition::BackupTransition;

/// What every tracker shows about its state, its operations and its health.
#[derive(Debug)]
pub(crate) struct BoardMetrics {
    states: [Share; BackupState::ALL.len()],
    backup: OperationMetrics,
    restore: OperationMetrics,
    /// The transition with which the operation that runs began.
    running: Mutex<Option<BackupTransition>>,
    troubled: Share,
    troubles: Counter,
    recoveries: Counter,
    failed: Share,
}

#[derive(Debug)]
struct OperationMetrics {
    start: Gauge,
    duration: Histogram,
}

impl OperationMetrics {
    fn new(series: &Series, operation: &'static str) -> Self {
        Self { start: series.operation_start(operation), duration: series.operation_duration(operation) }
    }
}

impl BoardMetrics {
    pub(crate) fn new(series: &Series) -> Self {
        Self {
            states: BackupState::ALL.map(|state| Share::new(series.state(state))),
            backup: OperationMetrics::new(series, "backup"),
            restore: OperationMetrics::new(series, "restore"),
            running: Mutex::new(None),
            troubled: Share::new(series.troubled()),
            troubles: series.troubles(),
            recoveries: series.recoveries(),
            failed: Share::new(series.failed()),
        }
    }

    pub(crate) fn in_state(&self, state: BackupState) {
        // The new one first, so that nobody finds the tracker in no state.
        self.states[state as usize].set(1);
        for other in BackupState::ALL.into_iter().filter(|other| *other != state) {
            self.states[other as usize].set(0);
        }
    }

    /// A step was taken. `missed`: something between it and the step before is not known, so neither is how long the
    /// operation took that it ends.
    pub(crate) fn stepped(&self, transition: &BackupTransition, missed: bool) {
        let began = transition.to.is_operation().then(|| transition.clone());
        let before = self.set_running(began);
        let Some(before) = before.filter(|before| before.to == transition.from && !missed) else { return };
        if let Some(operation) = self.operation(before.to) {
            let millis = transition.timestamp_millis.saturating_sub(before.timestamp_millis);
            operation.duration.record(seconds(millis));
        }
    }

    pub(crate) fn in_trouble(&self) {
        self.troubles.increment(1);
        self.troubled.set(1);
    }

    pub(crate) fn recovered(&self) {
        self.recoveries.increment(1);
        self.troubled.set(0);
    }

    /// Nothing is known any more; only a failure goes on to show.
    pub(crate) fn ended(&self, result: &Result<()>) {
        let failed = result.as_ref().is_err_and(|error| error.kind() != ErrorKind::Closed);
        self.failed.set(failed.into());
        self.states.iter().chain([&self.troubled]).for_each(|share| share.set(0));
        self.set_running(None);
    }

    /// Shows the operation that runs from now on; returns the beginning of the one that ran.
    fn set_running(&self, now: Option<BackupTransition>) -> Option<BackupTransition> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *running, now.clone());
        drop(running);
        if let Some(operation) = before.as_ref().and_then(|before| self.operation(before.to)) {
            operation.start.set(0.0);
        }
        if let Some(now) = now
            && let Some(operation) = self.operation(now.to)
        {
            operation.start.set(seconds(now.timestamp_millis));
        }
        before
    }

    const fn operation(&self, state: BackupState) -> Option<&OperationMetrics> {
        match state {
            BackupState::BackingUp => Some(&self.backup),
            BackupState::Restoring => Some(&self.restore),
            BackupState::Starting | BackupState::Ready => None,
        }
    }
}

impl Drop for BoardMetrics {
    fn drop(&mut self) {
        self.set_running(None);
    }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since the epoch fit for 285,000 years")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// What a primary shows about its announcements.
#[derive(Debug)]
pub(crate) struct AnnouncerMetrics {
    ready: Counter,
    backing_up: Counter,
    restoring: Counter,
    not_sent: Counter,
    unknown: Counter,
    owed: Share,
}

impl AnnouncerMetrics {
    pub(crate) fn new(series: &Series) -> Self {
        Self {
            ready: series.sent(BackupState::Ready),
            backing_up: series.sent(BackupState::BackingUp),
            restoring: series.sent(BackupState::Restoring),
            not_sent: series.send_failures(Delivery::NotSent),
            unknown: series.send_failures(Delivery::Unknown),
            owed: Share::new(series.owed()),
        }
    }

    pub(crate) fn sent(&self, transition: &BackupTransition) {
        let counter = match transition.to {
            BackupState::Ready => &self.ready,
            BackupState::BackingUp => &self.backing_up,
            BackupState::Restoring => &self.restoring,
            // No call of a primary leads there.
            BackupState::Starting => return,
        };
        counter.increment(1);
    }

    pub(crate) fn send_failed(&self, error: &Error) {
        let counter = match error.delivery() {
            Delivery::NotSent => &self.not_sent,
            Delivery::Unknown => &self.unknown,
        };
        counter.increment(1);
    }

    pub(crate) fn owes(&self, owes: bool) {
        self.owed.set(owes.into());
    }
}
