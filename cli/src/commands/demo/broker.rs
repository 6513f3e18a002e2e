//! The log that the demo runs on, of the transport that the user chose.

#[cfg(test)]
pub(super) mod saboteur;

use std::time::Duration;

use backup_tracker::{BoxSink, BoxSource};
use backup_tracker_kafka::Kafka;
use backup_tracker_memory::MemoryLog;

#[cfg(test)]
use self::saboteur::Fault;
use super::cluster::Cluster;
use super::server::{Left, NatsLog, RedisLog, block};
use super::transport::Choice;
use super::trouble::{Trouble, within};

/// The demo's topic.
const TOPIC: &str = "backups";

/// How long the broker may hold back the answer to a fetch, in milliseconds. This one does so for the whole time, whatever
/// arrives meanwhile, where a real broker answers at once.
const FETCH_WAIT: &str = "5";

/// How long to wait for the broker: the whole demo must not take long.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) enum DemoLog {
    Memory(MemoryLog),
    Kafka(Cluster),
    Nats(Box<NatsLog>),
    Redis(Box<RedisLog>),
    #[cfg(test)]
    Broken(MemoryLog, Fault),
}

impl DemoLog {
    /// A log to run on. What is to be on a server of the user's is not created yet, but everything is known to be as it must
    /// be for that.
    pub(super) async fn start(choice: Choice) -> Result<Self, Trouble> {
        Ok(match choice {
            Choice::Memory => Self::Memory(MemoryLog::new(TOPIC)?),
            Choice::Kafka => Self::Kafka(within("the broker to start", Cluster::start(TOPIC)).await??),
            Choice::Nats(log) => {
                Box::pin(log.check()).await?;
                Self::Nats(log)
            }
            Choice::Redis(log) => {
                Box::pin(log.check()).await?;
                Self::Redis(log)
            }
        })
    }

    /// Creates what is to be on a server of the user's.
    pub(super) async fn create(&self) -> Result<(), Trouble> {
        match self {
            Self::Nats(log) => Box::pin(log.create()).await,
            Self::Redis(log) => Box::pin(log.create()).await,
            _ => Ok(()),
        }
    }

    /// Removes it. Blocks; not for a thread of a runtime.
    pub(super) fn remove(&self) -> Result<(), Left> {
        match self {
            Self::Nats(log) => block(log.remove()).map_err(|why| log.left(why)),
            Self::Redis(log) => block(log.remove()).map_err(|why| log.left(why)),
            _ => Ok(()),
        }
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
            Self::Nats(log) => log.describe(),
            Self::Redis(log) => log.describe(),
        }
    }

    // The clients' futures are large, and would be part of every future of the script.
    pub(super) async fn sink(&self) -> Result<BoxSink, Trouble> {
        Ok(match self {
            Self::Memory(log) => BoxSink::new(log.sink()),
            #[cfg(test)]
            Self::Broken(log, _) => BoxSink::new(log.sink()),
            Self::Kafka(cluster) => BoxSink::new(kafka(cluster).sink().send_timeout(PATIENCE).open().await?),
            Self::Nats(log) => BoxSink::new(Box::pin(log.sink()).await?),
            Self::Redis(log) => BoxSink::new(Box::pin(log.sink()).await?),
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
            Self::Nats(log) => BoxSource::new(Box::pin(log.source(group)).await?),
            Self::Redis(log) => BoxSource::new(Box::pin(log.source(group)).await?),
        })
    }
}

fn kafka(cluster: &Cluster) -> Kafka {
    Kafka::new(cluster.servers(), TOPIC).open_timeout(PATIENCE)
}
