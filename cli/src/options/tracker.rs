//! The options that say where announcements are, and in which form.

use std::ffi::OsString;

use backup_tracker::WireFormat;
use clap::{Args, ValueHint};

use super::given::{self, Word, Words};
use super::secret::Secret;
use super::words::{Format, TransportName};

/// The topic unless `--backup-topic` says otherwise.
pub const DEFAULT_TOPIC: &str = "backups";
/// On how many servers a topic is kept that `--create-topic` makes, unless `--create-topic-replicas` says otherwise.
pub const DEFAULT_REPLICAS: u8 = 3;

/// Where announcements are, and in which form.
#[derive(Args, Clone, Debug)]
#[group(id = "backup-tracker-options")]
pub struct BackupTrackerOptions {
    /// What carries the announcements [default: kafka].
    #[arg(
        id = "backup-tracker-transport",
        help_heading = super::BACKUPS,
        long = "transport",
        env = "BACKUP_TRANSPORT",
        value_name = "TRANSPORT",
        value_parser = Words::<TransportName>::new(),
        ignore_case = true
    )]
    pub(super) transport: Option<Word<TransportName>>,

    /// Kafka's bootstrap servers for the announcements, where they are not those of --bootstrap-server and BOOTSTRAP_SERVERS.
    #[arg(
        id = "backup-tracker-backup-bootstrap-server",
        help_heading = super::BACKUPS,
        long = "backup-bootstrap-server",
        visible_alias = "backup-bootstrap-servers",
        value_name = "SERVERS",
        value_hint = ValueHint::Hostname
    )]
    pub(super) bootstrap_servers: Option<String>,

    /// The topic of the announcements; the beginning of a subject on NATS, a stream's key on Redis.
    #[arg(
        id = "backup-tracker-backup-topic",
        help_heading = super::BACKUPS,
        long = "backup-topic",
        env = "BACKUP_TOPIC",
        default_value = DEFAULT_TOPIC,
        value_name = "TOPIC"
    )]
    pub(super) topic: String,

    /// The servers of NATS, nats://host:4222 or tls://…, separated by commas, or the server of Redis, redis://host:6379 or
    /// rediss://…. User and password may be in it: prefer the variable or the file then.
    #[arg(
        id = "backup-tracker-url",
        help_heading = super::BACKUPS,
        long = "url",
        env = "BACKUP_URL",
        hide_env_values = true,
        value_name = "URL",
        value_hint = ValueHint::Url
    )]
    pub(super) url: Option<Secret>,

    /// A file that holds the URL, and nothing else.
    #[arg(
        id = "backup-tracker-url-file",
        help_heading = super::BACKUPS,
        long = "url-file",
        env = "BACKUP_URL_FILE",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(super) url_file: Option<OsString>,

    /// A credentials file (.creds) to sign in to NATS with.
    #[arg(
        id = "backup-tracker-backup-credentials",
        help_heading = super::BACKUPS,
        long = "backup-credentials",
        env = "BACKUP_CREDENTIALS",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(super) credentials: Option<OsString>,

    /// The JetStream domain of the announcements, for example a leaf node's; that of the server unless set.
    #[arg(
        id = "backup-tracker-nats-domain",
        help_heading = super::BACKUPS,
        long = "nats-domain",
        env = "BACKUP_NATS_DOMAIN",
        value_name = "DOMAIN"
    )]
    pub(super) nats_domain: Option<String>,

    /// What the subjects of JetStream's requests begin with, where an account imports them under another name [default: $JS.API].
    #[arg(
        id = "backup-tracker-nats-api-prefix",
        help_heading = super::BACKUPS,
        long = "nats-api-prefix",
        env = "BACKUP_NATS_API_PREFIX",
        value_name = "PREFIX"
    )]
    pub(super) nats_api_prefix: Option<String>,

    /// A PEM file with the authorities to check the certificates of NATS or Redis against.
    #[arg(
        id = "backup-tracker-backup-tls-ca",
        help_heading = super::BACKUPS,
        long = "backup-tls-ca",
        env = "BACKUP_TLS_CA",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(super) tls_ca: Option<OsString>,

    /// A PEM file with the certificate to show to NATS or Redis.
    #[arg(
        id = "backup-tracker-backup-tls-certificate",
        help_heading = super::BACKUPS,
        long = "backup-tls-certificate",
        env = "BACKUP_TLS_CERTIFICATE",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(super) tls_certificate: Option<OsString>,

    /// A PEM file with the certificate's private key.
    #[arg(
        id = "backup-tracker-backup-tls-key",
        help_heading = super::BACKUPS,
        long = "backup-tls-key",
        env = "BACKUP_TLS_KEY",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(super) tls_key: Option<OsString>,

    /// How announcements are written; all forms are read [default: backup-json with kafka, else cbor].
    #[arg(
        id = "backup-tracker-wire-format",
        help_heading = super::BACKUPS,
        long = "wire-format",
        env = "BACKUP_WIRE_FORMAT",
        value_name = "FORMAT",
        value_parser = Words::<Format>::new(),
        ignore_case = true
    )]
    pub(super) wire_format: Option<Word<Format>>,

    /// Create the topic (on NATS and Redis the stream) when it does not exist.
    #[arg(id = "backup-tracker-create-topic", help_heading = super::BACKUPS, long = "create-topic")]
    pub(super) create_topic: bool,

    /// On how many servers of Kafka or NATS a topic is kept that --create-topic makes [default: 3].
    #[arg(
        id = "backup-tracker-create-topic-replicas",
        help_heading = super::BACKUPS,
        long = "create-topic-replicas",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u8).range(1..)
    )]
    pub(super) replicas: Option<u8>,
}

impl BackupTrackerOptions {
    /// What carries the announcements.
    #[must_use]
    pub fn transport_name(&self) -> TransportName {
        self.transport.and_then(|word| word.0).unwrap_or_default()
    }

    /// The topic of the announcements.
    #[must_use]
    pub fn topic(&self) -> &str {
        given::text(Some(&self.topic)).unwrap_or(DEFAULT_TOPIC)
    }

    /// Whether a topic that is missing is created (`--create-topic`).
    #[must_use]
    pub const fn creates_topic(&self) -> bool {
        self.create_topic
    }

    /// How announcements are written: as was asked for, or else the transport's default.
    #[must_use]
    pub fn wire_format(&self) -> WireFormat {
        match (self.wire_format.and_then(|word| word.0), self.transport_name()) {
            (Some(format), _) => format.into(),
            (None, TransportName::Kafka) => WireFormat::BackupJson,
            (None, _) => WireFormat::Cbor,
        }
    }
}
