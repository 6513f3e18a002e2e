//! No task ends without its handle's knowing why, and no setting panics later.

use std::time::Duration;

use backup_tracker::{
    BackupState, BackupTracker, ErrorKind, Health, PrimaryBackupTracker, RetryPolicy, SecondaryBackupTracker,
    SimpleBackupTracker,
};
use backup_tracker_memory::MemoryLog;

use crate::faulty::{Goes, builder};
use crate::support::{World, reaches, within};
use BackupState::{BackingUp, Ready};

#[tokio::test]
async fn a_source_that_panics_is_a_failure_with_the_words_of_the_panic() {
    for operation in ["read", "commit", "count", "claim"] {
        let world = World::new();
        world.primary.start_backup().await.unwrap();
        world.primary.finish_backup().await.unwrap();
        let (builder, faults) = builder(&world.log);
        faults.set(|calls| match operation {
            "read" => calls.next = Goes::Panics,
            "commit" => calls.commit = Goes::Panics,
            "count" => calls.remaining = Goes::Panics,
            _ => calls.claim = Goes::Panics,
        });
        let secondary = builder.build().unwrap();
        let error = within(secondary.closed()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains(&format!("{operation} panics on purpose")), "{error}");
        assert!(matches!(secondary.health(), Health::Failed { .. }));
        let refused = within(secondary.gate().enter()).await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("panics on purpose"), "{refused}");
        assert_eq!(within(secondary.close()).await.unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_or_hangs_when_it_is_closed_does_not_hold_up_the_end() {
    for goes in [Goes::Panics, Goes::Hangs, Goes::Fails(ErrorKind::Unavailable)] {
        let world = World::new();
        let (builder, faults) = builder(&world.log);
        faults.set(|calls| calls.close = goes);
        let secondary = builder.build().unwrap();
        within(secondary.synced()).await.unwrap();
        tokio::time::timeout(2 * SecondaryBackupTracker::CLOSE_GRACE, secondary.close())
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_and_the_shortest_settings_work() {
    for duration in [Duration::MAX, Duration::from_nanos(1)] {
        let world = World::new();
        let policy = RetryPolicy::new().first(duration).longest(duration);
        let secondary = world
            .builder()
            .commit_interval(duration)
            .keep_alive(duration)
            .shut_gate_after_silence(duration)
            .listener_slow_after(duration)
            .retry(policy)
            .on_change(|_, _| ())
            .build()
            .unwrap();
        world.primary.startup_complete().await.unwrap();
        reaches(&secondary, Ready).await;
        world.log.append_raw(None, Vec::new(), Some("noise".into()));
        world.log.set_available(false);
        within(secondary.health_is(|health| matches!(health, Health::Troubled { .. }))).await;
        world.log.set_available(true);
        if duration < Duration::MAX {
            world.primary.start_backup().await.unwrap();
            reaches(&secondary, BackingUp).await;
        }
        within(secondary.close()).await.unwrap();
    }
}

#[test]
fn a_runtime_without_timers_is_refused_when_a_tracker_is_built() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let log = MemoryLog::new("backups").unwrap();
        let refused = PrimaryBackupTracker::builder("app", log.sink()).build().map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
        let error =
            SecondaryBackupTracker::builder("app", log.source("g").unwrap()).build().map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("timers"), "{error}");
        assert_eq!(SimpleBackupTracker::new("app").map(drop).unwrap_err().kind(), ErrorKind::Config);
    });
}

#[test]
fn a_runtime_that_ends_before_or_after_the_first_poll_ends_what_waits() {
    let waits = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for polled in [false, true] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let secondary = runtime.block_on(async {
            let world = World::new();
            let secondary = world.builder().build().unwrap();
            if polled {
                within(secondary.synced()).await.unwrap();
            }
            secondary
        });
        drop(runtime);
        waits.block_on(async {
            assert_eq!(within(secondary.closed()).await.unwrap_err().kind(), ErrorKind::Closed);
            assert_eq!(within(secondary.close()).await.unwrap_err().kind(), ErrorKind::Closed);
            let refused = within(secondary.gate().enter()).await.map(drop).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Closed);
        });
    }
}
