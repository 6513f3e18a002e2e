//! What is known now, for probes and people.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::UNIX_EPOCH;

use backup_tracker::{BackupState, Health, SecondaryBackupTracker};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::feed::Feed;
use super::hook::Hooks;
use super::report::HealthStatus;
use crate::commands::reading::time::rfc3339;

/// What the HTTP server shows.
#[derive(Debug)]
pub(super) struct View {
    pub(super) application: Arc<str>,
    pub(super) feed: Arc<Feed>,
    pub(super) hooks: Option<Hooks>,
    /// Empty until the source is open.
    pub(super) tracker: OnceLock<SecondaryBackupTracker>,
    /// Why the source is not open yet.
    obstacle: Mutex<Option<String>>,
    closing: AtomicBool,
    /// Why the program ends, where it is not the tracker's failure.
    failure: OnceLock<String>,
}

#[derive(Debug, Serialize)]
struct Last {
    id: Uuid,
    state: BackupState,
    from: BackupState,
    timestamp: Option<String>,
    timestamp_millis: u64,
}

impl View {
    pub(super) fn new(application: &str, feed: Arc<Feed>, hooks: Option<Hooks>) -> Self {
        Self {
            application: application.into(),
            feed,
            hooks,
            tracker: OnceLock::new(),
            obstacle: Mutex::default(),
            closing: AtomicBool::new(false),
            failure: OnceLock::new(),
        }
    }

    pub(super) fn set_obstacle(&self, obstacle: String) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = Some(obstacle);
    }

    pub(super) fn set_closing(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// The first failure is the one that counts.
    pub(super) fn set_failure(&self, failure: &str) {
        self.failure.get_or_init(|| failure.to_owned());
    }

    /// Why it will not come back by itself.
    pub(super) fn failure(&self) -> Option<String> {
        if let Some(failure) = self.failure.get() {
            return Some(failure.clone());
        }
        match self.tracker.get()?.health() {
            Health::Failed { error } => Some(error.to_string()),
            _ => None,
        }
    }

    /// Why work may not begin now: a word for programs, and a sentence.
    pub(super) fn unready(&self) -> Option<(&'static str, String)> {
        if let Some(failure) = self.failure() {
            return Some(("failed", failure));
        }
        if self.closing.load(Ordering::Relaxed) {
            return Some(("closing", "the program is about to end".to_owned()));
        }
        let Some(tracker) = self.tracker.get() else {
            return Some((
                "connecting",
                self.obstacle().unwrap_or_else(|| "the broker has not answered yet".to_owned()),
            ));
        };
        // The gate is the one that decides; what follows only says why.
        if tracker.gate().is_open() {
            return None;
        }
        Some(match tracker.state() {
            _ if !tracker.is_synced() => {
                ("not_synced", "the log has not been read to its end yet".to_owned())
            }
            BackupState::Starting if tracker.is_lost() => (
                "lost",
                "records of the log were lost, and the primary has not spoken since; \
                 `backup-tracker announce ready` makes it known that nothing runs"
                    .to_owned(),
            ),
            BackupState::BackingUp => ("backing_up", "a backup is running".to_owned()),
            BackupState::Restoring => ("restoring", "a restore is running".to_owned()),
            BackupState::Starting => ("starting", "the primary has not spoken yet".to_owned()),
            BackupState::Ready => ("changing", "the state is changing right now".to_owned()),
        })
    }

    fn obstacle(&self) -> Option<String> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything, as one document.
    pub(super) fn state(&self) -> Value {
        let mut document = Map::new();
        let mut set = |name: &str, value: Value| document.insert(name.to_owned(), value);
        set("application", json!(&*self.application));
        match self.tracker.get() {
            Some(tracker) => {
                let state = tracker.state();
                let last = tracker.last_transition();
                // Where the log was lost the state rests on nothing that was announced.
                let since = last.as_ref().filter(|last| last.to == state);
                set("state", json!(state));
                set("since", json!(since.and_then(|last| rfc3339(last.timestamp_millis))));
                let last = last.map(|last| Last {
                    id: last.id,
                    state: last.to,
                    from: last.from,
                    timestamp: rfc3339(last.timestamp_millis),
                    timestamp_millis: last.timestamp_millis,
                });
                set("last_transition", json!(last));
                set("synced", json!(tracker.is_synced()));
                set("health", health(&tracker.health()));
                set("stats", stats(tracker));
            }
            None => {
                for name in ["state", "since", "last_transition", "stats"] {
                    set(name, Value::Null);
                }
                set("synced", json!(false));
                set("health", json!({ "status": HealthStatus::Connecting, "error": self.obstacle() }));
            }
        }
        let unready = self.unready();
        set("ready", json!(unready.is_none()));
        set("unready_because", json!(unready.map(|(word, _sentence)| word)));
        set("hooks", json!(self.hooks.as_ref().map(Hooks::view)));
        Value::Object(document)
    }
}

pub(super) fn status_of(health: &Health) -> HealthStatus {
    match health {
        Health::Healthy => HealthStatus::Healthy,
        Health::Troubled { .. } => HealthStatus::Troubled,
        Health::ListenerSlow { .. } => HealthStatus::ListenerSlow,
        Health::Failed { .. } => HealthStatus::Failed,
        _ => HealthStatus::Closed,
    }
}

fn health(health: &Health) -> Value {
    let mut document =
        json!({ "status": status_of(health), "error": health.error().map(ToString::to_string) });
    if let Health::Troubled { attempts, since, .. } = health {
        let since =
            since.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok());
        document["attempts"] = json!(attempts);
        document["since"] = json!(since.and_then(rfc3339));
    }
    document
}

fn stats(tracker: &SecondaryBackupTracker) -> Value {
    let stats = tracker.stats();
    json!({
        "received": stats.received,
        "applied": stats.applied,
        "other_application": stats.other_application,
        "other_action": stats.other_action,
        "undecodable": stats.undecodable,
        "forbidden": stats.forbidden,
        "duplicate": stats.duplicate,
        "other_operation": stats.other_operation,
        "gaps": stats.gaps,
        "losses": stats.losses,
        "commits": stats.commits,
        "troubles": stats.troubles,
        "listener_failures": stats.listener_failures,
    })
}

#[cfg(test)]
mod tests;
