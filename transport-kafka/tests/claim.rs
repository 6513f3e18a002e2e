//! A position belongs to one application (S16).

#![allow(clippy::unwrap_used, reason = "these are the tests' own steps")]

mod support;

use std::time::Duration;

use backup_tracker::{ErrorKind, EventSource, Sink};
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use backup_tracker_kafka::rdkafka::{ClientConfig, Offset, TopicPartitionList};
use support::{Cluster, cluster, event, next, send, soon, texts, with_one_read};

/// The group's offsets as a tool sees them, each with whose it is. Which record stands before it is left out.
fn noted(cluster: &Cluster, group: &str, partitions: i32) -> Vec<(Offset, String)> {
    let mut list = TopicPartitionList::new();
    list.add_partition_range("backups", 0, partitions - 1);
    let found = tool(cluster, group).committed_offsets(list, Duration::from_secs(10)).unwrap();
    let whose = |metadata: &str| match metadata.split_once(" behind=") {
        Some((word, rest)) => format!("{word}{}", rest.trim_start_matches(|letter| letter != ' ')),
        None => metadata.to_owned(),
    };
    found.elements().iter().map(|found| (found.offset(), whose(found.metadata()))).collect()
}

fn tool(cluster: &Cluster, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.servers).set("group.id", group).create().unwrap()
}

/// Stores an offset as an earlier release, or another program, has left it.
fn leave(cluster: &Cluster, group: &str, offset: i64, metadata: &str) {
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition("backups", 0);
    element.set_offset(Offset::Offset(offset)).unwrap();
    element.set_metadata(metadata);
    tool(cluster, group).commit(&list, CommitMode::Sync).unwrap();
}

#[tokio::test]
async fn the_word_is_written_at_once_and_survives_commits_and_restarts() {
    let cluster = cluster(2);
    let mut source = cluster.source("search").await;
    soon(source.claim("shop")).await.unwrap();
    let start = (Offset::Offset(0), "start application=shop".to_owned());
    assert_eq!(noted(&cluster, "search", 2), [start.clone(), start]);
    drop(source);

    let mut source = cluster.source("search").await;
    assert!(!source.resumed(), "a start is no position, whoever's it is");
    soon(source.claim("shop")).await.unwrap();
    let mut sink = cluster.sink().await;
    let partition = sink.partition_of("shop");
    send(&mut sink, "shop", "one").await;
    next(&mut source).await;
    soon(source.commit()).await.unwrap();
    let committed = noted(&cluster, "search", 2);
    assert!(committed.iter().all(|(_, word)| word == "committed application=shop"), "{committed:?}");
    assert_eq!(committed[partition as usize].0, Offset::Offset(1));
    drop(source);

    // Also where a session has claimed nothing.
    let mut source = cluster.source("search").await;
    assert!(source.resumed());
    soon(source.commit()).await.unwrap();
    assert_eq!(noted(&cluster, "search", 2), committed);
}

#[tokio::test]
async fn another_application_is_refused_and_moves_nothing() {
    let (cluster, _sink, mut shop) = with_one_read().await;
    soon(shop.claim("shop")).await.unwrap();
    soon(shop.commit()).await.unwrap();
    let before = noted(&cluster, "search", 1);

    let mut maps = cluster.source("search").await;
    let error = soon(maps.claim("maps")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    for word in
        ["`search`", "`shop`", "`maps`", "another group", "--delete-offsets --group search --topic backups"]
    {
        assert!(error.message().contains(word), "{word} is missing in {error}");
    }
    drop(maps);
    assert_eq!(noted(&cluster, "search", 1), before);
    // A group of its own is taken, and the owner is not disturbed.
    soon(cluster.source("maps").await.claim("maps")).await.unwrap();
    soon(shop.commit()).await.unwrap();
}

#[tokio::test]
async fn a_position_without_a_word_takes_the_first() {
    for (metadata, is_position) in
        [("committed", true), ("start", false), ("", true), ("of another program", true)]
    {
        let cluster = cluster(1);
        let mut sink = cluster.sink().await;
        for number in 0..3 {
            send(&mut sink, "shop", &number.to_string()).await;
        }
        leave(&cluster, "search", 2, metadata);
        let mut source = cluster.source("search").await;
        assert_eq!(source.resumed(), is_position, "{metadata}");
        soon(source.claim("shop")).await.unwrap();
        let word = if is_position { "committed application=shop" } else { "start application=shop" };
        assert_eq!(noted(&cluster, "search", 1), [(Offset::Offset(2), word.to_owned())]);
        let error = soon(cluster.source("search").await.claim("maps")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert_eq!(texts(&mut source, 1).await, ["2"], "the position stays where it was");
    }
}

#[tokio::test]
async fn replicas_of_one_application_share_the_position() {
    let (cluster, mut sink, mut one) = with_one_read().await;
    let mut two = cluster.source("search").await;
    soon(one.claim("shop")).await.unwrap();
    soon(two.claim("shop")).await.unwrap();
    soon(one.commit()).await.unwrap();
    assert_eq!(texts(&mut two, 1).await, ["one"]);
    soon(sink.send(&event("shop", "two"))).await.unwrap();
    assert_eq!(texts(&mut two, 1).await, ["two"]);
    soon(two.commit()).await.unwrap();
    assert_eq!(noted(&cluster, "search", 1), [(Offset::Offset(2), "committed application=shop".to_owned())]);
}

#[tokio::test]
async fn of_two_that_claimed_at_once_the_one_that_was_overwritten_learns_it_at_its_next_commit() {
    let (cluster, _sink, mut shop) = with_one_read().await;
    soon(shop.claim("shop")).await.unwrap();
    // As if the other had looked before that, and written after it.
    leave(&cluster, "search", 0, "start application=maps");
    let error = soon(shop.commit()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("`maps`"), "{error}");
    assert_eq!(noted(&cluster, "search", 1), [(Offset::Offset(0), "start application=maps".to_owned())]);
}

#[tokio::test]
async fn observers_claim_nothing() {
    let cluster = cluster(1);
    let mut observer = soon(cluster.kafka().observer().open()).await.unwrap();
    soon(observer.claim("shop")).await.unwrap();
    soon(observer.claim("maps")).await.unwrap();
    assert_eq!(noted(&cluster, "backup-tracker-observer", 1), [(Offset::Invalid, String::new())]);
}

#[tokio::test]
async fn a_claim_during_an_outage_is_unavailable_and_may_be_repeated() {
    let cluster = cluster(1);
    let builder = cluster.kafka().source("search").request_timeout(Duration::from_millis(500));
    let mut source = soon(builder.open()).await.unwrap();
    cluster.mock.broker_down(1).unwrap();
    for _ in 0..2 {
        let error = soon(source.claim("shop")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    cluster.mock.broker_up(1).unwrap();
    soon(async { while source.claim("shop").await.is_err() {} }).await;
    assert_eq!(noted(&cluster, "search", 1)[0].1, "start application=shop");
}

#[tokio::test]
async fn long_names_are_told_apart_by_what_is_cut_off() {
    let cluster = cluster(1);
    let (one, two) = (format!("{}1", "long".repeat(2000)), format!("{}2", "long".repeat(2000)));
    let mut source = cluster.source("search").await;
    soon(source.claim(&one)).await.unwrap();
    soon(cluster.source("search").await.claim(&one)).await.unwrap();
    let error = soon(cluster.source("search").await.claim(&two)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(noted(&cluster, "search", 1)[0].1.len() < 300);
}
