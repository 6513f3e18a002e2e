//! A group belongs to one application (S16).

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

use std::sync::Barrier;

use backup_tracker::{ErrorKind, Event, EventSource, Sink};
use backup_tracker_memory::{MemoryLog, MemorySource};
use uuid::Uuid;

async fn send(log: &MemoryLog, number: u128) {
    log.sink().send(&Event::new(Uuid::from_u128(number), "shop", "payload")).await.unwrap();
}

async fn read_and_commit(source: &mut MemorySource) {
    source.next().await.unwrap().unwrap();
    source.commit().await.unwrap();
}

#[tokio::test]
async fn a_group_of_another_application_is_refused_and_the_error_names_both() {
    let log = MemoryLog::new("backups").unwrap();
    log.source("search").unwrap().claim("shop").await.unwrap();
    assert_eq!(log.application("search").as_deref(), Some("shop"));
    let error = log.source("search").unwrap().claim("maps").await.unwrap_err();
    assert_eq!((error.kind(), error.group()), (ErrorKind::Config, Some("search")));
    for word in ["`search`", "`shop`", "`maps`", "choose another group"] {
        assert!(error.message().contains(word), "{error}");
    }
    // Replicas of the one, and groups of the other, are welcome.
    log.source("search").unwrap().claim("shop").await.unwrap();
    log.source("tiles").unwrap().claim("maps").await.unwrap();
    assert_eq!(log.application("search").as_deref(), Some("shop"));
}

#[tokio::test]
async fn what_is_bound_stays_bound_through_commit_trim_and_recreation() {
    let log = MemoryLog::new("backups").unwrap();
    let mut source = log.source("search").unwrap();
    source.claim("shop").await.unwrap();
    send(&log, 1).await;
    read_and_commit(&mut source).await;
    assert_eq!(log.committed("search"), Some(1));
    // A session that claims nothing keeps what is noted.
    send(&log, 2).await;
    read_and_commit(&mut log.source("search").unwrap()).await;
    for lose in [MemoryLog::trim, MemoryLog::recreate] {
        send(&log, 3).await;
        lose(&log);
        send(&log, 4).await;
        let error = log.source("search").unwrap().claim("maps").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let mut replica = log.source("search").unwrap();
        replica.claim("shop").await.unwrap();
        assert_eq!(replica.next().await.unwrap_err().kind(), ErrorKind::Lost);
        read_and_commit(&mut replica).await;
        assert_eq!(log.application("search").as_deref(), Some("shop"));
    }
}

#[tokio::test]
async fn a_position_that_was_committed_without_a_claim_takes_the_first() {
    let log = MemoryLog::new("backups").unwrap();
    send(&log, 1).await;
    read_and_commit(&mut log.source("search").unwrap()).await;
    assert_eq!(log.application("search"), None);
    let mut source = log.source("search").unwrap();
    source.claim("shop").await.unwrap();
    assert!(source.resumed());
    assert_eq!((log.application("search").as_deref(), log.committed("search")), (Some("shop"), Some(1)));
    assert!(log.source("search").unwrap().claim("maps").await.is_err());
}

#[test]
fn of_claims_at_the_same_time_exactly_one_application_wins() {
    for _ in 0..50 {
        let log = MemoryLog::new("backups").unwrap();
        let barrier = Barrier::new(4);
        let won: Vec<bool> = std::thread::scope(|scope| {
            let claims = ["a", "b", "c", "d"].map(|application| {
                let (log, barrier) = (&log, &barrier);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    let mut source = log.source("search").unwrap();
                    barrier.wait();
                    runtime.block_on(source.claim(application)).is_ok()
                })
            });
            claims.into_iter().map(|claim| claim.join().unwrap()).collect()
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    }
}

#[tokio::test]
async fn a_claim_in_an_outage_may_be_repeated() {
    let log = MemoryLog::new("backups").unwrap();
    let mut source = log.source("search").unwrap();
    log.set_available(false);
    assert!(source.claim("shop").await.unwrap_err().is_transient());
    assert_eq!(log.application("search"), None);
    log.set_available(true);
    source.claim("shop").await.unwrap();
    assert_eq!(log.application("search").as_deref(), Some("shop"));
}

#[tokio::test]
async fn an_observer_claims_nothing() {
    let log = MemoryLog::new("backups").unwrap();
    log.source("search").unwrap().claim("shop").await.unwrap();
    let mut observer = log.observer().unwrap();
    observer.claim("maps").await.unwrap();
    assert_eq!(log.application("search").as_deref(), Some("shop"));
    assert_eq!(log.application(""), None);
}

#[tokio::test]
async fn neither_a_commit_nor_a_count_says_that_the_log_was_lost() {
    for lose in [MemoryLog::trim, MemoryLog::recreate] {
        let log = MemoryLog::new("backups").unwrap();
        send(&log, 1).await;
        let mut old = log.source("search").unwrap();
        old.next().await.unwrap();
        send(&log, 2).await;
        lose(&log);
        send(&log, 3).await;
        // Another replica is in the new log already.
        let mut replica = log.source("search").unwrap();
        assert_eq!(replica.next().await.unwrap_err().kind(), ErrorKind::Lost);
        read_and_commit(&mut replica).await;
        let committed = log.committed("search");

        assert_eq!(old.remaining().await.unwrap().total(), 1);
        old.commit().await.unwrap();
        assert_eq!(log.committed("search"), committed);
        assert!(log.source("search").unwrap().resumed());
        assert_eq!(old.next().await.unwrap_err().kind(), ErrorKind::Lost);
    }
}
