//! When a secondary calls its listeners, and what they may do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use backup_tracker::{
    BackupState, BackupTracker, Change, CommitOrder, Listener, Result, SecondaryBackupTracker,
};
use support::{World, reaches, within};
use tokio::sync::{mpsc, oneshot};

use BackupState::{BackingUp, Ready};

/// Sends on what it is told.
struct Teller(mpsc::UnboundedSender<Change>);

impl Listener<SecondaryBackupTracker> for Teller {
    async fn on_change(
        &self,
        change: &Change,
        _: &SecondaryBackupTracker,
    ) -> Result<(), backup_tracker::BoxError> {
        self.0.send(change.clone())?;
        Ok(())
    }
}

fn teller() -> (Teller, mpsc::UnboundedReceiver<Change>) {
    let (sender, told) = mpsc::unbounded_channel();
    (Teller(sender), told)
}

async fn next(told: &mut mpsc::UnboundedReceiver<Change>) -> Change {
    within(told.recv()).await.unwrap()
}

#[tokio::test]
async fn t8_listeners_see_every_step_in_order_with_the_primarys_own_details() {
    let world = World::new();
    let before = world.primary.start_backup().await.unwrap();
    let (listener, mut told) = teller();
    let _secondary = world.builder().listener(listener).build().unwrap();
    let change = next(&mut told).await;
    assert_eq!((change.transition, change.replay, change.missed), (before, true, false));
    let after = world.primary.finish_backup().await.unwrap();
    let change = next(&mut told).await;
    assert_eq!((change.transition, change.replay, change.missed), (after, false, false));
}

#[tokio::test]
async fn t8_a_slow_listener_holds_up_neither_state_nor_gate() {
    let world = World::new();
    let (release, released) = oneshot::channel::<()>();
    let released = Mutex::new(Some(released));
    let (listener, mut told) = teller();
    let secondary = world
        .builder()
        .on_change_async(move |_, _| {
            let released = released.lock().unwrap().take();
            async move {
                if let Some(released) = released {
                    released.await.unwrap();
                }
            }
        })
        .listener(listener)
        .build()
        .unwrap();
    world.primary.startup_complete().await.unwrap();
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackingUp).await;
    assert!(!secondary.gate().is_open());
    assert!(told.try_recv().is_err(), "the first step's listeners are still busy");
    release.send(()).unwrap();
    for state in [Ready, BackingUp] {
        assert_eq!(next(&mut told).await.transition.to, state);
    }
}

#[tokio::test]
async fn t2_the_commit_comes_before_or_after_the_listeners_as_chosen() {
    for (order, committed_when_told) in [(CommitOrder::CommitFirst, 1), (CommitOrder::ListenersFirst, 0)] {
        let world = World::new();
        let (sender, mut told) = mpsc::unbounded_channel();
        let log = world.log.clone();
        let secondary = world
            .builder()
            .commit_order(order)
            .on_change(move |_, _| sender.send(log.committed("search").unwrap_or(0)))
            .build()
            .unwrap();
        world.primary.startup_complete().await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap(), committed_when_told, "{order:?}");
        let commits = async {
            while secondary.stats().commits < 1 {
                tokio::task::yield_now().await;
            }
        };
        within(commits).await;
        assert_eq!(world.log.committed("search"), Some(1), "{order:?}");
    }
}

#[tokio::test]
async fn a_listener_may_read_and_close_its_tracker_without_deadlock() {
    for blocking in [true, false] {
        let world = World::new();
        let builder = world.builder();
        let builder = if blocking {
            builder.on_change(|change, tracker| {
                assert_eq!(tracker.state(), change.transition.to);
                tokio::runtime::Handle::current().block_on(tracker.close())
            })
        } else {
            builder.on_change_async(|change, tracker| async move {
                assert_eq!(tracker.state(), change.transition.to);
                tracker.close().await
            })
        };
        let secondary = builder.build().unwrap();
        world.primary.startup_complete().await.unwrap();
        within(secondary.closed()).await.unwrap();
        assert_eq!(secondary.stats().listener_failures, 0);
    }
}

#[tokio::test]
async fn t8_a_listener_that_fails_or_panics_does_not_stop_the_others() {
    let world = World::new();
    let (listener, mut told) = teller();
    let secondary = world
        .builder()
        .on_change(|_, _| Err("cannot pause"))
        .on_change(|_, _| assert_eq!(1, 2, "on purpose"))
        .listener(listener)
        .build()
        .unwrap();
    for state in [Ready, BackingUp] {
        match state {
            Ready => world.primary.startup_complete().await.unwrap(),
            _ => world.primary.start_backup().await.unwrap(),
        };
        assert_eq!(next(&mut told).await.transition.to, state);
    }
    assert_eq!(secondary.stats().listener_failures, 4);
}

#[tokio::test]
async fn the_gate_is_shut_as_soon_as_closing_begins_and_after_a_drop() {
    let world = World::new();
    let (release, released) = oneshot::channel::<()>();
    let released = Mutex::new(Some(released));
    let (sender, mut told) = mpsc::unbounded_channel();
    let secondary = world
        .builder()
        .on_change_async(move |_, _| {
            sender.send(()).unwrap();
            released.lock().unwrap().take().unwrap()
        })
        .build()
        .unwrap();
    let gate = secondary.gate();
    world.primary.startup_complete().await.unwrap();
    within(told.recv()).await.unwrap();
    assert!(gate.is_open());
    let closing = tokio::spawn({
        let secondary = secondary.clone();
        async move { secondary.close().await }
    });
    within(gate.drained()).await;
    assert!(!closing.is_finished(), "closing waits for the listener");
    release.send(()).unwrap();
    within(closing).await.unwrap().unwrap();

    let secondary = world.secondary().await;
    let gate = secondary.gate();
    assert!(gate.is_open());
    drop(secondary);
    within(gate.drained()).await;
}

#[tokio::test]
async fn dropping_the_last_handle_is_a_crash_even_while_a_listener_holds_one() {
    let world = World::new();
    let (sender, mut told) = mpsc::unbounded_channel();
    let guard = Arc::new(());
    let alive = Arc::downgrade(&guard);
    let secondary = world
        .builder()
        .on_change_async(move |_, tracker| {
            let (guard, sender) = (guard.clone(), sender.clone());
            async move {
                let _guard = guard;
                sender.send(()).unwrap();
                tracker.closed().await
            }
        })
        .build()
        .unwrap();
    let gate = secondary.gate();
    world.primary.start_backup().await.unwrap();
    within(told.recv()).await.unwrap();
    drop(secondary);
    let gone = async {
        while alive.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    within(gone).await;
    assert!(!gate.is_open());
    assert_eq!(world.log.committed("search"), None);
}
