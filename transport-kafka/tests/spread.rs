//! A primary that spreads its steps over the partitions, as Java's does, and one that does not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::future_not_send, reason = "a mock cluster stays on its thread")]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use backup_tracker::wire::encode;
use backup_tracker::{
    BackupState, BackupTracker, BackupTransition, PrimaryBackupTracker, SecondaryBackupTracker, WireFormat,
};
use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::producer::{FutureProducer, FutureRecord};
use support::{Cluster, cluster, soon};
use uuid::Uuid;

use BackupState::{BackingUp, Ready, Restoring};

const WARNING: &str = "their order is not certain";

/// What this thread logs from now on, until the guard goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let lines = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || lines.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(WARNING)).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn reaches(secondary: &SecondaryBackupTracker, state: BackupState) {
    soon(secondary.watch().wait_for(|now| *now == state)).await.unwrap();
}

async fn secondary(cluster: &Cluster) -> SecondaryBackupTracker {
    SecondaryBackupTracker::builder("shop", cluster.source("search").await).build().unwrap()
}

#[tokio::test]
async fn a_primary_that_spreads_its_steps_is_followed_with_one_warning() {
    let (log, _guard) = Log::begin();
    let cluster = cluster(3);
    let secondary = secondary(&cluster).await;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &cluster.servers).create().unwrap();
    for (partition, from, to) in
        [(0, Ready, BackingUp), (2, BackingUp, Ready), (1, Ready, Restoring), (1, Restoring, Ready)]
    {
        let step = BackupTransition::new(Uuid::new_v4(), "shop", 1, from, to);
        let event = encode(&step, WireFormat::BackupJson);
        let key = event.key.to_string();
        let record = FutureRecord::to("backups").partition(partition).key(&key).payload(&event.payload[..]);
        producer.send_result(record).map_err(|(error, _)| error).unwrap().await.unwrap().unwrap();
        reaches(&secondary, to).await;
    }
    assert_eq!(secondary.stats().partition_changes, 2);
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("partition 2") && warnings[0].contains("before=0"), "{warnings:?}");
    soon(secondary.close()).await.unwrap();
}

#[tokio::test]
async fn a_primary_of_ours_keeps_to_one_partition_and_nothing_is_said() {
    let (log, _guard) = Log::begin();
    let cluster = cluster(3);
    let secondary = secondary(&cluster).await;
    let primary = PrimaryBackupTracker::builder("shop", cluster.sink().await).build().unwrap();
    soon(primary.startup_complete()).await.unwrap();
    for _ in 0..3 {
        soon(primary.start_backup()).await.unwrap();
        reaches(&secondary, BackingUp).await;
        soon(primary.finish_backup()).await.unwrap();
        reaches(&secondary, Ready).await;
    }
    assert_eq!((secondary.stats().partition_changes, log.warnings()), (0, Vec::new()));
    soon(primary.close()).await.unwrap();
    soon(secondary.close()).await.unwrap();
}
