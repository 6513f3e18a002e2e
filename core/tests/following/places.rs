//! T10 on a log of several partitions: what is newer in one does not stand for what is outstanding in another (S15).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use backup_tracker::wire::encode;
use backup_tracker::{
    BackupState, BackupTransition, EventSource, Position, Record, Remaining, Result, SecondaryBackupTracker,
    WireFormat,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::support::{reaches, within};
use BackupState::{BackingUp, Ready};

/// Two partitions, read in the order in which the test says what comes. One record is older than the session.
#[derive(Clone, Default)]
struct Partitioned {
    coming: Arc<Mutex<VecDeque<Record>>>,
    came: Arc<Notify>,
}

impl Partitioned {
    fn comes(&self, partition: u32, application: &str) {
        let id = Uuid::from_u128(u128::from(partition));
        let step = BackupTransition::new(id, application, 0, Ready, BackingUp);
        let record = Record::new(Position::Partition { partition, offset: 0 })
            .payload(encode(&step, WireFormat::BackupJson).payload);
        self.coming.lock().unwrap().push_back(record);
        self.came.notify_one();
    }
}

impl EventSource for Partitioned {
    async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            let record = self.coming.lock().unwrap().pop_front();
            match record {
                Some(record) => return Ok(Some(record)),
                None => self.came.notified().await,
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    fn resumed(&self) -> bool {
        true
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        Ok(Remaining::in_partitions([1, 0]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_record_of_another_application_opens_no_gate_before_the_own_backup_is_seen() {
    let source = Partitioned::default();
    let secondary = SecondaryBackupTracker::builder("app", source.clone()).build().unwrap();
    source.comes(1, "other");
    let read = async {
        while secondary.stats().received < 1 {
            tokio::task::yield_now().await;
        }
    };
    within(read).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(!secondary.is_synced() && !secondary.gate().is_open());
    source.comes(0, "app");
    reaches(&secondary, BackingUp).await;
    within(secondary.synced()).await.unwrap();
    assert!(!secondary.gate().is_open());
}
