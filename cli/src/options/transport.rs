//! The transport that the options describe.

use std::ffi::{OsStr, OsString};

use backup_tracker::{BoxSink, BoxSource, Result, Secret, StartAt};
use backup_tracker_kafka::{CreateTopic, Kafka};
use backup_tracker_nats::{CreateStream, Nats};
use backup_tracker_redis::Redis;

use super::environment::Environment;
use super::error::OptionsError;
use super::properties::ClientProperties;
use super::secret::check_readable;
use super::tracker::DEFAULT_REPLICAS;
use super::words::TransportName;
use super::{BackupTrackerOptions, KafkaOptions, given, url};

const CREDENTIALS: &str = "--backup-credentials";
const TLS_CA: &str = "--backup-tls-ca";
const TLS_CERTIFICATE: &str = "--backup-tls-certificate";
const TLS_KEY: &str = "--backup-tls-key";
const NATS_DOMAIN: &str = "--nats-domain";
const NATS_API_PREFIX: &str = "--nats-api-prefix";
const REPLICAS: &str = "--create-topic-replicas";

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

/// A transport, and who reads from it.
pub(super) struct Resolved {
    pub(super) transport: Transport,
    pub(super) group: Option<String>,
    pub(super) start: StartAt,
}

impl Resolved {
    pub(super) fn new(
        options: &BackupTrackerOptions,
        kafka: &KafkaOptions,
        environment: Environment<'_>,
    ) -> Result<Self, OptionsError> {
        options.check_contradictions()?;
        let group = kafka.group().map(str::to_owned);
        let start = kafka.start();
        let transport = match options.transport_name() {
            TransportName::Kafka => {
                let client = ClientProperties::resolve(kafka, environment)?;
                let transport = Transport::Kafka(options.kafka(kafka, &client)?);
                let group = group.or(client.group);
                let start = kafka.read_policy.map(StartAt::from).or(client.start).unwrap_or_default();
                return Ok(Self { transport, group, start });
            }
            TransportName::Nats => Transport::Nats(Box::new(options.nats(environment)?)),
            TransportName::Redis => Transport::Redis(options.redis(environment)?),
        };
        Ok(Self { transport, group, start })
    }
}

impl Transport {
    pub(super) async fn open_sink(&self) -> Result<BoxSink> {
        Ok(match self {
            Self::Kafka(kafka) => BoxSink::new(kafka.sink().open().await?),
            Self::Nats(nats) => BoxSink::new(nats.sink().open().await?),
            Self::Redis(redis) => BoxSink::new(redis.sink().open().await?),
        })
    }

    pub(super) async fn open_source(&self, group: &str, start: StartAt) -> Result<BoxSource> {
        Ok(match self {
            Self::Kafka(kafka) => BoxSource::new(kafka.source(group).start(start).open().await?),
            Self::Nats(nats) => BoxSource::new(nats.source(group).start(start).open().await?),
            Self::Redis(redis) => BoxSource::new(redis.source(group).start(start).open().await?),
        })
    }

    pub(super) async fn open_observer(&self, start: StartAt) -> Result<BoxSource> {
        Ok(match self {
            Self::Kafka(kafka) => BoxSource::new(kafka.observer().start(start).open().await?),
            Self::Nats(nats) => BoxSource::new(nats.observer().start(start).open().await?),
            Self::Redis(redis) => BoxSource::new(redis.observer().start(start).open().await?),
        })
    }
}

impl BackupTrackerOptions {
    fn replicas(&self) -> u8 {
        self.replicas.unwrap_or(DEFAULT_REPLICAS)
    }

    /// The options about TLS and signing in that are given, for transports other than Kafka.
    fn beside_the_url(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        [
            (CREDENTIALS, &self.credentials),
            (TLS_CA, &self.tls_ca),
            (TLS_CERTIFICATE, &self.tls_certificate),
            (TLS_KEY, &self.tls_key),
        ]
        .into_iter()
        .filter_map(|(option, path): (_, &Option<OsString>)| Some((option, given::path(path.as_ref())?)))
    }

    fn uses_tls_options(&self) -> Option<&'static str> {
        self.beside_the_url().map(|(option, _)| option).find(|option| *option != CREDENTIALS)
    }

    fn check_contradictions(&self) -> Result<(), OptionsError> {
        let transport = self.transport_name();
        let against = |option: &str, mend: &str| {
            let problem = format!("it does not go with --transport {}", transport.as_str());
            Err(OptionsError::contradiction(option, problem, mend))
        };
        if transport == TransportName::Kafka {
            let url = self.url.as_ref().is_some_and(|url| !url.reveal().trim().is_empty());
            let file = given::path(self.url_file.as_ref()).is_some();
            if let Some(option) =
                [(url, "--url"), (file, "--url-file")].iter().find_map(|(is, option)| is.then_some(option))
            {
                return against(option, "give --bootstrap-server instead, or --transport nats or redis");
            }
            if let Some((option, _)) = self.beside_the_url().next() {
                return against(
                    option,
                    "give --kafka-user or --kafka-property ssl.ca.location=FILE and the like instead",
                );
            }
        } else if given::text(self.bootstrap_servers.as_ref()).is_some() {
            return against("--backup-bootstrap-server", "give --url instead, or --transport kafka");
        }
        let names = [(&self.nats_domain, NATS_DOMAIN), (&self.nats_api_prefix, NATS_API_PREFIX)];
        let mut names = names.iter().filter(|(name, _)| given::text(name.as_ref()).is_some());
        if let Some((_, option)) = names.next() {
            if transport != TransportName::Nats {
                return against(option, "leave it out, or give --transport nats");
            }
            if names.next().is_some() {
                let problem = "both are given, and a domain is an API prefix";
                let options = format!("{NATS_DOMAIN}, {NATS_API_PREFIX}");
                return Err(OptionsError::contradiction(options, problem, "leave one of them out"));
            }
        }
        if transport == TransportName::Redis {
            if given::path(self.credentials.as_ref()).is_some() {
                return against(CREDENTIALS, "put user and password into the URL, in --url-file");
            }
            if self.replicas.is_some() {
                return against(
                    REPLICAS,
                    "leave it out; the server's own settings say where its data are kept",
                );
            }
        }
        if self.replicas.is_some() && !self.create_topic {
            return Err(OptionsError::contradiction(
                REPLICAS,
                "no topic is to be created",
                "give --create-topic, too, or leave it out",
            ));
        }
        let has = |path: &Option<OsString>| given::path(path.as_ref()).is_some();
        if has(&self.tls_certificate) != has(&self.tls_key) {
            let (present, missing) =
                if has(&self.tls_key) { (TLS_KEY, TLS_CERTIFICATE) } else { (TLS_CERTIFICATE, TLS_KEY) };
            let mend = format!("give {missing}, too");
            return Err(OptionsError::missing(present, "a certificate and its key belong together", mend));
        }
        Ok(())
    }

    fn kafka(&self, kafka: &KafkaOptions, client: &ClientProperties) -> Result<Kafka, OptionsError> {
        let servers = given::text(self.bootstrap_servers.as_ref())
            .or_else(|| kafka.bootstrap_servers())
            .or(client.bootstrap_servers.as_deref())
            .ok_or_else(|| {
                let mend = "give Kafka's host:port, or set BOOTSTRAP_SERVERS";
                OptionsError::missing("--bootstrap-server", "it is missing", mend)
            })?;
        let mut topic = Kafka::new(servers, self.topic());
        for (name, value) in &client.properties {
            topic = match client.renewal.as_ref().and_then(|renewal| renewal.secret(name)) {
                Some(secret) => topic.secret_property(name, secret),
                None => topic.property(name, value),
            };
        }
        if self.create_topic {
            topic = topic.create_topic(CreateTopic::new(1, u16::from(self.replicas())));
        }
        Ok(topic)
    }

    fn nats(&self, environment: Environment<'_>) -> Result<Nats, OptionsError> {
        let url = self.url(&url::NATS, environment)?;
        for (option, path) in self.beside_the_url() {
            check_readable(option, path)?;
        }
        let mut nats = Nats::new(url.renewable(), self.topic());
        if let Some(domain) = given::text(self.nats_domain.as_ref()) {
            nats = nats.domain(domain);
        }
        if let Some(prefix) = given::text(self.nats_api_prefix.as_ref()) {
            nats = nats.api_prefix(prefix);
        }
        if let Some(path) = given::path(self.credentials.as_ref()) {
            nats = nats.credentials_file(path);
        }
        if self.uses_tls_options().is_some() {
            nats = nats.require_tls();
        }
        if let Some(path) = given::path(self.tls_ca.as_ref()) {
            nats = nats.root_certificates(path);
        }
        if let (Some(certificate), Some(key)) =
            (given::path(self.tls_certificate.as_ref()), given::path(self.tls_key.as_ref()))
        {
            nats = nats.client_certificate(certificate, key);
        }
        if self.create_topic {
            nats = nats.create_stream(CreateStream::new(usize::from(self.replicas())));
        }
        Ok(nats)
    }

    fn redis(&self, environment: Environment<'_>) -> Result<Redis, OptionsError> {
        let url = self.url(&url::REDIS, environment)?;
        let encrypted = ["rediss:", "rediss+sentinel:", "valkeys:"]
            .iter()
            .any(|scheme| url.reveal().to_lowercase().starts_with(scheme));
        if let Some(option) = self.uses_tls_options()
            && !encrypted
        {
            let problem = "the URL is one without TLS";
            return Err(OptionsError::contradiction(option, problem, "write rediss:// in --url"));
        }
        for (option, path) in self.beside_the_url() {
            check_readable(option, path)?;
        }
        let mut redis = Redis::new(url.renewable(), self.topic());
        if let Some(path) = given::path(self.tls_ca.as_ref()) {
            redis = redis.ca_certificates(Secret::file(path));
        }
        if let (Some(certificate), Some(key)) =
            (given::path(self.tls_certificate.as_ref()), given::path(self.tls_key.as_ref()))
        {
            redis = redis.client_certificate(Secret::file(certificate), Secret::file(key));
        }
        if self.create_topic {
            redis = redis.create_stream();
        }
        Ok(redis)
    }
}
