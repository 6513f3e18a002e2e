//! One partition's leader is slow, while another partition's records come (S15).

#![allow(clippy::unwrap_used, reason = "these are the tests' own steps")]

#[path = "harness/proxy.rs"]
mod proxy;
mod support;

use backup_tracker::wire::Others;
use backup_tracker::{
    BackupState, BackupTracker, EventSource, PrimaryBackupTracker, Record, Remaining, Result,
    SecondaryBackupTracker,
};
use backup_tracker_kafka::rdkafka::mocking::{MockCluster, MockCoordinator};
use backup_tracker_kafka::{Kafka, KafkaSource, partition_for};
use proxy::Proxy;
use support::{never, send, soon};
use tokio::sync::watch;

/// Tells what was counted last.
struct Counted(KafkaSource, watch::Sender<Option<Remaining>>);

impl EventSource for Counted {
    async fn next(&mut self) -> Result<Option<Record>> {
        self.0.next().await
    }

    async fn commit(&mut self) -> Result<()> {
        self.0.commit().await
    }

    fn resumed(&self) -> bool {
        self.0.resumed()
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        let remaining = self.0.remaining().await?;
        self.1.send_replace(Some(remaining.clone()));
        Ok(remaining)
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        self.0.claim(application).await
    }

    fn leave_out(&mut self, others: Others) {
        self.0.leave_out(others);
    }
}

/// The application whose partition this is.
fn application(partition: u32) -> String {
    let mut names = (0..100).map(|number| number.to_string());
    names.find(|name| partition_for(name, 2) == partition).unwrap()
}

#[tokio::test]
async fn a_newer_record_of_another_partition_does_not_open_the_gate_before_the_own_backup_is_seen() {
    let mock = MockCluster::new(2).unwrap();
    mock.create_topic("backups", 2, 1).unwrap();
    mock.partition_leader("backups", 0, Some(1)).unwrap();
    mock.partition_leader("backups", 1, Some(2)).unwrap();
    mock.coordinator(MockCoordinator::Group("search".into()), 1).unwrap();
    let servers = mock.bootstrap_servers();
    let proxy = Proxy::start(&servers).await.unwrap();
    let slow = servers.split(',').nth(1).unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let through = |servers: &str| Kafka::new(servers, "backups").property("fetch.wait.max.ms", "10");
    let (own, other) = (application(1), application(0));

    let primary = soon(through(&servers).sink().open()).await.unwrap();
    let primary = PrimaryBackupTracker::builder(&*own, primary).build().unwrap();
    let source = soon(through(&proxy.servers()).source("search").open()).await.unwrap();
    let secondary = SecondaryBackupTracker::builder(&*own, source).build().unwrap();
    soon(primary.startup_complete()).await.unwrap();
    soon(async {
        while secondary.stats().commits == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(secondary.close()).await.unwrap();

    let source = soon(through(&proxy.servers()).source("search").open()).await.unwrap();
    assert!(source.resumed());
    // From now on the partition's leader answers how far the partition goes, and nothing else.
    soon(proxy.lose_fetches(slow)).await;
    soon(primary.start_backup()).await.unwrap();
    let counts = watch::Sender::new(None);
    let mut counted = counts.subscribe();
    let secondary = SecondaryBackupTracker::builder(&*own, Counted(source, counts)).build().unwrap();
    let expected = Remaining::in_partitions([0, 1]);
    soon(counted.wait_for(|count| count.as_ref() == Some(&expected))).await.unwrap();

    let mut others = soon(through(&servers).sink().open()).await.unwrap();
    send(&mut others, &other, "newer").await;
    soon(async {
        while secondary.stats().received == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let gate = secondary.gate();
    never(async {
        tokio::select! {
            synced = secondary.synced() => drop(synced),
            entered = gate.enter() => drop(entered),
        }
    })
    .await;
    assert!(gate.try_enter().is_none());
    assert_eq!(secondary.state(), BackupState::Ready);

    proxy.renew().await;
    soon(secondary.watch().wait_for(|state| *state == BackupState::BackingUp)).await.unwrap();
    soon(secondary.synced()).await.unwrap();
    assert!(gate.try_enter().is_none());
    soon(primary.finish_backup()).await.unwrap();
    drop(soon(gate.enter()).await.unwrap());
}
