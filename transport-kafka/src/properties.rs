//! Settings that are passed on as they are.

use std::collections::BTreeMap;
use std::fmt;

use backup_tracker::{Error, Result, Secret};
use rdkafka::ClientConfig;

/// librdkafka properties as the user gave them. `Debug` shows the names alone.
#[derive(Clone, Default)]
pub(crate) struct Properties(BTreeMap<String, Value>);

#[derive(Clone)]
enum Value {
    Fixed(String),
    /// Read again for each client.
    Renewed(Secret),
}

impl Properties {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), Value::Fixed(value.into()));
    }

    pub(crate) fn set_secret(&mut self, name: impl Into<String>, secret: Secret) {
        self.0.insert(name.into(), Value::Renewed(secret));
    }

    /// Whether the user has set this property.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value, unless it is a secret.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Fixed(value) => Some(value),
            Value::Renewed(_) => None,
        }
    }

    /// Sets all of them; secrets are read now, which may block.
    pub(crate) fn apply(&self, config: &mut ClientConfig) -> Result<()> {
        for (name, value) in &self.0 {
            match value {
                Value::Fixed(value) => config.set(name, value),
                Value::Renewed(secret) => {
                    config.set(name, secret.read().map_err(|error| named(name, &error))?)
                }
            };
        }
        Ok(())
    }
}

/// The error of a secret that cannot be read, with the property that it is for.
fn named(name: &str, error: &Error) -> Error {
    Error::new(error.kind(), error.operation(), format!("`{name}`: {}", error.message()))
        .with_source(error.clone())
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How a missing topic is created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateTopic {
    /// How many partitions it gets. One is enough for most: an application's events never spread.
    pub partitions: u32,
    /// On how many brokers each partition is kept.
    pub replication: u16,
    /// Topic settings, for example `min.insync.replicas`.
    pub config: BTreeMap<String, String>,
}

impl CreateTopic {
    /// A topic with this many partitions, each on this many brokers, and the broker's defaults otherwise.
    #[must_use]
    pub fn new(partitions: u32, replication: u16) -> Self {
        Self { partitions, replication, config: BTreeMap::new() }
    }

    /// The topic with one more setting.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(name.into(), value.into());
        self
    }
}
