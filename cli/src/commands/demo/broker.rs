//! The log that the demo runs on, of the transport that the user chose.

use backup_tracker::{BoxSink, BoxSource, Result};
use backup_tracker_memory::MemoryLog;

use super::Transport;

/// The demo's topic.
const TOPIC: &str = "backups";

#[derive(Debug)]
pub(super) enum DemoLog {
    Memory(MemoryLog),
}

impl DemoLog {
    pub(super) async fn start(transport: Transport) -> Result<Self> {
        match transport {
            Transport::Memory => Ok(Self::Memory(MemoryLog::new(TOPIC)?)),
        }
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Memory(_) => "a log in memory".to_owned(),
        }
    }

    pub(super) async fn sink(&self) -> Result<BoxSink> {
        match self {
            Self::Memory(log) => Ok(BoxSink::new(log.sink())),
        }
    }

    pub(super) async fn source(&self, group: &str) -> Result<BoxSource> {
        match self {
            Self::Memory(log) => Ok(BoxSource::new(log.source(group)?)),
        }
    }

    pub(super) fn stop(self) {}
}
