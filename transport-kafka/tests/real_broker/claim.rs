//! A group belongs to one application, until Kafka's own tool gives it away.

use std::sync::Arc;

use backup_tracker::{BackupTracker, ErrorKind, EventSource, PrimaryBackupTracker, SecondaryBackupTracker};
use backup_tracker_kafka::{CreateTopic, Kafka};
use backup_tracker_test_servers::Kafka as Server;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::support::soon;

const CONSUMER_GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

cases! {
    Shared, Needs::Own;
    a_group_of_one_application_is_refused_to_another_until_its_offsets_are_deleted,
}

/// Follows until it is resumed in Ready, or the first Ready is committed.
async fn follow(kafka: &Kafka, application: &str) -> SecondaryBackupTracker {
    let source = soon(kafka.source("search").open()).await.unwrap();
    let resumed = source.resumed();
    let secondary = SecondaryBackupTracker::builder(application, source).build().unwrap();
    soon(secondary.synced()).await.unwrap();
    soon(async {
        while !resumed && secondary.stats().commits == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    secondary
}

async fn a_group_of_one_application_is_refused_to_another_until_its_offsets_are_deleted(_: Arc<Shared>) {
    let mut builder = Server::builder();
    // Less than a long name's note would need, were it not cut.
    builder = builder.property("offset.metadata.max.bytes", "400");
    let broker = tokio::task::spawn_blocking(move || builder.start()).await.unwrap().unwrap();
    let broker = Arc::new(broker);
    let kafka = Kafka::new(broker.servers(), "backups").create_topic(CreateTopic::new(2, 1));
    let (shop, maps) = ("shop", "maps".repeat(1000));
    for application in [shop, &*maps] {
        let sink = soon(kafka.sink().open()).await.unwrap();
        let primary = PrimaryBackupTracker::builder(application, sink).build().unwrap();
        soon(primary.startup_complete()).await.unwrap();
    }

    soon(follow(&kafka, shop).await.close()).await.unwrap();
    // Again, and beside it a replica.
    let secondary = follow(&kafka, shop).await;
    let replica = follow(&kafka, shop).await;
    let source = soon(kafka.source("search").open()).await.unwrap();
    let other = SecondaryBackupTracker::builder(&*maps, source).build().unwrap();
    let error = soon(other.closed()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("`shop`") && error.message().contains("`mapsmaps"), "{error}");
    assert!(other.gate().try_enter().is_none());
    for secondary in [secondary, replica] {
        soon(secondary.close()).await.unwrap();
    }

    let deleting = tokio::task::spawn_blocking(move || {
        let servers = broker.servers();
        let what = ["--delete-offsets", "--group", "search", "--topic", "backups"];
        broker
            .tool(CONSUMER_GROUPS, &[["--bootstrap-server", &*servers].as_slice(), &what].concat())
            .unwrap();
        broker
    });
    let _broker = deleting.await.unwrap();
    soon(follow(&kafka, &maps).await.close()).await.unwrap();
    let mut source = soon(kafka.source("search").open()).await.unwrap();
    assert!(source.resumed());
    assert_eq!(soon(source.claim(shop)).await.unwrap_err().kind(), ErrorKind::Config);
}
