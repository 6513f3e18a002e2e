//! The memory transport on the conformance suite's bench, behind a link that plays the connection to a broker.

mod link;
mod profile;

use std::time::Duration;

use backup_tracker::{Result, StartAt};
use backup_tracker_conformance::{Fault, Harness, Isolation, Lane, Profile, RawRecord};
use backup_tracker_memory::{MemoryLog, MemorySink, MemorySource};
use link::{Link, Linked, State};
use profile::MAX_EVENT_BYTES;
use uuid::Uuid;

pub(crate) struct MemoryHarness {
    /// In memory everything that comes, comes at once; but not on a machine that is busy.
    pub(crate) patience: Duration,
}

impl Harness for MemoryHarness {
    type Lane = MemoryLane;

    fn name(&self) -> &str {
        "memory"
    }

    fn profile(&self) -> Profile {
        profile::profile().with_patience(self.patience)
    }

    async fn lane(&self, name: &str, _isolation: Isolation) -> Result<MemoryLane> {
        let log = MemoryLog::with_max_event_bytes(name, MAX_EVENT_BYTES)?;
        Ok(MemoryLane { log, link: Link::new() })
    }
}

pub(crate) struct MemoryLane {
    log: MemoryLog,
    link: Link,
}

impl Lane for MemoryLane {
    type Sink = Linked<MemorySink>;
    type Source = Linked<MemorySource>;

    async fn sink(&self) -> Result<Self::Sink> {
        self.link.open(|| Ok(self.log.sink())).await
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<Self::Source> {
        self.link.open(|| self.log.source_from(start, group)).await
    }

    async fn observer(&self, start: StartAt) -> Result<Self::Source> {
        self.link.open(|| self.log.observer_from(start)).await
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        let key = record.key.and_then(|key| Uuid::try_parse_ascii(&key).ok());
        self.log.append_raw(key, record.headers, record.payload);
        Ok(())
    }

    async fn trim(&self) -> Result<()> {
        self.log.trim();
        Ok(())
    }

    async fn recreate(&self) -> Result<()> {
        self.log.recreate();
        Ok(())
    }

    async fn end(&self) -> Result<()> {
        self.log.end();
        Ok(())
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::BlackHole => self.link.set(State::BlackHole),
            Fault::LostAnswers => self.link.set(State::LostAnswers),
            Fault::Delay => self.link.set(State::Slow),
            // Cut or killed: what a client sees is the same, and the log outlives both.
            _ => self.log.set_available(false),
        }
        Ok(())
    }

    async fn heal(&self) -> Result<()> {
        self.log.set_available(true);
        self.link.set(State::Up);
        Ok(())
    }
}
