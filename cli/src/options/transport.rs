//! The transport that the options describe.

use backup_tracker::{BoxSink, BoxSource, Result, StartAt};
use backup_tracker_kafka::{CreateTopic, Kafka};
use backup_tracker_nats::{CreateStream, Nats};
use backup_tracker_redis::Redis;

use super::environment::Environment;
use super::error::OptionsError;
use super::given;
use super::secret::Secret;
use super::tracker::DEFAULT_REPLICAS;
use super::words::TransportName;
use super::{BackupTrackerOptions, KafkaOptions};

const SERVERS: &str = "--bootstrap-server";

/// A transport, set up as the options say and not connected yet. What the options leave out can be set before it is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// A topic of Apache Kafka.
    Kafka(Kafka),
    /// A topic on NATS JetStream.
    Nats(Box<Nats>),
    /// A stream of Redis.
    Redis(Redis),
}

impl Transport {
    pub(crate) fn resolve(
        options: &BackupTrackerOptions,
        kafka: &KafkaOptions,
        environment: Environment<'_>,
    ) -> Result<Self, OptionsError> {
        let _ = environment;
        options.check_contradictions()?;
        let topic = options.topic();
        Ok(match options.transport_name() {
            TransportName::Kafka => Self::Kafka(kafka_of(options, kafka)?),
            TransportName::Nats => {
                let url = options.url()?;
                let mut nats = Nats::new(url.reveal(), topic);
                if options.create_topic {
                    nats = nats.create_stream(CreateStream::new(usize::from(options.replicas())));
                }
                Self::Nats(Box::new(nats))
            }
            TransportName::Redis => {
                let url = options.url()?;
                let mut redis = Redis::new(url.reveal(), topic);
                if options.create_topic {
                    redis = redis.create_stream();
                }
                Self::Redis(redis)
            }
        })
    }

    pub(crate) async fn open_sink(&self) -> Result<BoxSink> {
        Ok(match self {
            Self::Kafka(kafka) => BoxSink::new(kafka.sink().open().await?),
            Self::Nats(nats) => BoxSink::new(nats.sink().open().await?),
            Self::Redis(redis) => BoxSink::new(redis.sink().open().await?),
        })
    }

    pub(crate) async fn open_source(&self, group: &str, start: StartAt) -> Result<BoxSource> {
        Ok(match self {
            Self::Kafka(kafka) => BoxSource::new(kafka.source(group).start(start).open().await?),
            Self::Nats(nats) => BoxSource::new(nats.source(group).start(start).open().await?),
            Self::Redis(redis) => BoxSource::new(redis.source(group).start(start).open().await?),
        })
    }
}

fn kafka_of(options: &BackupTrackerOptions, kafka: &KafkaOptions) -> Result<Kafka, OptionsError> {
    let servers = given::text(options.bootstrap_servers.as_ref())
        .or_else(|| kafka.bootstrap_servers())
        .ok_or_else(|| {
            OptionsError::missing(
                SERVERS,
                "it is missing",
                "give Kafka's host:port, or set BOOTSTRAP_SERVERS",
            )
        })?;
    let mut topic = Kafka::new(servers, options.topic());
    if options.create_topic {
        topic = topic.create_topic(CreateTopic::new(1, u16::from(options.replicas())));
    }
    Ok(topic)
}

impl BackupTrackerOptions {
    fn replicas(&self) -> u8 {
        self.replicas.unwrap_or(DEFAULT_REPLICAS)
    }

    fn check_contradictions(&self) -> Result<(), OptionsError> {
        Ok(())
    }

    fn url(&self) -> Result<Secret, OptionsError> {
        self.url
            .clone()
            .ok_or_else(|| OptionsError::missing("--url", "it is missing", "give the server's address"))
    }
}
