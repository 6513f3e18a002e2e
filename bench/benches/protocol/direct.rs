//! The same records written and read with serde alone: what a program would do that knows one format, and trusts it.

use backup_tracker::BackupState;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The fields of `WireFormat::BackupJson` and `WireFormat::Cbor`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Backup {
    pub(crate) id: Uuid,
    pub(crate) application: String,
    pub(crate) timestamp: u64,
    pub(crate) from: BackupState,
    pub(crate) to: BackupState,
}

/// The fields of `WireFormat::ActionJson`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Action {
    pub(crate) id: Uuid,
    pub(crate) application: String,
    pub(crate) action: Option<String>,
    pub(crate) timestamp: u64,
    pub(crate) from: ActionState,
    pub(crate) to: ActionState,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ActionState {
    Starting,
    Ready,
    Processing,
}
