//! What a subject waits at.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, bail};
use clap::ValueEnum;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    Memory,
    Kafka,
    Nats,
    Redis,
}

impl Transport {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Kafka, Self::Nats, Self::Redis];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match Self::ALL.into_iter().find(|transport| transport.as_str() == name) {
            Some(transport) => Ok(transport),
            None => bail!("`{name}` is no transport"),
        }
    }
}
