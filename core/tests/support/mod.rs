//! A log, its primary, and secondaries that follow it.

use std::future::Future;
use std::time::Duration;

use backup_tracker::{
    BackupState, PrimaryBackupTracker, RetryPolicy, SecondaryBackupTracker, SecondaryBuilder,
};
use backup_tracker_memory::{MemoryLog, MemorySource};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) log: MemoryLog,
    pub(crate) primary: PrimaryBackupTracker,
}

impl World {
    pub(crate) fn new() -> Self {
        let log = MemoryLog::new("backups").unwrap();
        let primary = PrimaryBackupTracker::builder("app", log.sink()).build().unwrap();
        Self { log, primary }
    }

    pub(crate) fn builder(&self) -> SecondaryBuilder<MemorySource> {
        let millisecond = Duration::from_millis(1);
        let retry = RetryPolicy::new().first(millisecond).longest(millisecond);
        SecondaryBackupTracker::builder("app", self.log.source("search").unwrap()).retry(retry)
    }

    pub(crate) async fn secondary(&self) -> SecondaryBackupTracker {
        let secondary = self.builder().build().unwrap();
        within(secondary.synced()).await.unwrap();
        secondary
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing came in time")
}

pub(crate) async fn reaches(secondary: &SecondaryBackupTracker, state: BackupState) {
    within(secondary.watch().wait_for(|now| *now == state)).await.unwrap();
}
