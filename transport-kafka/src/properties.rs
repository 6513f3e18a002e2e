//! Settings that are passed on as they are.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;

/// librdkafka properties as the user gave them. `Debug` shows the names alone.
#[derive(Clone, Default)]
pub(crate) struct Properties(BTreeMap<String, String>);

impl Properties {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        for (name, value) in &self.0 {
            config.set(name, value);
        }
    }
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
