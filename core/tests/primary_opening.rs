//! A primary that is built before its broker is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_tracker::{
    BackupTracker, Delivery, Error, ErrorKind, Health, PrimaryBackupTracker, Result, RetryPolicy,
};
use backup_tracker_memory::{MemoryLog, MemorySink};

type Attempts = Arc<Mutex<(u32, Option<ErrorKind>)>>;

/// A primary whose sink opens when no kind of error is set; and the number of attempts with that kind.
fn opening(log: &MemoryLog, kind: Option<ErrorKind>) -> (PrimaryBackupTracker, Attempts) {
    let attempts = Attempts::new(Mutex::new((0, kind)));
    let (log, counted) = (log.clone(), attempts.clone());
    let open = move || {
        let mut counted = counted.lock().unwrap();
        counted.0 += 1;
        let opened: Result<MemorySink> = match counted.1 {
            None => Ok(log.sink()),
            Some(kind) => Err(Error::new(kind, "open the sink", "on purpose")),
        };
        std::future::ready(opened)
    };
    let millisecond = Duration::from_millis(1);
    let retry = RetryPolicy::new().first(millisecond).longest(millisecond).give_up_after(5 * millisecond);
    (PrimaryBackupTracker::builder_with("app", open).retry(retry).build().unwrap(), attempts)
}

async fn until(condition: impl Fn() -> bool + Send + Sync) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it does not come about");
}

#[tokio::test]
async fn a_broker_that_is_not_there_yet_is_awaited_in_the_background() {
    let log = MemoryLog::new("backups").unwrap();
    let (primary, attempts) = opening(&log, Some(ErrorKind::Unavailable));
    until(|| matches!(primary.health(), Health::Troubled { attempts, .. } if attempts >= 3)).await;
    let error = primary.startup_complete().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));

    attempts.lock().unwrap().1 = None;
    until(|| primary.health().is_healthy()).await;
    let opened_after = attempts.lock().unwrap().0;
    primary.start_backup().await.unwrap();
    primary.finish_backup().await.unwrap();
    assert_eq!((log.len(), attempts.lock().unwrap().0), (2, opened_after), "opened once");
    primary.close().await.unwrap();
}

#[tokio::test]
async fn a_call_opens_the_sink_without_waiting_for_the_background() {
    let log = MemoryLog::new("backups").unwrap();
    let (primary, _) = opening(&log, None);
    primary.startup_complete().await.unwrap();
    assert_eq!(log.len(), 1);
}

#[tokio::test]
async fn a_sink_that_can_never_be_opened_fails_the_tracker() {
    let log = MemoryLog::new("backups").unwrap();
    for call_first in [true, false] {
        let (primary, attempts) = opening(&log, Some(ErrorKind::Denied));
        if !call_first {
            until(|| matches!(primary.health(), Health::Failed { .. })).await;
        }
        for _ in 0..2 {
            let error = primary.start_backup().await.unwrap_err();
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::Denied, Delivery::NotSent));
        }
        until(|| matches!(primary.health(), Health::Failed { .. })).await;
        assert_eq!(primary.close().await.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(attempts.lock().unwrap().0, 1);
    }
}

#[tokio::test]
async fn a_primary_is_closed_while_its_sink_is_being_opened() {
    let open = || std::future::pending::<Result<MemorySink>>();
    let primary = PrimaryBackupTracker::builder_with("app", open).build().unwrap();
    tokio::task::yield_now().await;
    tokio::time::timeout(Duration::from_secs(10), primary.close()).await.expect("it hangs").unwrap();
}
