//! What the broker refuses, and what kills a producer.

mod support;

use std::time::Duration;

use backup_tracker::{BackupTracker, Delivery, ErrorKind, EventSource, PrimaryBackupTracker, Sink};
use backup_tracker_kafka::CreateTopic;
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use support::{cluster, event, send, soon, text};

#[tokio::test]
async fn a_refused_topic_is_denied_until_it_is_refused_no_more() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[refused; 10]);
    for _ in 0..2 {
        let error = soon(sink.send(&event("app", "one"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    }
    // librdkafka remembers the refusal until it looks at the topic again.
    cluster.mock.clear_request_errors(RDKafkaApiKey::Produce);
    send(&mut sink, "app", "two").await;
}

/// Refused once in the background, by a broker that nobody can reach afterwards.
#[tokio::test]
async fn a_refusal_that_is_over_is_no_reason_for_a_later_failure() {
    let cluster = cluster(1);
    let mut sink = cluster.hasty_sink().await;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[refused; 10]);
    let error = soon(sink.send(&event("app", "one"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    cluster.mock.clear_request_errors(RDKafkaApiKey::Produce);
    cluster.mock.broker_down(1).unwrap();
    for _ in 0..2 {
        let error = soon(sink.send(&event("app", "two"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    cluster.mock.broker_up(1).unwrap();
    soon(async { while sink.send(&event("app", "three")).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_refused_group_is_denied_at_opening() {
    let cluster = cluster(1);
    cluster.mock.request_errors(
        RDKafkaApiKey::OffsetFetch,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 5],
    );
    let error = soon(cluster.kafka().source("search").open()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert_eq!(error.group(), Some("search"));
}

#[tokio::test]
async fn a_refused_search_for_the_groups_coordinator_is_denied_before_the_time_is_over() {
    let cluster = cluster(1);
    for _ in 0..5 {
        cluster.mock.request_errors(
            RDKafkaApiKey::FindCoordinator,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 50],
        );
        let begin = std::time::Instant::now();
        let error = soon(cluster.kafka().source("search").open()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.message().contains("`Read` on the group `search`"), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(8));
    }
}

#[tokio::test]
async fn a_refused_producer_is_denied_at_opening() {
    let cluster = cluster(1);
    cluster.mock.request_errors(
        RDKafkaApiKey::InitProducerId,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED; 5],
    );
    let error = soon(cluster.kafka().sink().open()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[tokio::test]
async fn a_dead_producer_is_replaced_by_the_next_send() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    send(&mut sink, "app", "one").await;
    cluster.mock.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let error = soon(sink.send(&event("app", "two"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(error.delivery(), Delivery::Unknown);
    send(&mut sink, "app", "three").await;
    let mut source = cluster.source("search").await;
    let mut seen = Vec::new();
    while soon(source.remaining()).await.unwrap().total() > 0 {
        seen.push(text(&support::next(&mut source).await));
    }
    assert_eq!(seen.first().map(String::as_str), Some("one"));
    assert_eq!(seen.last().map(String::as_str), Some("three"));
}

#[tokio::test]
async fn an_error_that_the_broker_does_not_explain_is_tried_again_by_a_primary() {
    let cluster = cluster(1);
    let primary = PrimaryBackupTracker::builder("app", cluster.sink().await).build().unwrap();
    let unexplained = || {
        let unknown = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN];
        cluster.mock.request_errors(RDKafkaApiKey::Produce, &unknown);
    };
    unexplained();
    soon(primary.startup_complete()).await.unwrap();
    unexplained();
    soon(primary.start_backup()).await.unwrap();
    unexplained();
    soon(primary.finish_backup()).await.unwrap();
    let mut source = cluster.source("search").await;
    assert_eq!(support::texts(&mut source, 3).await.len(), 3);
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 0);
}

#[tokio::test]
async fn errors_that_librdkafka_heals_do_not_show() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    cluster.mock.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        ],
    );
    send(&mut sink, "app", "one").await;
    cluster.mock.request_errors(
        RDKafkaApiKey::OffsetFetch,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 2],
    );
    let mut source = cluster.source("search").await;
    cluster.mock.request_errors(
        RDKafkaApiKey::Fetch,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 3],
    );
    assert_eq!(support::texts(&mut source, 1).await, ["one"]);
    cluster
        .mock
        .request_errors(RDKafkaApiKey::OffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR; 2]);
    soon(source.commit()).await.unwrap();
}

#[tokio::test]
async fn a_send_that_timed_out_may_be_in_the_log_all_the_same() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    let mut hasty = cluster.hasty_sink().await;
    // The mock writes at once, and answers late.
    let late = Duration::from_secs(3);
    cluster.mock.broker_round_trip_time(1, late).unwrap();
    let error = soon(hasty.send(&event("app", "one"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(error.delivery(), Delivery::Unknown);
    cluster.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    send(&mut sink, "app", "end").await;
    let mut source = cluster.source("search").await;
    assert_eq!(support::texts(&mut source, 2).await, ["one", "end"]);
}

#[tokio::test]
async fn a_refused_identity_is_denied_before_the_time_is_over_and_shows_no_secret() {
    let cluster = cluster(1);
    // The mock knows no identities, and so refuses each.
    let kafka = cluster
        .kafka()
        .property("security.protocol", "sasl_plaintext")
        .property("sasl.mechanism", "PLAIN")
        .property("sasl.username", "nobody")
        .property("sasl.password", "hunter2")
        .create_topic(CreateTopic::new(1, 1));
    let begin = std::time::Instant::now();
    let sink = soon(kafka.sink().open()).await.unwrap_err();
    let source = soon(kafka.source("search").open()).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(8));
    for error in [sink, source] {
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
