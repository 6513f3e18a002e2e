//! An event that is too large never leaves the client.

mod support;

use backup_tracker::{Delivery, ErrorKind, EventSource, Sink};
use support::{cluster, event, never, send, soon, texts};

#[tokio::test]
async fn an_event_that_is_too_large_is_refused_before_it_is_sent() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    // Refused also with the broker gone, and at once: nothing is asked of it.
    cluster.mock.broker_down(1).unwrap();
    let begin = std::time::Instant::now();
    let error = soon(sink.send(&event("app", &"x".repeat(1_000_000)))).await.unwrap_err();
    assert!(begin.elapsed().as_millis() < 250);
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(error.delivery(), Delivery::NotSent);
    cluster.mock.broker_up(1).unwrap();
    let mut source = cluster.source("search").await;
    send(&mut sink, "app", "small").await;
    assert_eq!(texts(&mut source, 1).await, ["small"]);
    never(source.next()).await;
}

#[tokio::test]
async fn headers_count_and_the_largest_event_that_is_let_through_is_taken() {
    let cluster = cluster(1);
    let kafka = cluster.kafka().property("message.max.bytes", "10000");
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    let mut source = cluster.source("search").await;
    let with = |size| event("app", &"x".repeat(size)).header("name", vec![1; 1000]);
    let mut largest = 0;
    for size in 8700..9000 {
        match soon(sink.send(&with(size))).await {
            Ok(()) => largest = size,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Rejected, "{error}"),
        }
    }
    assert!((8700..8999).contains(&largest), "{largest}");
    for size in 8700..=largest {
        assert_eq!(texts(&mut source, 1).await[0].len(), size);
    }
}

#[tokio::test]
async fn a_broker_that_refuses_the_size_says_so_for_certain() {
    use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    cluster
        .mock
        .request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let error = soon(sink.send(&event("app", "one"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(error.delivery(), Delivery::NotSent);
    send(&mut sink, "app", "two").await;
}
