//! The log that the demo runs on, of the transport that the user chose.

#[cfg(test)]
pub(super) mod saboteur;

use std::time::Duration;

use backup_tracker::{BoxSink, BoxSource};
use backup_tracker_kafka::Kafka;
use backup_tracker_memory::MemoryLog;

#[cfg(test)]
use self::saboteur::Fault;
use super::Transport;
use super::cluster::Cluster;
use super::trouble::{Trouble, within};

/// The demo's topic.
const TOPIC: &str = "backups";

/// How long the broker may hold back the answer to a fetch, in milliseconds. This one does so for the whole time, whatever
/// arrives meanwhile, where a real broker answers at once.
const FETCH_WAIT: &str = "5";

/// How long to wait for the broker: it is on the same machine, and the whole demo must not take long.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) enum DemoLog {
    Memory(MemoryLog),
    Kafka(Cluster),
    #[cfg(test)]
    Broken(MemoryLog, Fault),
}

impl DemoLog {
    pub(super) async fn start(transport: Transport) -> Result<Self, Trouble> {
        Ok(match transport {
            Transport::Memory => Self::Memory(MemoryLog::new(TOPIC)?),
            Transport::Kafka => Self::Kafka(within("the broker to start", Cluster::start(TOPIC)).await??),
        })
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Memory(_) => "a log in memory".to_owned(),
            #[cfg(test)]
            Self::Broken(_, fault) => format!("a log in memory whose source {fault:?}"),
            Self::Kafka(cluster) => {
                format!("topic `{TOPIC}` of a Kafka broker in this process ({})", cluster.servers())
            }
        }
    }

    pub(super) async fn sink(&self) -> Result<BoxSink, Trouble> {
        Ok(match self {
            Self::Memory(log) => BoxSink::new(log.sink()),
            #[cfg(test)]
            Self::Broken(log, _) => BoxSink::new(log.sink()),
            Self::Kafka(cluster) => BoxSink::new(kafka(cluster).sink().send_timeout(PATIENCE).open().await?),
        })
    }

    pub(super) async fn source(&self, group: &str) -> Result<BoxSource, Trouble> {
        Ok(match self {
            Self::Memory(log) => BoxSource::new(log.source(group)?),
            #[cfg(test)]
            Self::Broken(log, fault) => BoxSource::new(saboteur::Saboteur::new(log.source(group)?, *fault)),
            Self::Kafka(cluster) => {
                let source = kafka(cluster).source(group).property("fetch.wait.max.ms", FETCH_WAIT);
                BoxSource::new(source.open().await?)
            }
        })
    }
}

fn kafka(cluster: &Cluster) -> Kafka {
    Kafka::new(cluster.servers(), TOPIC).open_timeout(PATIENCE)
}
