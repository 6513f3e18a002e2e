//! A mock cluster, and bounded waits. Each test file is a crate of its own and uses a part of this.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are the tests' own steps")]
#![allow(clippy::future_not_send, reason = "a mock cluster stays on its thread")]

use std::future::Future;
use std::time::Duration;

use backup_tracker::{Event, EventSource, Record, Sink};
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::DefaultProducerContext;
use backup_tracker_kafka::{Kafka, KafkaSink, KafkaSource};
use uuid::Uuid;

/// How long anything that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A cluster of one broker with one topic, `backups`.
pub(crate) struct Cluster {
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
    pub(crate) servers: String,
}

pub(crate) fn cluster(partitions: i32) -> Cluster {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("backups", partitions, 1).unwrap();
    let servers = mock.bootstrap_servers();
    Cluster { mock, servers }
}

impl Cluster {
    pub(crate) fn topic(&self, topic: &str) -> Kafka {
        // The mock answers a fetch without records only after this time, whatever arrives meanwhile.
        Kafka::new(&self.servers, topic).property("fetch.wait.max.ms", "10")
    }

    pub(crate) fn kafka(&self) -> Kafka {
        self.topic("backups")
    }

    pub(crate) async fn sink(&self) -> KafkaSink {
        soon(self.kafka().sink().open()).await.unwrap()
    }

    /// A sink whose sends give up soon.
    pub(crate) async fn hasty_sink(&self) -> KafkaSink {
        let builder = self.kafka().sink().send_timeout(Duration::from_millis(500));
        soon(builder.open()).await.unwrap()
    }

    pub(crate) async fn source(&self, group: &str) -> KafkaSource {
        soon(self.kafka().source(group).open()).await.unwrap()
    }
}

/// A cluster of one partition with one event, `one`, a sink, and a source of the group `search` that has read it.
pub(crate) async fn with_one_read() -> (Cluster, KafkaSink, KafkaSource) {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    send(&mut sink, "app", "one").await;
    let mut source = cluster.source("search").await;
    assert_eq!(texts(&mut source, 1).await, ["one"]);
    (cluster, sink, source)
}

/// The output of a future that must be ready soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it did not happen in time")
}

/// The one negative wait: nothing must be ready within this time.
pub(crate) async fn never<T>(future: impl Future<Output = T>) {
    let early = tokio::time::timeout(Duration::from_millis(700), future).await;
    assert!(early.is_err(), "something happened that must not");
}

/// An event of an application whose payload is this text.
pub(crate) fn event(application: &str, text: &str) -> Event {
    Event::new(Uuid::new_v4(), application, text.to_owned())
}

pub(crate) async fn send(sink: &mut KafkaSink, application: &str, text: &str) {
    soon(sink.send(&event(application, text))).await.unwrap();
}

/// Sends so much that what was there before is gone: the mock keeps 5 MiB of a partition.
pub(crate) async fn flood(sink: &mut KafkaSink) {
    for _ in 0..7 {
        send(sink, "flood", &"x".repeat(900_000)).await;
    }
}

pub(crate) async fn next(source: &mut KafkaSource) -> Record {
    soon(source.next()).await.unwrap().expect("the log has not ended")
}

pub(crate) fn text(record: &Record) -> String {
    String::from_utf8(record.payload.clone().unwrap().to_vec()).unwrap()
}

/// The payloads of the next records.
pub(crate) async fn texts(source: &mut KafkaSource, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(text(&next(source).await));
    }
    texts
}
