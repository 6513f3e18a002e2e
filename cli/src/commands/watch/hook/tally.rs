//! What has become of the hooks.

use std::sync::{Mutex, PoisonError};

use backup_tracker::BackupState;
use metrics::{Counter, Gauge, Histogram};
use serde::Serialize;
use uuid::Uuid;

use crate::commands::reading::time::{now_millis, rfc3339};
use crate::commands::watch::report::{HookOutcome, HookReport, Step};

/// What the hooks do now, and what they did since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::commands::watch) struct HooksView {
    running: Option<Running>,
    pub(super) waiting: u64,
    succeeded: u64,
    failed: u64,
    timed_out: u64,
    not_started: u64,
    interrupted: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Running {
    id: Uuid,
    state: BackupState,
    since: Option<String>,
}

pub(in crate::commands::watch) struct Tally {
    view: Mutex<HooksView>,
    hooks: [Counter; HookOutcome::ALL.len()],
    waiting: Gauge,
    durations: Histogram,
}

impl Tally {
    /// Every series of the metrics is there from now on, with 0.
    pub(super) fn new(application: &str) -> Self {
        let application = application.to_owned();
        let hooks = HookOutcome::ALL.map(|outcome| {
            let counter = metrics::counter!(
                "backup_tracker_hooks_total", "application" => application.clone(), "outcome" => outcome.as_str()
            );
            counter.increment(0);
            counter
        });
        let waiting = metrics::gauge!("backup_tracker_hooks_waiting", "application" => application.clone());
        waiting.set(0.0);
        let durations =
            metrics::histogram!("backup_tracker_hook_duration_seconds", "application" => application);
        Self { view: Mutex::default(), hooks, waiting, durations }
    }

    pub(super) fn view(&self) -> HooksView {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut HooksView)) {
        change(&mut self.view.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn queued(&self) {
        self.waiting.increment(1.0);
        self.change(|view| view.waiting += 1);
    }

    pub(super) fn started(&self, step: &Step) {
        self.waiting.decrement(1.0);
        let running = Running { id: step.id, state: step.state, since: rfc3339(now_millis()) };
        self.change(|view| {
            view.waiting = view.waiting.saturating_sub(1);
            view.running = Some(running);
        });
    }

    pub(super) fn ended(&self, report: &HookReport) {
        if let Some(index) = HookOutcome::ALL.iter().position(|outcome| *outcome == report.outcome) {
            self.hooks[index].increment(1);
        }
        self.durations.record(report.duration_seconds);
        self.change(|view| {
            view.running = None;
            *match report.outcome {
                HookOutcome::Succeeded => &mut view.succeeded,
                HookOutcome::Failed => &mut view.failed,
                HookOutcome::TimedOut => &mut view.timed_out,
                HookOutcome::NotStarted => &mut view.not_started,
                HookOutcome::Interrupted => &mut view.interrupted,
            } += 1;
        });
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("view", &self.view).finish_non_exhaustive()
    }
}
