//! The log that the demo runs on, of the transport that the user chose.

use backup_tracker::{BoxSink, BoxSource};
use backup_tracker_kafka::Kafka;
use backup_tracker_memory::MemoryLog;

use super::Transport;
use super::cluster::Cluster;
use super::trouble::{Trouble, within};

/// The demo's topic.
const TOPIC: &str = "backups";

/// How long the broker may hold back the answer to a fetch, in milliseconds. This one does so for the whole time, whatever
/// arrives meanwhile, where a real broker answers at once.
const FETCH_WAIT: &str = "5";

#[derive(Debug)]
pub(super) enum DemoLog {
    Memory(MemoryLog),
    Kafka(Cluster),
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
            Self::Kafka(cluster) => {
                format!("topic `{TOPIC}` of a Kafka broker in this process ({})", cluster.servers())
            }
        }
    }

    pub(super) async fn sink(&self) -> Result<BoxSink, Trouble> {
        Ok(match self {
            Self::Memory(log) => BoxSink::new(log.sink()),
            Self::Kafka(cluster) => BoxSink::new(Kafka::new(cluster.servers(), TOPIC).sink().open().await?),
        })
    }

    pub(super) async fn source(&self, group: &str) -> Result<BoxSource, Trouble> {
        Ok(match self {
            Self::Memory(log) => BoxSource::new(log.source(group)?),
            Self::Kafka(cluster) => {
                let source = Kafka::new(cluster.servers(), TOPIC).source(group);
                BoxSource::new(source.property("fetch.wait.max.ms", FETCH_WAIT).open().await?)
            }
        })
    }
}
