//! A look at cluster, topic and group tells what is there, hides nothing behind what fails, and leaves nothing behind.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use backup_tracker::{ErrorKind, Event, EventSource, Sink};
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::{CreateTopic, Kafka};
use uuid::Uuid;

const TIME: Duration = Duration::from_secs(3);

/// The group's offsets, each with whether it is only a start.
async fn stored(kafka: &Kafka) -> Vec<(i64, bool)> {
    let group = kafka.inspect(Some("search")).await.unwrap().group.unwrap();
    group.offsets.unwrap().iter().flatten().map(|stored| (stored.offset, stored.is_start)).collect()
}

#[tokio::test]
async fn what_is_there_is_told() {
    let mock = MockCluster::new(3).unwrap();
    mock.create_topic("backups", 2, 3).unwrap();
    let kafka = Kafka::new(mock.bootstrap_servers(), "backups").open_timeout(TIME);
    let found = kafka.inspect(Some("search")).await.unwrap();
    assert_eq!(found.brokers.unwrap().len(), 3);
    let partitions = found.partitions.unwrap();
    assert_eq!(partitions.iter().map(|partition| partition.id).collect::<Vec<_>>(), [0, 1]);
    assert!(partitions.iter().all(|partition| (partition.replicas, partition.in_sync) == (3, 3)));
    assert_eq!(found.bounds.unwrap(), [(0, 0), (0, 0)]);
    found.producer.unwrap();
    assert_eq!(found.group.unwrap().offsets.unwrap(), [None, None], "looking is not opening");

    let mut source = kafka.source("search").open().await.unwrap();
    assert_eq!(stored(&kafka).await, [(0, true), (0, true)]);
    assert_eq!(kafka.inspect(Some("search")).await.unwrap().group.unwrap().application, None);
    source.claim("shop").await.unwrap();
    assert_eq!(stored(&kafka).await, [(0, true), (0, true)], "a claim is no commit");
    let application = kafka.inspect(Some("search")).await.unwrap().group.unwrap().application;
    assert_eq!(application.as_deref(), Some("shop"));
    let mut sink = kafka.sink().open().await.unwrap();
    let event = Event::new(Uuid::new_v4(), "shop", "the announcement");
    sink.send(&event).await.unwrap();
    source.next().await.unwrap();
    source.commit().await.unwrap();
    let mut offsets = stored(&kafka).await;
    offsets.sort_unstable();
    assert_eq!(offsets, [(0, false), (1, false)]);
}

#[tokio::test]
async fn a_missing_topic_stays_missing_and_the_brokers_are_told_all_the_same() {
    let mock = MockCluster::new(1).unwrap();
    let kafka = Kafka::new(mock.bootstrap_servers(), "backups")
        .open_timeout(TIME)
        .create_topic(CreateTopic::new(1, 1));
    for _ in 0..2 {
        let found = kafka.inspect(None).await.unwrap();
        assert_eq!(found.brokers.unwrap().len(), 1);
        assert_eq!(found.partitions.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(found.producer.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(found.group.is_none());
    }
}

#[tokio::test]
async fn without_a_broker_everything_fails_within_the_time() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = socket.local_addr().unwrap().to_string();
    drop(socket);
    let kafka = Kafka::new(&nobody, "backups").open_timeout(Duration::from_secs(1));
    let looking = tokio::time::timeout(Duration::from_secs(10), kafka.inspect(Some("search")));
    let found = looking.await.unwrap().unwrap();
    for error in [
        found.brokers.unwrap_err(),
        found.partitions.unwrap_err(),
        found.settings.unwrap_err(),
        found.bounds.unwrap_err(),
        found.producer.unwrap_err(),
        found.group.unwrap().offsets.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(&nobody), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_setting_is_an_error_and_no_finding() {
    for kafka in
        [Kafka::new(" ", "backups"), Kafka::new("a:1", ""), Kafka::new("a:1", "b").property("no.such", "1")]
    {
        assert_eq!(kafka.inspect(None).await.unwrap_err().kind(), ErrorKind::Config);
    }
    assert_eq!(Kafka::new("a:1", "b").inspect(Some(" ")).await.unwrap_err().kind(), ErrorKind::Config);
}
