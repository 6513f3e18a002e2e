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

/// How long a broker that is restarted is away, and there before the next one is.
const RESTART: Duration = Duration::from_millis(20);

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

impl MemoryLane {
    /// As brokers that are away one after the other.
    async fn restart(&self, brokers: u32) {
        for _ in 0..brokers {
            self.log.set_available(false);
            tokio::time::sleep(RESTART).await;
            self.log.set_available(true);
            tokio::time::sleep(RESTART).await;
        }
    }
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
        self.link.set(State::Up);
        Ok(())
    }

    /// What it held goes when it is created again: nobody can look meanwhile.
    async fn delete(&self) -> Result<()> {
        self.link.set(State::Away);
        Ok(())
    }

    async fn truncate(&self, count: usize) -> Result<()> {
        self.log.truncate(count);
        Ok(())
    }

    /// Nobody logs in to a log in the same process. Saboteurs do.
    async fn renew_credentials(&self) -> Result<()> {
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
            Fault::PartialBlackHole => self.link.set(State::Deaf),
            Fault::Deny => self.link.set(State::Denied),
            Fault::RestartOne => self.restart(1).await,
            Fault::Roll => self.restart(3).await,
            // Cut, stopped or killed: what a client sees is the same, and the log outlives both.
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
