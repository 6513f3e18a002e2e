//! The broker goes away and comes back.

mod support;

use std::time::{Duration, Instant};

use backup_tracker::{Delivery, ErrorKind, EventSource, Sink};
use support::{cluster, event, next, send, soon, text, texts};

#[tokio::test]
async fn a_send_fails_in_time_and_later_ones_succeed_in_order() {
    let cluster = cluster(1);
    let mut sink = cluster.hasty_sink().await;
    send(&mut sink, "app", "before").await;
    cluster.mock.broker_down(1).unwrap();
    let begin = Instant::now();
    let error = soon(sink.send(&event("app", "during"))).await.unwrap_err();
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(error.delivery(), Delivery::Unknown);
    cluster.mock.broker_up(1).unwrap();
    let mut sent = Vec::new();
    for number in 0..5 {
        let text = number.to_string();
        // A send may be too early for librdkafka's reconnection; that it is unknown is what the tracker deals with.
        while soon(sink.send(&event("app", &text))).await.is_err() {}
        sent.push(text);
    }
    let mut source = cluster.source("search").await;
    let mut seen = Vec::new();
    while seen.last() != sent.last() {
        seen.push(text(&next(&mut source).await));
    }
    seen.retain(|text| sent.contains(text));
    seen.dedup();
    assert_eq!(seen, sent);
}

#[tokio::test]
async fn a_reader_is_told_and_loses_nothing() {
    let cluster = cluster(2);
    let mut sink = cluster.hasty_sink().await;
    let mut source = cluster.source("search").await;
    send(&mut sink, "app", "before").await;
    assert_eq!(texts(&mut source, 1).await, ["before"]);
    cluster.mock.broker_down(1).unwrap();
    // Told again and again for as long as it lasts, and never more often than it is asked.
    for _ in 0..3 {
        let error = soon(source.next()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    cluster.mock.broker_up(1).unwrap();
    while soon(sink.send(&event("app", "after"))).await.is_err() {}
    let record = loop {
        match soon(source.next()).await {
            Ok(record) => break record.unwrap(),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    };
    assert_eq!(text(&record), "after");
}

#[tokio::test]
async fn a_commit_and_a_count_fail_in_time_and_work_again() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    send(&mut sink, "app", "one").await;
    let builder = cluster.kafka().source("search").request_timeout(Duration::from_millis(500));
    let mut source = soon(builder.open()).await.unwrap();
    next(&mut source).await;
    cluster.mock.broker_down(1).unwrap();
    for _ in 0..2 {
        let begin = Instant::now();
        let commit = soon(source.commit()).await.unwrap_err();
        let count = soon(source.remaining()).await.unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(2));
        assert_eq!(commit.kind(), ErrorKind::Unavailable, "{commit}");
        assert_eq!(count.kind(), ErrorKind::Unavailable, "{count}");
    }
    cluster.mock.broker_up(1).unwrap();
    while soon(source.commit()).await.is_err() {}
    while soon(source.remaining()).await.is_err() {}
    drop(source);
    assert!(cluster.source("search").await.resumed());
}

#[tokio::test]
async fn closing_and_dropping_are_prompt_with_the_broker_gone() {
    let cluster = cluster(1);
    let sinks = || async { tokio::join!(cluster.sink(), cluster.sink(), cluster.sink()) };
    let ((mut sink, other_sink, third_sink), more_sinks) = tokio::join!(sinks(), sinks());
    let (mut source, other_source) = (cluster.source("a").await, cluster.source("b").await);
    send(&mut sink, "app", "one").await;
    next(&mut source).await;
    cluster.mock.broker_down(1).unwrap();
    // With a commit and a send under way as well.
    tokio::time::timeout(Duration::from_millis(50), source.commit()).await.unwrap_err();
    tokio::time::timeout(Duration::from_millis(50), sink.send(&event("app", "two"))).await.unwrap_err();
    let begin = Instant::now();
    drop((source, sink, third_sink, more_sinks));
    soon(other_source.close()).await.unwrap();
    soon(other_sink.close()).await.unwrap();
    // A producer takes 100 ms or more to end, and a consumer as long as its request is under way; a thread for it, next to nothing.
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(300), "{took:?}");
}

#[test]
fn a_runtime_that_ends_does_not_wait_for_a_dead_broker() {
    let cluster = cluster(1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (sink, source) = runtime.block_on(async {
        let mut source = cluster.source("search").await;
        let sink = cluster.sink().await;
        cluster.mock.broker_down(1).unwrap();
        tokio::time::timeout(Duration::from_millis(50), source.commit()).await.unwrap_err();
        (sink, source)
    });
    let begin = Instant::now();
    drop(runtime);
    drop(source);
    drop(sink);
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?}");
}
