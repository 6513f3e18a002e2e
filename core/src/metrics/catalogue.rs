//! Every metric: name, kind, unit, roles and labels. `metrics.md` is the same for people; a test compares it with what is
//! emitted.

use std::sync::Arc;

use super::backend::{self, Counter, Gauge, Histogram};
use crate::error::Delivery;
use crate::state::BackupState;

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Count,
    Seconds,
}

#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    /// Trackers of other roles do not register it.
    roles: &'static [Role],
    pub(super) help: &'static str,
}

/// What a tracker is to its application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    Secondary,
    Simple,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Simple => "simple",
        }
    }
}

/// Why a secondary skipped a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SkipReason {
    OtherApplication,
    OtherAction,
    Undecodable,
    Forbidden,
    Duplicate,
    OtherOperation,
}

impl SkipReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::OtherApplication => "other_application",
            Self::OtherAction => "other_action",
            Self::Undecodable => "undecodable",
            Self::Forbidden => "forbidden",
            Self::Duplicate => "duplicate",
            Self::OtherOperation => "other_operation",
        }
    }
}

const ANY: &[Role] = &[Role::Primary, Role::Secondary, Role::Simple];
const REMOTE: &[Role] = &[Role::Primary, Role::Secondary];
const PRIMARY: &[Role] = &[Role::Primary];
const SECONDARY: &[Role] = &[Role::Secondary];

macro_rules! catalogue {
    ($($constant:ident: $kind:ident, $unit:ident, $roles:ident, $name:literal, $help:literal;)+) => {
        $(const $constant: Metric = Metric {
            name: concat!("backup_tracker_", $name),
            kind: Kind::$kind,
            unit: Unit::$unit,
            roles: $roles,
            help: $help,
        };)+

        const ALL: &[Metric] = &[$($constant),+];
    };
}

catalogue! {
    STATE: Gauge, Count, ANY, "state",
        "How many trackers are in this state: 0 or 1 with one tracker";
    OPERATION_START: Gauge, Seconds, ANY, "operation_start_timestamp_seconds",
        "When the operation that runs began, in seconds since the epoch by the primary's clock; 0 while none runs";
    OPERATION_DURATION: Histogram, Seconds, ANY, "operation_duration_seconds",
        "How long completed operations took, by the primary's clock";
    GATE_WAITERS: Gauge, Count, ANY, "gate_waiters",
        "Tasks that wait for the gate to open";
    LISTENER_FAILURES: Counter, Count, ANY, "listener_failures_total",
        "Calls of listeners that failed or panicked";
    LISTENER_SLOW_SINCE: Gauge, Seconds, ANY, "listener_slow_since_timestamp_seconds",
        "When the listener was called that has not returned for long, in seconds since the epoch; 0 while none is slow";
    TROUBLED: Gauge, Count, REMOTE, "troubled",
        "How many trackers are kept from their work by an error and try again: 0 or 1 with one tracker";
    TROUBLES: Counter, Count, REMOTE, "troubles_total",
        "Errors that put a tracker into trouble or kept it there";
    RECOVERIES: Counter, Count, REMOTE, "recoveries_total",
        "Ends of trouble: reconnects, as a tracker sees them";
    FAILED: Gauge, Count, SECONDARY, "failed",
        "How many trackers a permanent error has ended: 0 or 1 with one tracker";
    SENT: Counter, Count, PRIMARY, "transitions_sent_total",
        "Transitions that the broker has accepted, by the state that they lead to";
    SEND_FAILURES: Counter, Count, PRIMARY, "send_failures_total",
        "Attempts to send that failed, by whether the transition may be in the log all the same";
    OWED: Gauge, Count, PRIMARY, "announcements_owed",
        "Announcements of Ready that must still reach the log; secondaries may stay paused until then";
    RECEIVED: Counter, Count, SECONDARY, "records_received_total",
        "Records that came from the log, of any application";
    APPLIED: Counter, Count, SECONDARY, "transitions_applied_total",
        "Transitions of the own application that were applied, by the state that they lead to";
    SKIPPED: Counter, Count, SECONDARY, "records_skipped_total",
        "Records without effect, by reason";
    GAPS: Counter, Count, SECONDARY, "gaps_total",
        "Transitions before which something was missed";
    PARTITION_CHANGES: Counter, Count, SECONDARY, "partition_changes_total",
        "Transitions that stood in another partition than the one before them, so that their order is not certain";
    CALLS_WAITING: Gauge, Count, SECONDARY, "listener_calls_waiting",
        "Calls of listeners that have not begun or not returned";
    PASSED_OVER: Counter, Count, SECONDARY, "steps_passed_over_total",
        "Steps of which listeners were not told because they were busy";
    LOSSES: Counter, Count, SECONDARY, "losses_total",
        "How many times the log was trimmed or recreated under the position";
    COMMITS: Counter, Count, SECONDARY, "commits_total",
        "Commits of the position that the broker has confirmed";
    COMMIT_FAILURES: Counter, Count, SECONDARY, "commit_failures_total",
        "Attempts to commit the position that failed";
    BACKLOG: Gauge, Count, SECONDARY, "backlog_records",
        "Records that the log holds and that have not come yet, as far as known";
}

type Label = (&'static str, &'static str);

/// Makes the metrics of one tracker, bound to the recorder that is current now. All are made while the tracker is built:
/// its tasks run on other threads, which may know another recorder.
#[derive(Debug)]
pub(crate) struct Series {
    application: Arc<str>,
    role: Role,
}

impl Series {
    pub(crate) fn new(application: Arc<str>, role: Role) -> Self {
        for Metric { kind, name, unit, help, .. } in ALL {
            backend::describe(*kind, name, *unit, help);
        }
        Self { application, role }
    }

    pub(super) fn state(&self, state: BackupState) -> Gauge {
        self.gauge(&STATE, Some(("state", state.as_str())))
    }

    pub(super) fn operation_start(&self, operation: &'static str) -> Gauge {
        self.gauge(&OPERATION_START, Some(("operation", operation)))
    }

    pub(super) fn operation_duration(&self, operation: &'static str) -> Histogram {
        let label = Some(("operation", operation));
        self.with_labels(&OPERATION_DURATION, label, backend::histogram).unwrap_or(Histogram::noop())
    }

    pub(super) fn gate_waiters(&self) -> Gauge {
        self.gauge(&GATE_WAITERS, None)
    }

    pub(crate) fn listener_failures(&self) -> Counter {
        self.counter(&LISTENER_FAILURES, None)
    }

    pub(super) fn slow_since(&self, listener: &'static str) -> Gauge {
        self.gauge(&LISTENER_SLOW_SINCE, Some(("listener", listener)))
    }

    pub(super) fn calls_waiting(&self) -> Gauge {
        self.gauge(&CALLS_WAITING, None)
    }

    pub(crate) fn passed_over(&self) -> Counter {
        self.counter(&PASSED_OVER, None)
    }

    pub(super) fn troubled(&self) -> Gauge {
        self.gauge(&TROUBLED, None)
    }

    pub(super) fn troubles(&self) -> Counter {
        self.counter(&TROUBLES, None)
    }

    pub(super) fn recoveries(&self) -> Counter {
        self.counter(&RECOVERIES, None)
    }

    pub(super) fn failed(&self) -> Gauge {
        self.gauge(&FAILED, None)
    }

    pub(super) fn sent(&self, to: BackupState) -> Counter {
        self.counter(&SENT, Some(("state", to.as_str())))
    }

    pub(super) fn send_failures(&self, delivery: Delivery) -> Counter {
        let delivery = match delivery {
            Delivery::NotSent => "not_sent",
            Delivery::Unknown => "unknown",
        };
        self.counter(&SEND_FAILURES, Some(("delivery", delivery)))
    }

    pub(super) fn owed(&self) -> Gauge {
        self.gauge(&OWED, None)
    }

    pub(crate) fn received(&self) -> Counter {
        self.counter(&RECEIVED, None)
    }

    pub(crate) fn applied(&self, to: BackupState) -> Counter {
        self.counter(&APPLIED, Some(("state", to.as_str())))
    }

    pub(crate) fn skipped(&self, reason: SkipReason) -> Counter {
        self.counter(&SKIPPED, Some(("reason", reason.as_str())))
    }

    pub(crate) fn gaps(&self) -> Counter {
        self.counter(&GAPS, None)
    }

    pub(crate) fn partition_changes(&self) -> Counter {
        self.counter(&PARTITION_CHANGES, None)
    }

    pub(crate) fn losses(&self) -> Counter {
        self.counter(&LOSSES, None)
    }

    pub(crate) fn commits(&self) -> Counter {
        self.counter(&COMMITS, None)
    }

    pub(crate) fn commit_failures(&self) -> Counter {
        self.counter(&COMMIT_FAILURES, None)
    }

    pub(super) fn backlog(&self) -> Gauge {
        self.gauge(&BACKLOG, None)
    }

    fn counter(&self, metric: &Metric, label: Option<Label>) -> Counter {
        self.with_labels(metric, label, backend::counter).unwrap_or(Counter::noop())
    }

    fn gauge(&self, metric: &Metric, label: Option<Label>) -> Gauge {
        self.with_labels(metric, label, backend::gauge).unwrap_or(Gauge::noop())
    }

    fn with_labels<T>(
        &self,
        metric: &Metric,
        label: Option<Label>,
        make: impl FnOnce(&'static str, &[(&'static str, &str)]) -> T,
    ) -> Option<T> {
        let own = [("application", &*self.application), ("role", self.role.as_str())];
        let labels = own.into_iter().chain(label).collect::<Vec<_>>();
        metric.roles.contains(&self.role).then(|| make(metric.name, &labels))
    }
}
