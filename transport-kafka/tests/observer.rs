//! A source without a group sees everything, and nobody sees that it was there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::future_not_send, reason = "a mock cluster stays on its thread")]

#[path = "harness/proxy.rs"]
mod proxy;
mod support;

use std::time::Duration;

use backup_tracker::{ErrorKind, EventSource, StartAt};
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use backup_tracker_kafka::rdkafka::{ClientConfig, Offset, TopicPartitionList};
use backup_tracker_kafka::{CreateTopic, Kafka, KafkaSource};
use proxy::{Mode, Proxy};
use support::{Cluster, cluster, flood, never, next, send, soon, text, texts};

async fn observer(cluster: &Cluster, start: StartAt) -> KafkaSource {
    soon(cluster.kafka().observer().start(start).open()).await.unwrap()
}

/// Waits until nothing remains: the end of a partition shows a moment after its last record.
async fn comes_down_to_nothing(source: &mut KafkaSource) {
    soon(async {
        while source.remaining().await.unwrap().total() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// The broker keeps no offset of the group that the client library is given.
fn untouched(cluster: &Cluster) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.servers).set("group.id", "backup-tracker-observer");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition("backups", 0);
    let stored = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
    assert_eq!(stored.elements()[0].offset(), Offset::Invalid);
}

#[tokio::test]
async fn an_observer_reads_everything_and_follows_and_leaves_nothing_behind() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    for number in 0..5 {
        send(&mut sink, "app", &number.to_string()).await;
    }
    // Whoever stores an offset from now on, or asks for one, is refused: the first that does is the group below.
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED];
    cluster.mock.request_errors(RDKafkaApiKey::OffsetCommit, &refused);
    cluster.mock.request_errors(RDKafkaApiKey::OffsetFetch, &refused);
    let mut source = observer(&cluster, StartAt::Earliest).await;
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 5);
    assert_eq!(texts(&mut source, 5).await, ["0", "1", "2", "3", "4"]);
    comes_down_to_nothing(&mut source).await;
    send(&mut sink, "app", "5").await;
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 1);
    assert_eq!(texts(&mut source, 1).await, ["5"]);
    soon(source.commit()).await.unwrap();
    comes_down_to_nothing(&mut source).await;
    soon(source.close()).await.unwrap();

    // What was committed is forgotten with the session.
    let mut source = observer(&cluster, StartAt::Earliest).await;
    assert!(!source.resumed());
    assert_eq!(texts(&mut source, 1).await, ["0"]);
    drop(source);

    let asked = soon(cluster.kafka().source("search").open()).await.unwrap_err();
    assert_eq!((asked.kind(), asked.group()), (ErrorKind::Denied, Some("search")));
    let stored = soon(cluster.kafka().source("search").open()).await.unwrap_err();
    assert_eq!((stored.kind(), stored.group()), (ErrorKind::Denied, Some("search")));
    assert!(!cluster.source("search").await.resumed());
    untouched(&cluster);
}

#[tokio::test]
async fn an_observer_at_the_latest_begins_behind_the_end() {
    let cluster = cluster(3);
    let mut sink = cluster.sink().await;
    for application in ["a", "b", "c"] {
        send(&mut sink, application, "before").await;
    }
    let mut source = observer(&cluster, StartAt::Latest).await;
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 0);
    send(&mut sink, "a", "after").await;
    assert_eq!(texts(&mut source, 1).await, ["after"]);
    never(source.next()).await;
}

#[tokio::test]
async fn an_observer_creates_no_topic() {
    let cluster = cluster(1);
    let kafka = cluster.topic("missing").create_topic(CreateTopic::new(1, 1));
    for _ in 0..2 {
        let error = soon(kafka.observer().open()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!((error.topic(), error.group()), (Some("missing"), None));
    }
}

#[tokio::test]
async fn an_observer_and_a_group_do_not_notice_each_other() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    for number in 0..4 {
        send(&mut sink, "app", &number.to_string()).await;
    }
    let mut group = cluster.source("search").await;
    assert_eq!(texts(&mut group, 2).await, ["0", "1"]);
    soon(group.commit()).await.unwrap();
    let mut observers =
        [observer(&cluster, StartAt::Earliest).await, observer(&cluster, StartAt::Earliest).await];
    for source in &mut observers {
        assert_eq!(texts(source, 4).await, ["0", "1", "2", "3"]);
        soon(source.commit()).await.unwrap();
    }
    drop(group);
    let mut group = cluster.source("search").await;
    assert!(group.resumed());
    assert_eq!(texts(&mut group, 2).await, ["2", "3"]);
    untouched(&cluster);
}

#[tokio::test]
async fn an_observer_needs_no_permission_for_a_group() {
    let cluster = cluster(2);
    let mut sink = cluster.sink().await;
    send(&mut sink, "app", "one").await;
    // What a broker says to whom it lets do nothing with groups; the client library asks again and again.
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 1000];
    for request in [RDKafkaApiKey::FindCoordinator, RDKafkaApiKey::OffsetFetch, RDKafkaApiKey::OffsetCommit] {
        cluster.mock.request_errors(request, &refused);
    }
    let mut source = observer(&cluster, StartAt::Earliest).await;
    assert_eq!(texts(&mut source, 1).await, ["one"]);
    comes_down_to_nothing(&mut source).await;
    never(source.next()).await;
    send(&mut sink, "app", "two").await;
    assert_eq!(texts(&mut source, 1).await, ["two"]);
    soon(source.commit()).await.unwrap();
    // A group cannot do without.
    let group = cluster.kafka().open_timeout(Duration::from_secs(1)).source("search");
    soon(group.open()).await.unwrap_err();
}

#[tokio::test]
async fn an_observer_that_may_not_read_is_in_trouble() {
    let cluster = cluster(1);
    let mut source = observer(&cluster, StartAt::Earliest).await;
    // Many, because librdkafka leaves aside what answers a fetch from before its last change of mind.
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 100];
    cluster.mock.request_errors(RDKafkaApiKey::Fetch, &refused);
    let error = soon(source.next()).await.unwrap_err();
    assert_eq!((error.is_transient(), error.cause()), (true, Some(ErrorKind::Denied)), "{error}");
}

#[tokio::test]
async fn a_trim_before_an_observer_is_lost_once() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    send(&mut sink, "app", "one").await;
    let proxy = Proxy::start(&cluster.servers).await.unwrap();
    let kafka = Kafka::new(proxy.servers(), "backups").property("fetch.wait.max.ms", "10");
    let mut source = soon(kafka.observer().open()).await.unwrap();
    assert_eq!(text(&next(&mut source).await), "one");
    // The observer alone is cut off, for longer than the log is kept; a commit needs no broker.
    proxy.set(Mode::Cut);
    assert!(soon(source.next()).await.unwrap_err().is_transient());
    soon(source.commit()).await.unwrap();
    flood(&mut sink).await;
    proxy.set(Mode::Pass);
    let error = soon(async {
        loop {
            match source.next().await {
                Err(error) if !error.is_transient() => return error,
                answer => assert!(answer.is_err(), "{answer:?}"),
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    assert_eq!((error.topic(), error.group()), (Some("backups"), None));
    let remaining = soon(source.remaining()).await.unwrap().total();
    assert!((1..7).contains(&remaining), "{remaining}");
    for _ in 0..remaining {
        assert_eq!(text(&next(&mut source).await).len(), 900_000);
    }
    comes_down_to_nothing(&mut source).await;
}
