//! Where the subjects wait: a server, and on it a log that holds one step, to Ready.

use std::io;

use anyhow::Result;
use backup_tracker::{BackupTracker, EventSource, PrimaryBackupTracker, Secret, Sink};
use backup_tracker_kafka::{CreateTopic, Kafka};
use backup_tracker_nats::{CreateStream, Nats};
use backup_tracker_redis::Redis;
use backup_tracker_test_servers::{self as servers, Missing};

use crate::transport::Transport;

pub(crate) const TOPIC: &str = "idle";
pub(crate) const APPLICATION: &str = "shop";

/// In memory, the subject brings its own log.
pub(crate) enum Server {
    Memory,
    Kafka(servers::Kafka),
    Nats(servers::Nats),
    Redis(servers::Redis),
}

impl Server {
    /// Starts it, and has the step announced. Or says what this machine lacks.
    pub(crate) fn start(transport: Transport) -> Result<std::result::Result<Self, Missing>> {
        let found = match transport {
            Transport::Memory => return Ok(Ok(Self::Memory)),
            Transport::Kafka => servers::Kafka::find(),
            Transport::Nats => servers::Nats::find(),
            Transport::Redis => servers::Redis::find(),
        };
        if let Err(missing) = found {
            return Ok(Err(missing));
        }
        let server = Self::found(transport)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(server.announce())?;
        Ok(Ok(server))
    }

    fn found(transport: Transport) -> io::Result<Self> {
        Ok(match transport {
            Transport::Memory => Self::Memory,
            Transport::Kafka => Self::Kafka(servers::Kafka::start()?),
            Transport::Nats => Self::Nats(servers::Nats::start()?),
            Transport::Redis => Self::Redis(servers::Redis::start()?),
        })
    }

    pub(crate) const fn transport(&self) -> Transport {
        match self {
            Self::Memory => Transport::Memory,
            Self::Kafka(_) => Transport::Kafka,
            Self::Nats(_) => Transport::Nats,
            Self::Redis(_) => Transport::Redis,
        }
    }

    /// What a client is given to find it.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Memory => String::new(),
            Self::Kafka(kafka) => kafka.servers(),
            Self::Nats(nats) => nats.url(),
            Self::Redis(redis) => redis.url(),
        }
    }

    async fn announce(&self) -> Result<()> {
        let address = self.address();
        match self {
            Self::Memory => Ok(()),
            Self::Kafka(_) => {
                say_ready(kafka(address).create_topic(CreateTopic::new(1, 1)).sink().open().await?).await
            }
            Self::Nats(_) => {
                say_ready(nats(&*address).sink().open().await?).await?;
                // Makes the bucket, which `watch` is not told to make.
                nats(address).source("first").open().await?.close().await.map_err(Into::into)
            }
            Self::Redis(_) => say_ready(redis(address).create_stream().sink().open().await?).await,
        }
    }
}

pub(crate) async fn say_ready(sink: impl Sink + 'static) -> Result<()> {
    let primary = PrimaryBackupTracker::builder(APPLICATION, sink).build()?;
    primary.startup_complete().await?;
    primary.close().await?;
    Ok(())
}

pub(crate) fn kafka(servers: impl Into<String>) -> Kafka {
    Kafka::new(servers, TOPIC)
}

pub(crate) fn nats(url: impl Into<Secret>) -> Nats {
    // The sink makes the stream, and the first group the bucket.
    Nats::new(url, TOPIC).stream(TOPIC).create_stream(CreateStream::new(1))
}

pub(crate) fn redis(url: impl Into<Secret>) -> Redis {
    Redis::new(url, TOPIC)
}
