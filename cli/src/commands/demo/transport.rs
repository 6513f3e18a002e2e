//! What the user chose, and whether it goes together.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

use super::server::{NatsLog, RedisLog};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// A broker inside the demo's process that speaks the Kafka protocol: nothing to install.
    Kafka,
    /// A log in this process.
    Memory,
    /// A stream of its own on the NATS server at --url, which needs JetStream.
    Nats,
    /// A stream of its own on the Redis server at --url.
    Redis,
}

/// An address that may hold a password, and is therefore not shown.
#[derive(Clone)]
pub(super) struct ServerUrl(String);

/// What the demo is to run on.
#[derive(Debug)]
pub(super) enum Choice {
    Kafka,
    Memory,
    Nats(Box<NatsLog>),
    Redis(Box<RedisLog>),
}

/// Arguments that do not go together, and how to mend them. Nothing of the address is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misuse {
    #[error(
        "--url is for --transport nats and redis, and --transport {0} brings its own log: leave --url out, or choose one of \
         those"
    )]
    Surplus(&'static str),
    #[error("--transport {name} needs the address of a server: add --url {example}")]
    Missing { name: &'static str, example: &'static str },
    #[error("--url is not the address of a {server} server: write {form}")]
    Wrong { server: &'static str, form: &'static str },
}

const NATS_FORM: &str = "nats://[user:password@]host[:port], or tls:// for TLS";
const REDIS_FORM: &str = "redis://[[user]:password@]host[:port][/database], or rediss:// for TLS";

impl Transport {
    pub(super) fn with(self, url: Option<&ServerUrl>) -> Result<Choice, Misuse> {
        match (self, url) {
            (Self::Kafka, None) => Ok(Choice::Kafka),
            (Self::Kafka, Some(_)) => Err(Misuse::Surplus("kafka")),
            (Self::Memory, None) => Ok(Choice::Memory),
            (Self::Memory, Some(_)) => Err(Misuse::Surplus("memory")),
            (Self::Nats, None) => Err(Misuse::Missing { name: "nats", example: "nats://localhost:4222" }),
            (Self::Nats, Some(ServerUrl(url))) => {
                let wrong = Misuse::Wrong { server: "NATS", form: NATS_FORM };
                NatsLog::at(url).map(Box::new).map(Choice::Nats).ok_or(wrong)
            }
            (Self::Redis, None) => Err(Misuse::Missing { name: "redis", example: "redis://localhost:6379" }),
            (Self::Redis, Some(ServerUrl(url))) => {
                let wrong = Misuse::Wrong { server: "Redis", form: REDIS_FORM };
                RedisLog::at(url).map(Box::new).map(Choice::Redis).ok_or(wrong)
            }
        }
    }
}

impl FromStr for ServerUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerUrl(…)")
    }
}
