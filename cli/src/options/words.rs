//! The options that are one of some words.

use backup_tracker::{StartAt, WireFormat};
use clap::ValueEnum;

/// What carries the announcements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
#[non_exhaustive]
pub enum TransportName {
    /// Apache Kafka.
    #[default]
    Kafka,
    /// NATS JetStream.
    Nats,
    /// Redis Streams.
    Redis,
}

impl TransportName {
    /// The word that stands for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }
}

/// How a user's name and password are shown to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginType {
    #[value(name = "PLAIN")]
    Plain,
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
}

impl LoginType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Where a group begins that has no position yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadPolicy {
    /// At the earliest event there is, so that an operation that is running is seen.
    #[value(name = "EARLIEST")]
    Earliest,
    /// Behind the latest.
    #[value(name = "LATEST")]
    Latest,
}

impl From<ReadPolicy> for StartAt {
    fn from(policy: ReadPolicy) -> Self {
        match policy {
            ReadPolicy::Earliest => Self::Earliest,
            ReadPolicy::Latest => Self::Latest,
        }
    }
}

/// How announcements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The JSON of the Java module backup-tracker.
    BackupJson,
    /// The JSON of the Java module action-tracker.
    ActionJson,
    /// CBOR, which only this library reads.
    Cbor,
}

impl From<Format> for WireFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::BackupJson => Self::BackupJson,
            Format::ActionJson => Self::ActionJson,
            Format::Cbor => Self::Cbor,
        }
    }
}
