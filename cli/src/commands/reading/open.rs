//! The log that the options name, opened for looking.

use std::fmt;

use backup_tracker::{BoxSource, StartAt};
use clap::Args;

use crate::options::{BackupTrackerOptions, KafkaOptions, OpenError};

/// The options that name a log.
#[derive(Args, Debug)]
pub(in crate::commands) struct LogOptions {
    #[command(flatten)]
    backups: BackupTrackerOptions,

    #[command(flatten)]
    kafka: KafkaOptions,
}

impl LogOptions {
    pub(in crate::commands) const fn log(&self) -> Log<'_> {
        Log { backups: &self.backups, kafka: &self.kafka }
    }
}

/// The log that the options name.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Log<'a> {
    pub(in crate::commands) backups: &'a BackupTrackerOptions,
    pub(in crate::commands) kafka: &'a KafkaOptions,
}

impl Log<'_> {
    pub(in crate::commands) fn topic(&self) -> &str {
        self.backups.topic()
    }

    pub(in crate::commands) fn transport(&self) -> &'static str {
        self.backups.transport_name().as_str()
    }
}

impl fmt::Display for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topic `{}` ({})", self.topic(), self.transport())
    }
}

/// A source that begins at the earliest record of the log, and leaves nothing behind.
pub(in crate::commands) async fn open(log: &Log<'_>) -> Result<BoxSource, OpenError> {
    log.backups.observer(log.kafka, StartAt::Earliest).await
}
