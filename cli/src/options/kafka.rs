//! The options that say how to reach Kafka, and as which group to read.

use std::ffi::OsString;

use backup_tracker::StartAt;
use clap::{Args, ValueHint};

use super::either::Either;
use super::environment::Environment;
use super::error::OptionsError;
use super::given::{self, Word, Words};
use super::secret::Secret;
use super::words::{LoginType, ReadPolicy};

/// How to reach Kafka, as whom, and as which group to read. A service that reads other topics, too, can use them for those.
///
/// `--group` and `--read-policy` apply to every transport, the others to Kafka alone.
#[derive(Args, Clone, Debug)]
#[group(id = "backup-tracker-kafka-options")]
pub struct KafkaOptions {
    /// Kafka's bootstrap servers, `host:port`, separated by commas.
    #[arg(
        id = "backup-tracker-bootstrap-server",
        help_heading = super::KAFKA,
        long = "bootstrap-server",
        visible_alias = "bootstrap-servers",
        env = "BOOTSTRAP_SERVERS",
        value_name = "SERVERS",
        value_hint = ValueHint::Hostname
    )]
    pub(super) bootstrap_servers: Option<String>,

    /// The group whose position is read and moved. Each secondary has one of its own, which nothing else uses; the replicas of
    /// one service share it. Also with the transports other than Kafka.
    #[arg(
        id = "backup-tracker-group",
        help_heading = super::KAFKA,
        long = "group",
        env = "CONSUMER_GROUP",
        value_name = "GROUP"
    )]
    pub(super) group: Option<String>,

    /// Where a group that has no position yet begins [default: EARLIEST]. Also with the transports other than Kafka.
    #[arg(
        id = "backup-tracker-read-policy",
        help_heading = super::KAFKA,
        long = "read-policy",
        value_name = "POLICY",
        value_enum,
        ignore_case = true
    )]
    pub(super) read_policy: Option<ReadPolicy>,

    /// The user to sign in as (SASL).
    #[arg(
        id = "backup-tracker-kafka-user",
        help_heading = super::KAFKA,
        long = "kafka-user",
        visible_alias = "kafka-username",
        env = "KAFKA_USER",
        value_name = "USER"
    )]
    pub(super) user: Option<String>,

    /// The user's password. Every user of the machine sees a command line: prefer the variable, or the file.
    #[arg(
        id = "backup-tracker-kafka-password",
        help_heading = super::KAFKA,
        long = "kafka-password",
        env = "KAFKA_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    pub(super) password: Option<Secret>,

    /// A file that holds the user's password, and nothing else.
    #[arg(
        id = "backup-tracker-kafka-password-file",
        help_heading = super::KAFKA,
        long = "kafka-password-file",
        env = "KAFKA_PASSWORD_FILE",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(super) password_file: Option<OsString>,

    /// How to sign in [default: PLAIN, unless the properties have `sasl.mechanism`]. SCRAM needs a build with TLS.
    #[arg(
        id = "backup-tracker-kafka-login-type",
        help_heading = super::KAFKA,
        long = "kafka-login-type",
        env = "KAFKA_LOGIN_TYPE",
        value_name = "TYPE",
        value_parser = Words::<LoginType>::new(),
        ignore_case = true
    )]
    pub(super) login_type: Option<Word<LoginType>>,

    /// A file of client properties in Java's format, with the names of librdkafka or Java's security settings. Options win over it.
    /// KAFKA_PROPERTIES_FILE is read where KAFKA_CONFIG_FILE_PATH is not set.
    #[arg(
        id = "backup-tracker-kafka-properties",
        help_heading = super::KAFKA,
        long = "kafka-properties",
        env = "KAFKA_CONFIG_FILE_PATH",
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(super) properties_file: Option<OsString>,

    /// One client property; it wins over the file. May be repeated.
    #[arg(
        id = "backup-tracker-kafka-property",
        help_heading = super::KAFKA,
        long = "kafka-property",
        value_name = "NAME=VALUE"
    )]
    pub(super) properties: Vec<Secret>,
}

impl KafkaOptions {
    /// The general bootstrap servers, if there are some.
    #[must_use]
    pub fn bootstrap_servers(&self) -> Option<&str> {
        given::text(self.bootstrap_servers.as_ref())
    }

    /// The group, if there is one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        given::text(self.group.as_ref())
    }

    /// Where a group begins that has no position yet: at the earliest event there is, unless the options say otherwise.
    #[must_use]
    pub fn start(&self) -> StartAt {
        self.read_policy.map(StartAt::from).unwrap_or_default()
    }

    /// The password, from the option, the variable or the file.
    pub(super) fn password(&self, environment: Environment<'_>) -> Result<Option<Secret>, OptionsError> {
        let password = Either {
            option: "--kafka-password",
            variable: "KAFKA_PASSWORD",
            value: self.password.as_ref(),
            file_option: "--kafka-password-file",
            file_variable: "KAFKA_PASSWORD_FILE",
            file: self.password_file.as_ref(),
        };
        password.resolve(environment)
    }
}
