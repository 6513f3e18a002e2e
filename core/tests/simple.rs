//! The tracker that keeps the state to itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use backup_tracker::{
    BackupState, BackupTracker, BoxTracker, Error, ErrorKind, PrimaryBackupTracker, SimpleBackupTracker,
};
use backup_tracker_memory::MemoryLog;

use BackupState::{BackingUp, Ready, Starting};

#[tokio::test]
async fn listeners_have_seen_every_step_when_the_call_returns() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = seen.clone();
    let tracker = SimpleBackupTracker::builder("app")
        .on_change(move |change, tracker| {
            assert!(!change.replay && !change.missed);
            list.lock().unwrap().push((change.transition.from, tracker.state()));
        })
        .build()
        .unwrap();
    let mut states = tracker.watch();
    tracker.startup_complete().await.unwrap();
    let begun = tracker.start_backup().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [(Starting, Ready), (Ready, BackingUp)]);
    assert_eq!(*states.borrow_and_update(), BackingUp);
    assert_eq!(tracker.last_transition(), Some(begun));
    assert!(!tracker.gate().is_open());
    tracker.finish_backup().await.unwrap();
    assert!(tracker.gate().is_open());
    assert_eq!(tracker.listener_failures(), 0);
}

#[tokio::test]
async fn a_listener_may_ask_for_the_next_step() {
    let tracker = SimpleBackupTracker::builder("app")
        .on_change_async(|change, tracker: SimpleBackupTracker| async move {
            if change.transition.to == BackingUp {
                tracker.finish_backup().await?;
                tracker.close().await?;
            }
            Ok::<_, Error>(())
        })
        .build()
        .unwrap();
    tracker.start_backup().await.unwrap();
    assert_eq!((tracker.state(), tracker.listener_failures()), (Ready, 0));
    assert_eq!(tracker.start_backup().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn an_illegal_call_changes_nothing() {
    let tracker = SimpleBackupTracker::new("app").unwrap();
    let error = tracker.finish_backup().await.unwrap_err();
    assert_eq!(error.states(), Some((Starting, Ready)));
    assert_eq!(tracker.state(), Starting);
    assert!(SimpleBackupTracker::new("").unwrap_err().to_string().contains("application"));
}

#[tokio::test]
async fn either_kind_of_tracker_is_used_without_knowing_which() {
    let log = MemoryLog::new("backups").unwrap();
    let primary = PrimaryBackupTracker::builder("app", log.sink()).build().unwrap();
    for tracker in [BoxTracker::new(primary), BoxTracker::new(SimpleBackupTracker::new("app").unwrap())] {
        tracker.startup_complete().await.unwrap();
        let clone = tracker.clone();
        tokio::spawn(async move { clone.start_backup().await }).await.unwrap().unwrap();
        assert_eq!(tracker.state(), BackingUp);
        tracker.finish_backup().await.unwrap();
        tracker.start_restore().await.unwrap();
        tracker.finish_restore().await.unwrap();
        tracker.close().await.unwrap();
        assert_eq!(tracker.start_backup().await.unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(log.len(), 5);
}
