//! Option groups that flatten into anybody's `clap` command and give it a tracker.
//!
//! ```
//! use backup_tracker::BackupTracker;
//! use backup_tracker_cli::options::{BackupTrackerOptions, KafkaOptions};
//! use clap::Parser;
//!
//! /// Searches the shop.
//! #[derive(Parser)]
//! struct Search {
//!     /// Where to listen.
//!     #[arg(short, long, default_value = "127.0.0.1:8080")]
//!     listen: String,
//!
//!     #[command(flatten)]
//!     kafka: KafkaOptions,
//!
//!     #[command(flatten)]
//!     backups: BackupTrackerOptions,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mock = backup_tracker_kafka::rdkafka::mocking::MockCluster::new(1)?;
//! # mock.create_topic("backups", 1, 1)?;
//! # let servers = mock.bootstrap_servers();
//! // search --bootstrap-server kafka-1:9092 --group search
//! # let parse = || Search::parse_from(["search", "--bootstrap-server", &servers, "--group", "search"]);
//! # /*
//! let search = Search::parse();
//! # */
//! # let search = parse();
//! let secondary = search
//!     .backups
//!     .secondary(&search.kafka, "shop", |secondary| {
//!         secondary.on_change(|change, _tracker| println!("{}", change.transition))
//!     })
//!     .await?;
//!
//! // And the service that makes the backups:
//! let primary = search.backups.primary(&search.kafka, "shop").await?;
//! primary.startup_complete().await?;
//! # primary.close().await?;
//! # secondary.close().await?;
//! # Ok(()) }
//! ```
//!
//! `secondary` takes a closure that adds listeners, and anything else that a
//! [`SecondaryBuilder`](backup_tracker::SecondaryBuilder) can be told; `|secondary| secondary` adds none.
//! [`primary_with`](BackupTrackerOptions::primary_with) does the same for a primary. A service that wants the transport itself, to set
//! what no option sets, gets it from [`transport`](BackupTrackerOptions::transport).
//!
//! The groups have no short options, and the ids of their arguments begin with `backup-tracker-`, so that they clash with a
//! command's own arguments only where those have the same long name. [`ApplicationOption`] is a group of its own, because most services
//! know their application.
//!
//! # Every option
//!
#![doc = include_str!("options.md")]
//!
//! An argument wins over a variable, a variable over a default. A variable that is blank counts as not set. Of two options for the same
//! thing, `--kafka-password` and `--kafka-password-file`, `--url` and `--url-file`, the one that is an argument wins over the
//! one that is a variable; two arguments, or two variables, are an error. Variables whose values may be secrets are named in
//! `--help` without their values, and no `Debug`, error or log shows one.
//!
//! With NATS and Redis, the files of `--url-file`, `--backup-credentials` and the TLS options are read again for each connection, so that
//! what is renewed in them is used without a restart.
//!
//! `--backup-bootstrap-server` is for announcements alone, and wins over `--bootstrap-server` and its variable. With NATS and Redis,
//! Kafka's options are without effect, apart from `--group` and `--read-policy`: a service may read other things from Kafka.
//! A URL with Kafka is an error, also one from its variable: somebody forgot `--transport`.
//!
//! # Client properties of Kafka
//!
//! `--kafka-properties` names a file in the format of `java.util.Properties`, in UTF-8 or else ISO 8859-1; `--kafka-property` wins over it,
//! and the options about signing in win over both. Names are librdkafka's, and each is shown to librdkafka before anything is connected.
//! These of Java's are understood, too:
//!
//! | Java | becomes |
//! |---|---|
//! | `sasl.jaas.config` with `PlainLoginModule` or `ScramLoginModule` | `sasl.username`, `sasl.password`; with the former, `sasl.mechanism` is PLAIN unless set |
//! | `sasl.mechanism`, `security.protocol`, `ssl.key.password` and others that librdkafka calls the same | themselves |
//! | `ssl.truststore.location` with `ssl.truststore.type=PEM` | `ssl.ca.location` |
//! | `ssl.truststore.certificates` | `ssl.ca.pem` |
//! | `ssl.keystore.location` with `ssl.keystore.type=PEM` | `ssl.certificate.location` and `ssl.key.location` |
//! | `ssl.keystore.location` with `ssl.keystore.type=PKCS12` | itself |
//! | `ssl.keystore.certificate.chain`, `ssl.keystore.key` | `ssl.certificate.pem`, `ssl.key.pem` |
//! | an empty `ssl.endpoint.identification.algorithm` | `none` |
//! | `bootstrap.servers`, `group.id`, `auto.offset.reset` in a file | `--bootstrap-server`, `--group`, `--read-policy`, where those are not given |
//! | serializers, `max.poll.records` and others that a tracker has no use for | nothing; a log line says so |
//! | trust stores that are not PEM, key stores that are JKS, other login modules, `ssl.enabled.protocols` and others | an error that says what to write instead |
//!
//! Where a file holds both a Java store and librdkafka's properties for the same, the latter count, so that one file can serve both
//! clients.
//!
//! What a tracker relies on is refused unless it has the tracker's own value: `acks`, `enable.idempotence`, `enable.auto.commit`,
//! `enable.auto.offset.store`, `enable.partition.eof`.
//!
//! With `--kafka-user`, `security.protocol` is as in Java's command line unless set: `SASL_SSL` for SCRAM, and where any property about TLS
//! is set; `SASL_PLAINTEXT` for PLAIN alone, with a warning in the log. SCRAM and TLS need the Cargo feature `ssl` (or `ssl-vendored`).
//!
//! # Creating a topic
//!
//! `--create-topic` makes a topic of one partition with Kafka, a stream and a bucket for the positions with NATS, a stream with Redis. With
//! Kafka and NATS it is kept on three servers unless `--create-topic-replicas` says otherwise; a single server needs a `1` there.
//!
//! # Errors
//!
//! [`OptionsError`] is one line that names the option and says how to mend it. Whatever the broker says is a
//! [`backup_tracker::Error`]; [`OpenError`] is either.

mod application;
mod blame;
mod either;
mod environment;
mod error;
mod format;
mod given;
mod kafka;
mod open;
mod properties;
mod secret;
#[cfg(test)]
mod tests;
mod tracker;
mod transport;
mod url;
mod words;

pub use application::ApplicationOption;
pub(crate) use blame::blame;
/// The version of `clap` that the groups are for.
pub use clap;
pub use error::{OpenError, OptionsError, OptionsErrorKind};
pub use kafka::KafkaOptions;
pub(crate) use properties::librdkafka_features;
pub use tracker::{BackupTrackerOptions, DEFAULT_REPLICAS, DEFAULT_TOPIC};
pub use transport::Transport;
pub use words::TransportName;

/// The heading in `--help` of what concerns backups.
const BACKUPS: &str = "Backup options";
/// The heading in `--help` of what concerns Kafka.
const KAFKA: &str = "Kafka options";
