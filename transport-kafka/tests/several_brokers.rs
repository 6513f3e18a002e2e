//! A cluster of several brokers, of which some are away.

#![allow(clippy::unwrap_used, reason = "these are the tests' own steps")]

mod support;

use backup_tracker::EventSource;
use backup_tracker_kafka::Kafka;
use backup_tracker_kafka::rdkafka::mocking::{MockCluster, MockCoordinator};
use support::{send, soon, text, texts};

#[tokio::test]
async fn one_broker_that_is_away_holds_up_its_own_partitions_alone() {
    let mock = MockCluster::new(3).unwrap();
    mock.create_topic("backups", 2, 1).unwrap();
    mock.partition_leader("backups", 0, Some(1)).unwrap();
    mock.partition_leader("backups", 1, Some(2)).unwrap();
    mock.coordinator(MockCoordinator::Group("search".into()), 1).unwrap();
    let kafka = Kafka::new(mock.bootstrap_servers(), "backups").property("fetch.wait.max.ms", "10");
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    let mut source = soon(kafka.source("search").open()).await.unwrap();
    let on = |partition| {
        let mut names = (0..100).map(|number| number.to_string());
        names.find(|name| sink.partition_of(name) == partition).unwrap()
    };
    let (here, away) = (on(0), on(1));
    send(&mut sink, &away, "one").await;
    assert_eq!(texts(&mut source, 1).await, ["one"]);

    mock.broker_down(2).unwrap();
    for number in 0..10 {
        let name = number.to_string();
        send(&mut sink, &here, &name).await;
        assert_eq!(texts(&mut source, 1).await, [name]);
    }
    soon(source.commit()).await.unwrap();

    mock.broker_up(2).unwrap();
    send(&mut sink, &away, "two").await;
    assert_eq!(texts(&mut source, 1).await, ["two"]);
}

#[tokio::test]
async fn a_partition_and_a_group_that_move_to_another_broker_are_followed() {
    let mock = MockCluster::new(3).unwrap();
    mock.create_topic("backups", 1, 3).unwrap();
    let kafka = Kafka::new(mock.bootstrap_servers(), "backups").property("fetch.wait.max.ms", "10");
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    let mut source = soon(kafka.source("search").open()).await.unwrap();
    for broker in [1, 2, 3, 1] {
        mock.partition_leader("backups", 0, Some(broker)).unwrap();
        mock.coordinator(MockCoordinator::Group("search".into()), broker).unwrap();
        let name = broker.to_string();
        send(&mut sink, "app", &name).await;
        assert_eq!(text(&support::next(&mut source).await), name);
        soon(source.commit()).await.unwrap();
    }
    drop(source);
    let mut source = soon(kafka.source("search").open()).await.unwrap();
    assert!(source.resumed());
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 0);
}
