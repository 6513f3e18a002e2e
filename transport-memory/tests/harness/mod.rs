//! The memory transport on the conformance suite's bench.

use std::time::Duration;

use backup_tracker::Result;
use backup_tracker_conformance::{Ability, Fault, Harness, Isolation, Lane, Profile, RawRecord, Start};
use backup_tracker_memory::{MemoryLog, MemorySink, MemorySource, StartAt};
use uuid::Uuid;

const MAX_EVENT_BYTES: usize = 64 * 1024;

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
        Profile::new(MAX_EVENT_BYTES)
            .lacks(
                Ability::BlackHole,
                "there is no connection that could hang: the log answers or refuses at once",
            )
            .with_patience(self.patience)
            .with_quiet(Duration::from_millis(40))
            .with_idle(Duration::from_millis(200))
    }

    async fn lane(&self, name: &str, _isolation: Isolation) -> Result<MemoryLane> {
        MemoryLog::with_max_event_bytes(name, MAX_EVENT_BYTES).map(MemoryLane)
    }
}

pub(crate) struct MemoryLane(MemoryLog);

impl Lane for MemoryLane {
    type Sink = MemorySink;
    type Source = MemorySource;

    async fn sink(&self) -> Result<MemorySink> {
        Ok(self.0.sink())
    }

    async fn source(&self, group: &str, start: Start) -> Result<MemorySource> {
        let start = match start {
            Start::Earliest => StartAt::Earliest,
            Start::Latest => StartAt::Latest,
        };
        self.0.source_from(start, group)
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        let key = record.key.and_then(|key| Uuid::try_parse_ascii(&key).ok());
        self.0.append_raw(key, record.headers, record.payload);
        Ok(())
    }

    async fn trim(&self) -> Result<()> {
        self.0.trim();
        Ok(())
    }

    async fn recreate(&self) -> Result<()> {
        self.0.recreate();
        Ok(())
    }

    async fn end(&self) -> Result<()> {
        self.0.end();
        Ok(())
    }

    /// Cut or killed: what a client sees is the same, and the log outlives both.
    async fn inflict(&self, _fault: Fault) -> Result<()> {
        self.0.set_available(false);
        Ok(())
    }

    async fn heal(&self) -> Result<()> {
        self.0.set_available(true);
        Ok(())
    }
}
