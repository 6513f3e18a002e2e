//! What is told on the way. As JSON, the names of the fields do not change; there may be more of them one day.

use std::net::SocketAddr;
use std::sync::Arc;

use backup_tracker::{BackupState, BackupTransition, Change};
use serde::Serialize;
use uuid::Uuid;

use crate::commands::reading::time::rfc3339;

/// Something to print: a line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Report {
    /// The HTTP server's address, with the port that was chosen.
    Listening { address: SocketAddr },
    /// The source is open.
    Following {
        application: Arc<str>,
        transport: &'static str,
        topic: String,
        keeps_position: bool,
        /// Absent also where Kafka's properties name it.
        group: Option<String>,
    },
    /// Everything that the log held has been applied.
    Synced { application: Arc<str>, state: BackupState },
    /// The application changed its state.
    Transition(Arc<Step>),
    /// Records were lost, and reading begins again at the earliest that there is. The gate is shut until the primary speaks.
    Lost { application: Arc<str>, error: String },
    /// The health of the following.
    Health {
        status: HealthStatus,
        error: Option<String>,
        #[serde(skip)]
        before: HealthStatus,
    },
    /// What became of a hook.
    Hook(HookReport),
}

/// A transition, as it is shown everywhere.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    pub(super) application: Arc<str>,
    pub(super) state: BackupState,
    pub(super) from: BackupState,
    pub(super) id: Uuid,
    /// When the primary decided on it, by its clock; absent where the calendar of RFC 3339 ends.
    pub(super) timestamp: Option<String>,
    pub(super) timestamp_millis: u64,
    pub(super) replay: bool,
    pub(super) missed: bool,
}

impl From<&Change> for Step {
    fn from(change: &Change) -> Self {
        let BackupTransition { id, application, timestamp_millis, from, to, .. } = &change.transition;
        Self {
            application: application.clone(),
            state: *to,
            from: *from,
            id: *id,
            timestamp: rfc3339(*timestamp_millis),
            timestamp_millis: *timestamp_millis,
            replay: change.replay,
            missed: change.missed || change.passed_over > 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HealthStatus {
    /// The broker has not been reached yet.
    Connecting,
    Healthy,
    /// It retries, forever.
    Troubled,
    /// Whoever is told of the steps has not returned for long: a hook, or the reader of the output.
    ListenerSlow,
    /// It has given up.
    Failed,
    Closed,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct HookReport {
    pub(super) outcome: HookOutcome,
    pub(super) id: Uuid,
    pub(super) state: BackupState,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) duration_seconds: f64,
    /// Why it could not be started, or what is unknown of its end.
    pub(super) error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HookOutcome {
    /// Exit status 0.
    Succeeded,
    /// Another exit status, or a signal.
    Failed,
    /// Ended at its time limit.
    TimedOut,
    /// Could not be started.
    NotStarted,
    /// Ended because this program was told a second time to end.
    Interrupted,
}

impl HookOutcome {
    pub(super) const ALL: [Self; 5] =
        [Self::Succeeded, Self::Failed, Self::TimedOut, Self::NotStarted, Self::Interrupted];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::NotStarted => "not_started",
            Self::Interrupted => "interrupted",
        }
    }
}
