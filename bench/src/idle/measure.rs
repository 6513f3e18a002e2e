//! Starts everything, waits, and looks at what the waiting has cost.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Serialize, Serializer};

use crate::process::{self, Usage};
use crate::server::Server;
use crate::subject::{Child, Subject};
use crate::table::Table;
use crate::transport::Transport;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long nothing happens.
    pub(crate) silence: Duration,
    /// How long everything that was just started may come to rest before that.
    pub(crate) rest: Duration,
    /// How many secondaries one process has in memory.
    pub(crate) in_memory: usize,
    /// At Kafka, where each has threads.
    pub(crate) at_kafka: usize,
    /// At NATS and at Redis, where each costs little.
    pub(crate) elsewhere: usize,
}

impl Settings {
    /// What the goals speak of.
    pub(crate) const FULL: Self = Self {
        silence: Duration::from_secs(60),
        rest: Duration::from_secs(10),
        in_memory: 1000,
        at_kafka: 10,
        elsewhere: 100,
    };

    /// To see that it runs. Its numbers mean nothing.
    pub(crate) const SMALLEST: Self = Self {
        silence: Duration::from_secs(1),
        rest: Duration::ZERO,
        in_memory: 10,
        at_kafka: 2,
        elsewhere: 2,
    };

    const fn count(&self, transport: Transport) -> usize {
        match transport {
            Transport::Memory => self.in_memory,
            Transport::Kafka => self.at_kafka,
            Transport::Nats | Transport::Redis => self.elsewhere,
        }
    }
}

/// What one process cost.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) transport: Transport,
    pub(crate) subject: Subject,
    /// How many secondaries, or as many raw readers, the process had.
    pub(crate) count: usize,
    pub(crate) usage: Usage,
    #[serde(serialize_with = "seconds")]
    pub(crate) silence: Duration,
}

/// Starts the servers that there are and every subject at each of them, and measures all of them in the same silence.
/// `program` is `backup-tracker`; without it, this program plays it.
///
/// # Errors
///
/// When a server or a subject does not start or ends early, and on a system without `/proc`.
pub(crate) fn measure(
    settings: &Settings,
    transports: &[Transport],
    program: Option<&Path>,
) -> Result<Table> {
    process::supported()?;
    let mut table = Table::default();
    let mut servers = Vec::new();
    for &transport in transports {
        match Server::start(transport)? {
            Ok(server) => servers.push(server),
            Err(missing) => table.miss(transport, missing.reason),
        }
    }
    let mut children = Vec::new();
    for server in &servers {
        let count = settings.count(server.transport());
        for subject in Subject::at(server.transport()) {
            let count = if subject.is_watch() { 1 } else { count };
            let child = Child::start(server, subject, count, program);
            children.push(child.with_context(|| format!("{} over {}", subject.name(), server.transport()))?);
        }
    }
    std::thread::sleep(settings.rest);
    let before = children.iter().map(Child::usage).collect::<Result<Vec<_>>>()?;
    std::thread::sleep(settings.silence);
    for (child, before) in children.iter().zip(before) {
        let usage = child.usage()?.since(&before);
        let (transport, subject, count) = child.what();
        table.add(Sample { transport, subject, count, usage, silence: settings.silence });
    }
    children.into_iter().try_for_each(Child::end)?;
    Ok(table)
}

/// A time as JSON has it.
pub(crate) fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
