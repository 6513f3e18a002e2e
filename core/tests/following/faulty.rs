//! A source that fails as it is told.

use std::future::pending;
use std::sync::{Arc, Mutex};

use backup_tracker::{
    Error, ErrorKind, EventSource, Record, Remaining, Result, RetryPolicy, SecondaryBackupTracker,
    SecondaryBuilder,
};
use backup_tracker_memory::{MemoryLog, MemorySource};
use std::time::Duration;

/// How a call goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Goes {
    #[default]
    Well,
    Fails(ErrorKind),
    /// In a way that passes.
    FailsBecause(ErrorKind),
    /// It never ends.
    Hangs,
    Panics,
}

impl Goes {
    async fn on(self, operation: &'static str) -> Result<()> {
        match self {
            Self::Well => Ok(()),
            Self::Fails(kind) => Err(Error::new(kind, operation, "on purpose")),
            Self::FailsBecause(cause) => {
                Err(Error::new(ErrorKind::Unavailable, operation, "on purpose").with_cause(cause))
            }
            Self::Hangs => pending().await,
            Self::Panics => panic!("{operation} panics on purpose"),
        }
    }
}

/// How the calls of a source go, and how many there were.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Calls>>);

#[derive(Clone, Copy, Default)]
pub(crate) struct Calls {
    pub(crate) next: Goes,
    pub(crate) commit: Goes,
    pub(crate) remaining: Goes,
    pub(crate) claim: Goes,
    pub(crate) close: Goes,
    /// How many calls of `next` had failed.
    pub(crate) failed: u32,
}

impl Faults {
    pub(crate) fn set(&self, change: impl FnOnce(&mut Calls)) {
        change(&mut self.0.lock().unwrap());
    }

    pub(crate) fn now(&self) -> Calls {
        *self.0.lock().unwrap()
    }
}

pub(crate) struct Faulty {
    inner: MemorySource,
    faults: Faults,
}

impl EventSource for Faulty {
    async fn next(&mut self) -> Result<Option<Record>> {
        let goes = self.faults.now().next;
        if goes != Goes::Well {
            self.faults.set(|calls| calls.failed += 1);
        }
        goes.on("read").await?;
        self.inner.next().await
    }

    async fn commit(&mut self) -> Result<()> {
        self.faults.now().commit.on("commit").await?;
        self.inner.commit().await
    }

    fn resumed(&self) -> bool {
        self.inner.resumed()
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        self.faults.now().remaining.on("count").await?;
        self.inner.remaining().await
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        self.faults.now().claim.on("claim").await?;
        self.inner.claim(application).await
    }

    async fn close(self) -> Result<()> {
        self.faults.now().close.on("close").await
    }
}

/// A source of the group `search`.
pub(crate) fn faulty(log: &MemoryLog) -> (Faulty, Faults) {
    let faults = Faults::default();
    (Faulty { inner: log.source("search").unwrap(), faults: faults.clone() }, faults)
}

/// A secondary over one, which tries again soon.
pub(crate) fn builder(log: &MemoryLog) -> (SecondaryBuilder<Faulty>, Faults) {
    let (source, faults) = faulty(log);
    let retry = RetryPolicy::new().first(Duration::from_millis(1)).longest(Duration::from_millis(10));
    (SecondaryBackupTracker::builder("app", source).retry(retry), faults)
}
