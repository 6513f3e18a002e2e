//! What only this transport has: the ways in which a test plays with the log. The contract itself is proved by the
//! conformance suite.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

use std::time::Duration;

use backup_tracker::{Delivery, ErrorKind, Event, EventSource, Position, Record, Sink, StartAt};
use backup_tracker_memory::{MemoryLog, MemorySource};
use bytes::Bytes;
use uuid::Uuid;

fn event(number: u128) -> Event {
    Event::new(Uuid::from_u128(number), "shop", "payload")
}

fn keys(records: &[Record]) -> Vec<u128> {
    let keys = records.iter().filter_map(|record| record.key);
    keys.map(|key| key.as_u128()).collect()
}

async fn key(source: &mut MemorySource) -> u128 {
    let next = tokio::time::timeout(Duration::from_secs(5), source.next());
    let record = next.await.unwrap().unwrap().unwrap();
    record.key.unwrap().as_u128()
}

#[test]
fn blank_names_are_refused_and_named() {
    for blank in ["", "  ", "\t"] {
        let error = MemoryLog::new(blank).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("topic: "), "{error}");
        let error = MemoryLog::new("backups").unwrap().source(blank).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("group: "), "{error}");
    }
}

#[tokio::test]
async fn a_log_shows_its_records_and_its_groups_positions() {
    let log = MemoryLog::new("backups").unwrap();
    let mut source = log.source("g").unwrap();
    assert!(log.is_empty());
    log.sink().send(&event(1)).await.unwrap();
    let position = log.append_raw(None, Vec::new(), Some(Bytes::from_static(b"garbage")));
    assert_eq!(position, Position::Offset(1));
    assert_eq!(log.len(), 2);
    assert_eq!(keys(&log.records()), [1]);
    assert_eq!(log.committed("g"), None);
    assert_eq!(key(&mut source).await, 1);
    source.commit().await.unwrap();
    assert_eq!(log.committed("g"), Some(1));
    assert_eq!(log.committed("other"), None);
}

#[tokio::test]
async fn the_latest_start_skips_what_there_is_and_is_fixed() {
    let log = MemoryLog::new("backups").unwrap();
    let mut sink = log.sink();
    sink.send(&event(1)).await.unwrap();
    drop(log.source_from(StartAt::Latest, "g").unwrap());
    sink.send(&event(2)).await.unwrap();
    let mut source = log.source_from(StartAt::Latest, "g").unwrap();
    assert_eq!(key(&mut source).await, 2);
}

#[tokio::test]
async fn a_waiting_next_hears_that_the_log_became_unavailable() {
    let log = MemoryLog::new("backups").unwrap();
    let mut source = log.source("g").unwrap();
    let waiting = tokio::spawn(async move {
        let error = source.next().await.unwrap_err();
        (source, error)
    });
    tokio::task::yield_now().await;
    log.set_available(false);
    let (mut source, error) = waiting.await.unwrap();
    assert!(error.is_transient());
    let error = log.sink().send(&event(1)).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert!(source.commit().await.unwrap_err().is_transient());
    assert!(source.remaining().await.unwrap_err().is_transient());
    assert!(log.source("g").unwrap_err().is_transient());
    log.set_available(true);
    log.sink().send(&event(2)).await.unwrap();
    assert_eq!(key(&mut source).await, 2);
}

#[tokio::test]
async fn sends_fail_as_asked_and_only_an_unknown_one_is_in_the_log() {
    let log = MemoryLog::new("backups").unwrap();
    let mut sink = log.sink();
    log.fail_next_sends(1, Delivery::NotSent);
    log.fail_next_sends(1, Delivery::Unknown);
    let error = sink.send(&event(1)).await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::NotSent);
    let error = sink.send(&event(2)).await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::Unknown);
    sink.send(&event(3)).await.unwrap();
    assert_eq!(keys(&log.records()), [2, 3]);
}

#[tokio::test]
async fn trimming_loses_only_what_was_not_read() {
    let log = MemoryLog::new("backups").unwrap();
    let mut sink = log.sink();
    sink.send(&event(1)).await.unwrap();
    let (mut ahead, mut behind) = (log.source("ahead").unwrap(), log.source("behind").unwrap());
    assert_eq!(key(&mut ahead).await, 1);
    log.trim();
    sink.send(&event(2)).await.unwrap();
    assert_eq!(key(&mut ahead).await, 2);
    assert_eq!(behind.next().await.unwrap_err().kind(), ErrorKind::Lost);
    assert_eq!(key(&mut behind).await, 2);
}

#[tokio::test]
async fn recreation_makes_every_position_void() {
    let log = MemoryLog::new("backups").unwrap();
    let mut sink = log.sink();
    for number in 1..=2 {
        sink.send(&event(number)).await.unwrap();
    }
    let mut source = log.source("g").unwrap();
    assert_eq!(key(&mut source).await, 1);
    source.commit().await.unwrap();
    log.recreate();
    sink.send(&event(3)).await.unwrap();
    sink.send(&event(4)).await.unwrap();
    // Without effect: what the session has read belongs to the log that was deleted.
    source.commit().await.unwrap();
    assert_eq!(source.next().await.unwrap_err().kind(), ErrorKind::Lost);
    assert_eq!(key(&mut source).await, 3);

    let mut next = log.source("g").unwrap();
    assert!(!next.resumed());
    assert_eq!(next.remaining().await.unwrap().total(), 2);
    assert_eq!(next.next().await.unwrap_err().kind(), ErrorKind::Lost);
    assert_eq!(key(&mut next).await, 3);
}

#[tokio::test]
async fn an_ended_log_gives_what_it_has_and_then_none() {
    let log = MemoryLog::new("backups").unwrap();
    let mut sink = log.sink();
    sink.send(&event(1)).await.unwrap();
    let mut source = log.source("g").unwrap();
    log.end();
    let error = sink.send(&event(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert_eq!(key(&mut source).await, 1);
    assert_eq!(source.next().await.unwrap(), None);
    source.commit().await.unwrap();
    assert_eq!(log.committed("g"), Some(1));
}

#[tokio::test]
async fn an_event_may_be_as_large_as_the_limit_and_no_larger() {
    let log = MemoryLog::with_max_event_bytes("backups", 10).unwrap();
    let mut sink = log.sink();
    let fits = Event::new(Uuid::nil(), "shop", vec![0_u8; 6]).header("ab", "cd");
    sink.send(&fits).await.unwrap();
    let too_large = Event::new(Uuid::nil(), "shop", vec![0_u8; 7]).header("ab", "cd");
    let error = sink.send(&too_large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(log.len(), 1);
}

#[test]
fn handles_are_send_and_sync() {
    const fn check<T: Send + Sync>() {}
    check::<MemoryLog>();
    check::<MemorySource>();
    check::<backup_tracker_memory::MemorySink>();
}

#[tokio::test]
async fn an_observer_reads_everything_and_follows_and_leaves_nothing_behind() {
    let log = MemoryLog::new("backups").unwrap();
    let mut sink = log.sink();
    for number in 1..=3 {
        sink.send(&event(number)).await.unwrap();
    }
    let mut group = log.source("g").unwrap();
    assert_eq!(key(&mut group).await, 1);
    group.commit().await.unwrap();

    let mut observer = log.observer().unwrap();
    assert_eq!(observer.remaining().await.unwrap().total(), 3);
    for number in 1..=3 {
        assert_eq!(key(&mut observer).await, number);
    }
    assert_eq!(observer.remaining().await.unwrap().total(), 0);
    let (next, sent) = tokio::join!(key(&mut observer), async { sink.send(&event(4)).await });
    sent.unwrap();
    assert_eq!(next, 4);
    observer.commit().await.unwrap();
    drop(observer);

    // What was committed is forgotten with the session, and the group has not noticed.
    let mut observer = log.observer().unwrap();
    assert!(!observer.resumed());
    assert_eq!(key(&mut observer).await, 1);
    assert_eq!(log.committed("g"), Some(1));
    assert_eq!(log.committed(""), None);
    assert_eq!(key(&mut log.source("g").unwrap()).await, 2);
}

#[tokio::test]
async fn an_observer_at_the_latest_begins_behind_the_end() {
    let log = MemoryLog::new("backups").unwrap();
    let mut sink = log.sink();
    sink.send(&event(1)).await.unwrap();
    let mut observer = log.observer_from(StartAt::Latest).unwrap();
    assert_eq!(observer.remaining().await.unwrap().total(), 0);
    sink.send(&event(2)).await.unwrap();
    assert_eq!(key(&mut observer).await, 2);
    // No start was fixed for anybody.
    assert_eq!(key(&mut log.observer().unwrap()).await, 1);
}

#[tokio::test]
async fn an_observer_hears_of_trouble_and_of_a_loss_once() {
    let log = MemoryLog::new("backups").unwrap();
    let mut sink = log.sink();
    for change in [MemoryLog::trim, MemoryLog::recreate] {
        sink.send(&event(1)).await.unwrap();
        let mut observer = log.observer().unwrap();
        log.set_available(false);
        assert!(observer.next().await.unwrap_err().is_transient());
        let refused = log.observer().unwrap_err();
        assert_eq!((refused.kind(), refused.group()), (ErrorKind::Unavailable, None));
        // It has nobody to tell.
        observer.commit().await.unwrap();
        log.set_available(true);
        change(&log);
        sink.send(&event(2)).await.unwrap();
        let error = observer.next().await.unwrap_err();
        assert_eq!((error.kind(), error.group()), (ErrorKind::Lost, None), "{error}");
        assert_eq!(key(&mut observer).await, 2);
        assert_eq!(observer.remaining().await.unwrap().total(), 0);
        log.trim();
    }
}
