//! What a user sets before opening a sink or a source.

use std::fmt;
use std::time::Duration;

use backup_tracker::transport::{DEFAULT_CONTACT_TIME, Place, not_blank, not_zero};
use backup_tracker::{Error, ErrorKind, Result, Secret, StartAt};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::admin;
use crate::properties::{CreateTopic, Properties};
use crate::sink::KafkaSink;
use crate::source::KafkaSource;
use crate::token::{OauthToken, Tokens};

const OAUTHBEARER: &str = "OAUTHBEARER";

/// How long opening may take unless [`Kafka::open_timeout`] says otherwise: 10 s.
pub const DEFAULT_OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a send may take unless [`KafkaSinkBuilder::send_timeout`] says otherwise: 10 s.
pub const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a commit, or a count of what remains, may take unless [`KafkaSourceBuilder::request_timeout`] says otherwise:
/// 10 s.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a source looks for new partitions unless [`KafkaSourceBuilder::partition_refresh`] says otherwise: 30 s.
pub const DEFAULT_PARTITION_REFRESH: Duration = Duration::from_secs(30);

/// The group that librdkafka is given for whoever has none, because it reads for nobody without one. Nothing is ever stored for
/// it, and nobody joins it.
pub(crate) const NO_GROUP: &str = "backup-tracker-observer";

/// A topic of a Kafka cluster: where sinks write and sources read.
///
/// Nothing is checked and nothing is connected before a builder's `open`.
#[derive(Clone)]
pub struct Kafka {
    pub(crate) servers: String,
    pub(crate) topic: String,
    pub(crate) properties: Properties,
    pub(crate) open_timeout: Duration,
    pub(crate) create: Option<CreateTopic>,
    pub(crate) tokens: Option<Tokens>,
}

impl Kafka {
    /// The topic on the cluster that these bootstrap servers (`host:port`, separated by commas) belong to.
    pub fn new(bootstrap_servers: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            servers: bootstrap_servers.into(),
            topic: topic.into(),
            properties: Properties::default(),
            open_timeout: DEFAULT_OPEN_TIMEOUT,
            create: None,
            tokens: None,
        }
    }

    /// Sets a property of librdkafka, whatever it is, on every client; it wins over what this crate sets by itself.
    ///
    /// See librdkafka's `CONFIGURATION.md` for the names. A value is never shown, neither in `Debug` nor in an error.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.set(name, value);
        self
    }

    /// As [`property`](Self::property), for a value that may be renewed: a password, a key, a client's secret.
    ///
    /// It is read again for every new client. A sink or a source whose credentials the broker refuses makes a new client, so that a
    /// renewed value is used without a restart.
    ///
    /// ```
    /// use backup_tracker::Secret;
    /// use backup_tracker_kafka::Kafka;
    ///
    /// let kafka = Kafka::new("kafka-1:9092", "backups")
    ///     .property("security.protocol", "sasl_ssl")
    ///     .property("sasl.mechanism", "SCRAM-SHA-512")
    ///     .property("sasl.username", "search")
    ///     .secret_property("sasl.password", Secret::file("/run/secrets/kafka"));
    /// assert!(!format!("{kafka:?}").contains("/run/secrets"));
    /// ```
    #[must_use]
    pub fn secret_property(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.properties.set_secret(name, value.into());
        self
    }

    /// Signs in by OAUTHBEARER (`sasl.mechanism`) with the tokens that this function returns.
    ///
    /// Each client of a sink or a source asks for one when it is made, and again when four fifths of the last one's time are over.
    /// An error counts as a refusal; the client asks again ten seconds later, and a new client at once. The function is called on the
    /// thread that serves the client: where a token comes from afar, return what another task keeps fresh. Whatever else needs a client
    /// ([`create_topic`](Self::create_topic), a topic's settings) does without, and is refused.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use backup_tracker_kafka::{Kafka, OauthToken};
    ///
    /// let kafka = Kafka::new("kafka-1:9092", "backups").property("security.protocol", "sasl_ssl").oauth_token(|| {
    ///     let token = std::env::var("TOKEN").unwrap_or_default();
    ///     Ok(OauthToken::new(token, "search", SystemTime::now() + Duration::from_secs(300)))
    /// });
    /// ```
    #[must_use]
    pub fn oauth_token(mut self, ask: impl Fn() -> Result<OauthToken> + Send + Sync + 'static) -> Self {
        self.tokens = Some(Tokens::new(ask));
        self.property("sasl.mechanism", OAUTHBEARER)
    }

    /// How long opening may take before it fails as [`Unavailable`](backup_tracker::ErrorKind::Unavailable);
    /// [`DEFAULT_OPEN_TIMEOUT`] unless set.
    #[must_use]
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// Creates the topic when opening finds that it does not exist. Without it opening fails as
    /// [`NotFound`](backup_tracker::ErrorKind::NotFound). A topic that exists is left as it is.
    #[must_use]
    pub fn create_topic(mut self, create: CreateTopic) -> Self {
        self.create = Some(create);
        self
    }

    /// A builder of the writing half.
    pub fn sink(&self) -> KafkaSinkBuilder {
        KafkaSinkBuilder { kafka: self.clone(), send_timeout: DEFAULT_SEND_TIMEOUT }
    }

    /// A builder of the reading half, with the position of this group.
    ///
    /// Give every secondary a group of its own, one that nothing else uses; its replicas share it.
    pub fn source(&self, group: impl Into<String>) -> KafkaSourceBuilder {
        KafkaSourceBuilder {
            kafka: self.clone(),
            group: Some(group.into()),
            start: StartAt::default(),
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            contact_time: DEFAULT_CONTACT_TIME,
            partition_refresh: DEFAULT_PARTITION_REFRESH,
        }
    }

    /// A builder of a reading half without a group, for whoever only looks: it leaves nothing behind on the cluster. See
    /// *Observers* in the crate's documentation.
    pub fn observer(&self) -> KafkaSourceBuilder {
        KafkaSourceBuilder { group: None, ..self.source("") }
    }

    pub(crate) fn check(&self) -> Result<()> {
        not_blank("bootstrap servers", &self.servers)?;
        not_blank("topic", &self.topic)?;
        not_zero("open timeout", self.open_timeout)?;
        self.check_tokens()?;
        match &self.create {
            Some(create) if create.partitions == 0 || create.partitions > i32::MAX as u32 => {
                Err(Error::config("partitions", "a topic has from 1 to 2147483647"))
            }
            Some(create) if create.replication == 0 || create.replication > i16::MAX as u16 => {
                Err(Error::config("replication", "a topic has from 1 to 32767 replicas"))
            }
            _ => Ok(()),
        }
    }

    /// librdkafka gets tokens by itself in one way alone, and would wait for any other until the time is over.
    fn check_tokens(&self) -> Result<()> {
        let is = |name, value: &str| {
            self.properties.get(name).is_some_and(|given| given.eq_ignore_ascii_case(value))
        };
        let needs_tokens = is("sasl.mechanism", OAUTHBEARER) || is("sasl.mechanisms", OAUTHBEARER);
        if !needs_tokens || self.tokens.is_some() || is("sasl.oauthbearer.method", "oidc") {
            return Ok(());
        }
        let message = "OAUTHBEARER needs tokens, which the program provides (`Kafka::oauth_token`)";
        Err(Error::config("sasl.mechanism", message))
    }

    /// The configuration of a new client, as it is now: secrets are read again, which may block.
    ///
    /// # Errors
    ///
    /// A secret that cannot be read.
    pub(crate) fn client_config(&self) -> Result<ClientConfig> {
        self.client_config_with(&[])
    }

    /// The same, for a client with settings of its own. What the user has set wins over them.
    pub(crate) fn client_config_with(&self, own: &[(&str, &str)]) -> Result<ClientConfig> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            // A missing topic is an error here, and must not come into being with the broker's defaults.
            .set("allow.auto.create.topics", "false")
            // A dead connection must show within the time in which a user expects an answer; librdkafka's 60 s are long.
            .set("socket.timeout.ms", "10000")
            .set("reconnect.backoff.max.ms", "1000")
            // Address translators and load balancers forget connections that are silent for four minutes or more, and say so to
            // nobody: what is sent next is lost, and fails when its time is over.
            .set("connections.max.idle.ms", "180000")
            .set("log.connection.close", "false");
        for (name, value) in own {
            config.set(*name, *value);
        }
        self.properties.apply(&mut config)?;
        // librdkafka writes debugging lines only where both allow it.
        config.set_log_level(if self.is_debugging() {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        Ok(config)
    }

    /// Whether the user asked for librdkafka's debugging lines.
    pub(crate) fn is_debugging(&self) -> bool {
        self.properties.contains("debug")
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap_servers", &self.servers)
            .field("topic", &self.topic)
            .field("properties", &self.properties)
            .field("open_timeout", &self.open_timeout)
            .field("create_topic", &self.create)
            .finish()
    }
}

/// Settings of a [`KafkaSink`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct KafkaSinkBuilder {
    pub(crate) kafka: Kafka,
    pub(crate) send_timeout: Duration,
}

impl KafkaSinkBuilder {
    /// As [`Kafka::property`], for this sink alone.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.kafka.properties.set(name, value);
        self
    }

    /// As [`Kafka::secret_property`], for this sink alone.
    pub fn secret_property(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.kafka.properties.set_secret(name, value.into());
        self
    }

    /// How long a send may take before it fails as [`Unavailable`](backup_tracker::ErrorKind::Unavailable), in
    /// milliseconds' precision; [`DEFAULT_SEND_TIMEOUT`] unless set. librdkafka looks at the time once a second, so the
    /// error may come that much later. It is librdkafka's `message.timeout.ms`. A send during which the producer is replaced, because
    /// an earlier one failed, may take several seconds longer.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// Checks the settings, connects, looks for the topic, and acquires the producer's id.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up; what was connected is disconnected in the background.
    ///
    /// # Errors
    ///
    /// [`Config`](backup_tracker::ErrorKind::Config) naming the wrong setting,
    /// [`NotFound`](backup_tracker::ErrorKind::NotFound) without the topic,
    /// [`Denied`](backup_tracker::ErrorKind::Denied), and
    /// [`Unavailable`](backup_tracker::ErrorKind::Unavailable) when the time is over.
    pub async fn open(self) -> Result<KafkaSink> {
        self.kafka.check()?;
        not_zero("send timeout", self.send_timeout)?;
        let place = Place::new(&*self.kafka.topic);
        match (KafkaSink::open(&self, &place, false).await, &self.kafka.create) {
            (Err(error), Some(create)) if error.kind() == ErrorKind::NotFound => {
                admin::create_topic(&self.kafka, create, &place).await?;
                KafkaSink::open(&self, &place, true).await
            }
            (outcome, _) => outcome,
        }
    }
}

/// Settings of a [`KafkaSource`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct KafkaSourceBuilder {
    pub(crate) kafka: Kafka,
    /// `None` for an observer.
    pub(crate) group: Option<String>,
    pub(crate) start: StartAt,
    pub(crate) request_timeout: Duration,
    pub(crate) contact_time: Duration,
    pub(crate) partition_refresh: Duration,
}

impl KafkaSourceBuilder {
    /// As [`Kafka::property`], for this source alone.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.kafka.properties.set(name, value);
        self
    }

    /// As [`Kafka::secret_property`], for this source alone.
    pub fn secret_property(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.kafka.properties.set_secret(name, value.into());
        self
    }

    /// Where the group starts if it has no position yet, and where an observer begins; [`StartAt::Earliest`] unless set.
    /// Without meaning for a group that has a position.
    pub fn start(mut self, start: StartAt) -> Self {
        self.start = start;
        self
    }

    /// How long a commit, or a count of what remains, may take before it fails as
    /// [`Unavailable`](backup_tracker::ErrorKind::Unavailable); [`DEFAULT_REQUEST_TIMEOUT`] unless set.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Within which time the source reports that a partition's leader does not answer it any more (S13);
    /// [`DEFAULT_CONTACT_TIME`] unless set, at least a millisecond. From then on it also makes new clients, with the credentials as
    /// they are then, until one gets an answer from every leader.
    pub fn contact_time(mut self, time: Duration) -> Self {
        self.contact_time = time;
        self
    }

    /// How often to look for partitions that were added to the topic; [`DEFAULT_PARTITION_REFRESH`] unless set.
    pub fn partition_refresh(mut self, interval: Duration) -> Self {
        self.partition_refresh = interval;
        self
    }

    /// Checks the settings, connects, looks for the topic, finds the group's position or fixes its start, and begins to
    /// read. An observer has neither position nor start, and creates no topic.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up; what was connected is disconnected in the background. A new group's start may be fixed
    /// already.
    ///
    /// # Errors
    ///
    /// [`Config`](backup_tracker::ErrorKind::Config) naming the wrong setting,
    /// [`NotFound`](backup_tracker::ErrorKind::NotFound) without the topic,
    /// [`Denied`](backup_tracker::ErrorKind::Denied), and
    /// [`Unavailable`](backup_tracker::ErrorKind::Unavailable) when the time is over.
    pub async fn open(self) -> Result<KafkaSource> {
        self.kafka.check()?;
        if let Some(group) = &self.group {
            not_blank("group", group)?;
        }
        not_zero("request timeout", self.request_timeout)?;
        not_zero("contact time", self.contact_time)?;
        not_zero("partition refresh", self.partition_refresh)?;
        let mut place = Place::new(&*self.kafka.topic);
        place.group.clone_from(&self.group);
        let create = self.kafka.create.as_ref().filter(|_| self.group.is_some());
        match (KafkaSource::open(&self, &place, false).await, create) {
            (Err(error), Some(create)) if error.kind() == ErrorKind::NotFound => {
                admin::create_topic(&self.kafka, create, &place).await?;
                KafkaSource::open(&self, &place, true).await
            }
            (outcome, _) => outcome,
        }
    }
}
