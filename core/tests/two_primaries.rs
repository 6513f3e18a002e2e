//! Two primaries of one application, one of which is cut off (F1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backup_tracker::{
    BackupState, BackupTracker, Delivery, Error, ErrorKind, Event, PrimaryBackupTracker, Result, RetryPolicy,
    Sink,
};
use backup_tracker_memory::MemorySink;

use BackupState::{BackingUp, Ready};
use support::{World, reaches, within};

mod support;

/// A connection that can be cut while others work.
struct Cut {
    inner: MemorySink,
    is_cut: Arc<AtomicBool>,
}

impl Sink for Cut {
    async fn send(&mut self, event: &Event) -> Result<()> {
        if self.is_cut.load(Ordering::SeqCst) {
            let error = Error::new(ErrorKind::Unavailable, "send", "this connection is cut");
            return Err(error.with_delivery(Delivery::NotSent));
        }
        self.inner.send(event).await
    }
}

/// A primary beside that of the world, and the switch that cuts it off.
fn cut_off_now_and_then(world: &World) -> (PrimaryBackupTracker, Arc<AtomicBool>) {
    let is_cut = Arc::new(AtomicBool::new(false));
    let sink = Cut { inner: world.log.sink(), is_cut: is_cut.clone() };
    let millisecond = Duration::from_millis(1);
    let once = RetryPolicy::new().first(millisecond).longest(millisecond).give_up_after(Duration::ZERO);
    (PrimaryBackupTracker::builder("app", sink).retry(once).build().unwrap(), is_cut)
}

/// Waits until the log holds so many records.
async fn holds(world: &World, records: u64) {
    let wait = async {
        while world.log.len() < records {
            tokio::task::yield_now().await;
        }
    };
    within(wait).await;
}

#[tokio::test]
async fn f1_the_end_of_a_primary_that_was_cut_off_does_not_end_the_backup_of_its_successor() {
    let world = World::new();
    let secondary = world.secondary().await;
    let (old, is_cut) = cut_off_now_and_then(&world);
    old.start_backup().await.unwrap();
    is_cut.store(true, Ordering::SeqCst);
    old.finish_backup().await.unwrap_err();

    let new = &world.primary;
    new.startup_complete().await.unwrap();
    new.start_backup().await.unwrap();
    is_cut.store(false, Ordering::SeqCst);
    holds(&world, 4).await;
    within(async {
        while secondary.stats().received < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((secondary.state(), secondary.stats().other_operation), (BackingUp, 1));
    assert!(!secondary.gate().is_open());

    new.finish_backup().await.unwrap();
    reaches(&secondary, Ready).await;
    assert!(secondary.gate().is_open());
    assert_eq!((old.state(), secondary.stats().other_operation), (Ready, 1));
}

#[tokio::test]
async fn f1_a_startup_complete_that_was_given_up_does_not_go_out_later() {
    let world = World::new();
    let secondary = world.secondary().await;
    let (old, is_cut) = cut_off_now_and_then(&world);
    is_cut.store(true, Ordering::SeqCst);
    old.startup_complete().await.unwrap_err();
    world.primary.start_backup().await.unwrap();
    is_cut.store(false, Ordering::SeqCst);
    old.close().await.unwrap();
    assert_eq!(world.log.len(), 1);
    reaches(&secondary, BackingUp).await;
}

#[tokio::test]
async fn a_finish_that_is_repeated_has_one_answer_before_and_after_the_background_announces_it() {
    for after in [false, true] {
        let world = World::new();
        let (primary, is_cut) = cut_off_now_and_then(&world);
        primary.start_restore().await.unwrap();
        is_cut.store(true, Ordering::SeqCst);
        let error = primary.finish_restore().await.unwrap_err();
        assert_eq!(error.delivery(), Delivery::NotSent);
        is_cut.store(false, Ordering::SeqCst);
        if after {
            holds(&world, 2).await;
        }
        let end = primary.finish_restore().await.unwrap();
        assert_eq!((primary.finish_restore().await.unwrap(), end.to), (end.clone(), Ready));
        assert_eq!((primary.last_transition(), world.log.len()), (Some(end), 2));
        primary.start_backup().await.unwrap();
        primary.finish_restore().await.unwrap_err();
    }
}
