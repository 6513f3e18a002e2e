//! A group's position: where it is fixed, what moves it, what the next session makes of it.

mod support;

use backup_tracker::{EventSource, Sink, StartAt};
use support::{cluster, never, next, send, soon, texts, with_one_read};

#[tokio::test]
async fn a_session_begins_right_after_the_last_commit() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    for number in 0..5 {
        send(&mut sink, "app", &number.to_string()).await;
    }
    let mut source = cluster.source("search").await;
    assert!(!source.resumed());
    assert_eq!(texts(&mut source, 2).await, ["0", "1"]);
    soon(source.commit()).await.unwrap();
    assert_eq!(texts(&mut source, 2).await, ["2", "3"]);
    soon(source.close()).await.unwrap();

    let mut source = cluster.source("search").await;
    assert!(source.resumed());
    assert_eq!(texts(&mut source, 3).await, ["2", "3", "4"]);
    never(source.next()).await;
}

#[tokio::test]
async fn a_new_group_that_starts_at_the_latest_sees_what_is_sent_after_opening_also_in_the_next_session() {
    let cluster = cluster(3);
    let mut sink = cluster.sink().await;
    send(&mut sink, "app", "before").await;
    let open = || {
        let kafka = cluster.kafka();
        async move { soon(kafka.source("search").start(StartAt::Latest).open()).await.unwrap() }
    };
    drop(open().await);
    send(&mut sink, "app", "after").await;
    let mut source = open().await;
    assert!(!source.resumed(), "fixing the start is no commit");
    assert_eq!(texts(&mut source, 1).await, ["after"]);
    never(source.next()).await;
}

#[tokio::test]
async fn neither_close_nor_drop_moves_the_position() {
    let (cluster, _sink, source) = with_one_read().await;
    soon(source.close()).await.unwrap();
    let mut source = cluster.source("search").await;
    next(&mut source).await;
    drop(source);
    let mut source = cluster.source("search").await;
    assert!(!source.resumed());
    assert_eq!(texts(&mut source, 1).await, ["one"]);
}

#[tokio::test]
async fn a_commit_reaches_the_broker_each_time() {
    use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    let (cluster, sink, mut source) = with_one_read().await;
    soon(source.commit()).await.unwrap();
    // Nothing has moved since, and still the broker is asked: it is what keeps a quiet group's offsets from expiring.
    cluster.mock.request_errors(
        RDKafkaApiKey::OffsetCommit,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED],
    );
    let error = soon(source.commit()).await.unwrap_err();
    assert_eq!((error.is_transient(), error.cause()), (true, Some(backup_tracker::ErrorKind::Denied)));
    assert_eq!(error.group(), Some("search"));
    soon(source.commit()).await.unwrap();
    soon(sink.close()).await.unwrap();
}
