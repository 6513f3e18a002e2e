//! The log that the options name, opened for looking.

use std::fmt;

use backup_tracker::BoxSource;

use crate::options::{BackupTrackerOptions, KafkaOptions, OpenError, Transport};

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

/// A source that begins at the earliest record of the log.
pub(in crate::commands) async fn open(log: &Log<'_>) -> Result<BoxSource, OpenError> {
    let group = format!("backup-tracker-{}", uuid::Uuid::new_v4());
    Ok(match log.backups.transport(log.kafka)? {
        Transport::Kafka(kafka) => BoxSource::new(kafka.source(group).open().await?),
        Transport::Nats(nats) => BoxSource::new(nats.source(group).open().await?),
        Transport::Redis(redis) => BoxSource::new(redis.source(group).open().await?),
    })
}
