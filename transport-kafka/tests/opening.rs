//! What opening checks, and how it fails.

mod support;

use std::time::{Duration, Instant};

use backup_tracker::{ErrorKind, EventSource};
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use backup_tracker_kafka::{CreateTopic, Kafka};
use support::{cluster, soon};

#[tokio::test]
async fn a_blank_setting_is_named() {
    let nowhere = || Kafka::new("127.0.0.1:1", "backups");
    let errors = [
        ("bootstrap servers", Kafka::new(" ", "backups").sink().open().await.err()),
        ("topic", Kafka::new("127.0.0.1:1", "").sink().open().await.err()),
        ("group", nowhere().source("  ").open().await.err()),
        ("partitions", nowhere().create_topic(CreateTopic::new(0, 1)).sink().open().await.err()),
        (
            "enable.auto.commit",
            nowhere().source("search").property("enable.auto.commit", "true").open().await.err(),
        ),
        ("no.such.property", nowhere().property("no.such.property", "x").sink().open().await.err()),
    ];
    for (setting, error) in errors {
        let error = error.expect(setting);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains(setting), "{error}");
    }
}

#[tokio::test]
async fn a_missing_topic_is_named_and_not_created() {
    let cluster = cluster(1);
    let kafka = cluster.topic("elsewhere");
    for _ in 0..2 {
        let sink = soon(kafka.sink().open()).await.unwrap_err();
        let source = soon(kafka.source("search").open()).await.unwrap_err();
        for error in [sink, source] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert_eq!(error.topic(), Some("elsewhere"));
        }
    }
}

#[tokio::test]
async fn an_existing_topic_is_left_as_it_is() {
    let cluster = cluster(3);
    let kafka = cluster.kafka().create_topic(CreateTopic::new(5, 1));
    let sink = soon(kafka.sink().open()).await.unwrap();
    assert!((0..100).all(|number| sink.partition_of(&number.to_string()) < 3));
}

#[tokio::test]
async fn an_unreachable_broker_fails_the_opening_in_time() {
    let timeout = Duration::from_secs(1);
    // A port that nobody listens at: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // And one that takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (port, why) in [(port, "Connection refused"), (silent.local_addr().unwrap().port(), "")] {
        let kafka = Kafka::new(format!("127.0.0.1:{port}"), "backups").open_timeout(timeout);
        let begin = Instant::now();
        let sink = soon(kafka.sink().open()).await.unwrap_err();
        let sink_took = begin.elapsed();
        let begin = Instant::now();
        let source = soon(kafka.source("search").open()).await.unwrap_err();
        let source_took = begin.elapsed();
        for (error, took) in [(sink, sink_took), (source, source_took)] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(took < timeout + Duration::from_secs(1), "{took:?}: {error}");
            if !why.is_empty() {
                let address = format!("127.0.0.1:{port}");
                assert!(error.to_string().contains(&address) && error.to_string().contains(why), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_coordinator_that_is_away_fails_the_opening_in_time() {
    let cluster = cluster(1);
    let away = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE; 1000];
    for request in [RDKafkaApiKey::OffsetCommit, RDKafkaApiKey::OffsetFetch] {
        cluster.mock.request_errors(request, &away);
        let builder = cluster.kafka().open_timeout(Duration::from_secs(1)).source("search");
        let begin = Instant::now();
        let error = soon(builder.open()).await.unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        cluster.mock.clear_request_errors(request);
    }
    assert!(!cluster.source("search").await.resumed());
}

#[tokio::test]
async fn no_secret_shows() {
    let kafka = Kafka::new("127.0.0.1:1", "backups")
        .property("sasl.password", "hunter2")
        .property("ssl.key.password", "hunter2");
    let shown = format!("{kafka:?} {:?} {:?}", kafka.sink(), kafka.source("search"));
    assert!(shown.contains("sasl.password"));
    assert!(!shown.contains("hunter2"));
}
