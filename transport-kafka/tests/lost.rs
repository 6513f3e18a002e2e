//! The log is trimmed under the position.
//!
//! The mock keeps 5 MiB of a partition, and drops the oldest beyond that: that is how these tests trim. It can neither delete
//! nor recreate a topic.

#[path = "harness/proxy.rs"]
mod proxy;
mod support;

use backup_tracker::{ErrorKind, EventSource};
use backup_tracker_kafka::Kafka;
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use proxy::{Mode, Proxy};
use support::{cluster, flood, next, send, soon, text, with_one_read};

#[tokio::test]
async fn a_position_that_was_trimmed_away_is_said_to_be_lost_once() {
    let (cluster, mut sink, mut source) = with_one_read().await;
    soon(source.commit()).await.unwrap();
    drop(source);
    flood(&mut sink).await;

    let mut source = cluster.source("search").await;
    assert!(!source.resumed());
    let remaining = soon(source.remaining()).await.unwrap().total();
    assert!((1..=7).contains(&remaining), "{remaining}");
    let error = soon(source.next()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    for _ in 0..remaining {
        assert_eq!(text(&next(&mut source).await).len(), 900_000);
    }
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 0);
    soon(source.commit()).await.unwrap();
    assert!(cluster.source("search").await.resumed());
}

#[tokio::test]
async fn a_position_that_is_trimmed_away_during_a_session_is_said_to_be_lost_once() {
    let cluster = cluster(2);
    let mut sink = cluster.sink().await;
    // The other partition has nothing to do with it, and is neither lost nor read again.
    let other = (0..100)
        .map(|number| number.to_string())
        .find(|name| sink.partition_of(name) != sink.partition_of("flood"))
        .unwrap();
    send(&mut sink, &other, "other").await;
    send(&mut sink, "flood", "one").await;
    let proxy = Proxy::start(&cluster.servers).await.unwrap();
    let kafka = Kafka::new(proxy.servers(), "backups").property("fetch.wait.max.ms", "10");
    let mut source = soon(kafka.source("search").open()).await.unwrap();
    let mut first = [text(&next(&mut source).await), text(&next(&mut source).await)];
    first.sort();
    assert_eq!(first, ["one", "other"]);
    soon(source.commit()).await.unwrap();
    // The reader alone is cut off, for longer than the log is kept.
    proxy.set(Mode::Cut);
    assert!(soon(source.next()).await.unwrap_err().is_transient());
    flood(&mut sink).await;
    proxy.set(Mode::Pass);
    let mut lost = 0;
    let mut seen = 0;
    while lost == 0 || soon(source.remaining()).await.unwrap().total() > 0 {
        match soon(source.next()).await {
            Ok(record) => {
                assert_eq!(text(&record.unwrap()).len(), 900_000);
                seen += 1;
            }
            Err(error) if error.is_transient() => assert_eq!(lost, 0, "{error}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
                assert!(!source.resumed());
                lost += 1;
            }
        }
    }
    assert_eq!(lost, 1);
    assert!((1..7).contains(&seen), "{seen}");
}

#[tokio::test]
async fn commit_and_remaining_never_say_that_something_was_lost() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE as OUT_OF_RANGE,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART as UNKNOWN_TOPIC,
    };

    let (cluster, mut sink, mut source) = with_one_read().await;
    soon(source.commit()).await.unwrap();
    send(&mut sink, "app", "two").await;
    next(&mut source).await;
    for answer in [OUT_OF_RANGE, UNKNOWN_TOPIC] {
        // librdkafka asks again before it takes one of them for an answer.
        cluster.mock.request_errors(RDKafkaApiKey::OffsetCommit, &[answer; 100]);
        let committed = soon(source.commit()).await.map_err(|error| (error.kind(), error.cause()));
        // That the topic is not known may pass, and may be true: whether something is lost, only reading shows.
        let missing = (ErrorKind::Unavailable, Some(ErrorKind::NotFound));
        assert_eq!(committed, if answer == UNKNOWN_TOPIC { Err(missing) } else { Ok(()) });
        cluster.mock.clear_request_errors(RDKafkaApiKey::OffsetCommit);
        let mut later = cluster.source("search").await;
        assert_eq!(soon(later.remaining()).await.unwrap().total(), 1, "it moved nothing");
    }
    for answer in [OUT_OF_RANGE, UNKNOWN_TOPIC] {
        cluster.mock.request_errors(RDKafkaApiKey::ListOffsets, &[answer; 10]);
        let answered = soon(source.remaining()).await;
        assert_ne!(answered.map_err(|error| error.kind()), Err(ErrorKind::Lost));
        cluster.mock.clear_request_errors(RDKafkaApiKey::ListOffsets);
    }
    // Nothing was the matter with the log: the next attempts succeed.
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 0);
    soon(source.commit()).await.unwrap();
    assert_eq!(soon(cluster.source("search").await.remaining()).await.unwrap().total(), 0);
}
