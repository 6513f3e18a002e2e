//! A reader that takes its time.

mod support;

use std::time::Duration;

use backup_tracker::EventSource;
use support::{cluster, never, send, soon, texts};

#[tokio::test]
async fn a_reader_that_is_slower_than_the_maximum_poll_interval_is_not_evicted() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    let builder = cluster
        .kafka()
        .source("search")
        // The minimum, and what librdkafka demands with it.
        .property("max.poll.interval.ms", "1")
        .property("session.timeout.ms", "1");
    let mut source = soon(builder.open()).await.unwrap();
    // More than waits between librdkafka and the reader, so that nobody polls while the reader is busy.
    for number in 0..200 {
        send(&mut sink, "app", &number.to_string()).await;
    }
    assert_eq!(texts(&mut source, 1).await, ["0"]);
    // The listener that blocks: it is the time itself that the test is about.
    std::thread::sleep(Duration::from_secs(2));
    let expected: Vec<_> = (1..200).map(|number| number.to_string()).collect();
    assert_eq!(texts(&mut source, 199).await, expected);
    never(source.next()).await;
    soon(source.commit()).await.unwrap();
    drop(source);
    let mut source = cluster.source("search").await;
    assert!(source.resumed());
    never(source.next()).await;
}

#[tokio::test]
async fn a_dropped_next_takes_nothing() {
    let cluster = cluster(3);
    let mut sink = cluster.sink().await;
    let mut source = cluster.source("search").await;
    let sending = tokio::spawn(async move {
        for number in 0..300 {
            send(&mut sink, "app", &number.to_string()).await;
        }
    });
    let mut seen = Vec::new();
    let mut dropped = 0;
    while seen.len() < 300 {
        tokio::select! {
            biased;
            record = source.next() => seen.push(support::text(&record.unwrap().unwrap())),
            () = tokio::task::yield_now() => dropped += 1,
        }
    }
    soon(sending).await.unwrap();
    let expected: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    assert_eq!(seen, expected);
    assert!(dropped > 0);
}
