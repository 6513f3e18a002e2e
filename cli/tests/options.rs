//! A tracker of each kind from options alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use backup_tracker::{BackupState, BackupTracker};
use backup_tracker_cli::options::{BackupTrackerOptions, KafkaOptions};
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use clap::Parser;

#[derive(Parser)]
struct Service {
    #[command(flatten)]
    kafka: KafkaOptions,
    #[command(flatten)]
    backups: BackupTrackerOptions,
}

#[tokio::test]
async fn primary_and_secondary_over_kafka() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("backups", 1, 1).unwrap();
    let servers = mock.bootstrap_servers();
    let service =
        Service::try_parse_from(["service", "--bootstrap-server", &servers, "--group", "search"]).unwrap();
    let secondary = service.backups.secondary(&service.kafka, "shop", |secondary| secondary).await.unwrap();
    let primary = service.backups.primary(&service.kafka, "shop").await.unwrap();
    let mut states = secondary.watch();
    primary.start_backup().await.unwrap();
    states.wait_for(|state| *state == BackupState::BackingUp).await.unwrap();
}
