//! The gates of trackers that end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::error::Error as _;

use backup_tracker::{
    BackupState, BackupTracker, Error, ErrorKind, GateState, PrimaryBackupTracker, SimpleBackupTracker,
    WorkGate,
};
use futures_util::{FutureExt, StreamExt};
use support::{World, reaches, within};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use BackupState::{BackingUp, Ready};

/// Somebody who waits to enter; returns when that one waits.
async fn waits(gate: &WorkGate) -> JoinHandle<Error> {
    let (gate, (begins, begun)) = (gate.clone(), oneshot::channel());
    let task = tokio::spawn(async move {
        let mut enter = std::pin::pin!(gate.enter());
        assert!((&mut enter).now_or_never().is_none(), "the gate is not shut");
        begins.send(()).unwrap();
        enter.await.unwrap_err()
    });
    within(begun).await.unwrap();
    task
}

async fn says(waits: JoinHandle<Error>, gate: &WorkGate, why: &str) {
    let error = within(waits).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.message().ends_with(why), "{error}");
    assert_eq!(within(gate.enter_owned()).await.unwrap_err().to_string(), error.to_string());
    assert_eq!(gate.state(), GateState::Ended);
    within(gate.drained()).await;
}

#[tokio::test]
async fn who_waits_at_the_gate_of_a_secondary_that_is_closed_hears_of_it() {
    let world = World::new();
    let secondary = world.secondary().await;
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackingUp).await;
    let gate = secondary.gate();
    let waits = waits(&gate).await;
    within(secondary.close()).await.unwrap();
    says(waits, &gate, "the tracker was closed").await;
}

#[tokio::test]
async fn who_waits_at_the_gate_of_a_secondary_that_is_dropped_hears_of_it() {
    let world = World::new();
    let secondary = world.secondary().await;
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackingUp).await;
    let gate = secondary.gate();
    let waits = waits(&gate).await;
    drop(secondary);
    says(waits, &gate, "close the tracker before").await;
}

#[tokio::test]
async fn who_waits_at_the_gate_of_a_secondary_that_fails_gets_its_error() {
    let world = World::new();
    let secondary = world.secondary().await;
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackingUp).await;
    let gate = secondary.gate();
    let waits = waits(&gate).await;
    world.log.end();
    says(waits, &gate, "follow: lost: the log has ended for good").await;
    let error = within(gate.opened()).await.unwrap_err();
    let cause = error.source().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(cause.kind(), ErrorKind::Lost);
    assert_eq!(within(secondary.closed()).await.unwrap_err().to_string(), cause.to_string());
}

#[tokio::test]
async fn a_listener_that_waits_at_the_gate_does_not_hold_up_the_closing_of_a_secondary() {
    let world = World::new();
    let (entering, mut entered) = tokio::sync::mpsc::unbounded_channel();
    let builder = world.builder().on_change_async(move |_, tracker| {
        let entering = entering.clone();
        async move {
            entering.send(()).unwrap();
            tracker.gate().opened().await
        }
    });
    let secondary = builder.build().unwrap();
    world.primary.start_backup().await.unwrap();
    within(entered.recv()).await.unwrap();
    within(secondary.close()).await.unwrap();
    assert_eq!(secondary.stats().listener_failures, 1, "it got the error");
}

#[tokio::test]
async fn a_listener_that_waits_at_the_gate_does_not_hold_up_the_closing_of_a_primary() {
    let log = backup_tracker_memory::MemoryLog::new("backups").unwrap();
    let (entering, mut entered) = tokio::sync::mpsc::unbounded_channel();
    let builder = PrimaryBackupTracker::builder("app", log.sink()).on_change_async(move |_, tracker| {
        let entering = entering.clone();
        async move {
            entering.send(()).unwrap();
            tracker.gate().opened().await
        }
    });
    let primary = builder.build().unwrap();
    let begins = tokio::spawn({
        let primary = primary.clone();
        async move { primary.start_backup().await }
    });
    within(entered.recv()).await.unwrap();
    within(primary.close()).await.unwrap();
    within(begins).await.unwrap().unwrap();
    assert_eq!(primary.listener_failures(), 1, "it got the error");
}

#[tokio::test]
async fn who_waits_at_the_gate_of_a_primary_that_is_closed_or_dropped_hears_of_it() {
    for close in [true, false] {
        let primary = World::new().primary;
        primary.start_backup().await.unwrap();
        let gate = primary.gate();
        let waits = waits(&gate).await;
        if close {
            within(primary.close()).await.unwrap();
        }
        drop(primary);
        says(waits, &gate, "the tracker was closed").await;
    }
}

#[tokio::test]
async fn the_open_gate_of_a_primary_that_is_closed_is_shut_for_good() {
    let primary = World::new().primary;
    primary.startup_complete().await.unwrap();
    let gate = primary.gate();
    assert!(gate.is_open());
    within(primary.close()).await.unwrap();
    assert_eq!(gate.state(), GateState::Ended);
}

#[tokio::test]
async fn who_waits_at_the_gate_of_a_simple_tracker_that_is_closed_or_dropped_hears_of_it() {
    for close in [true, false] {
        let tracker = SimpleBackupTracker::new("app").unwrap();
        tracker.start_backup().await.unwrap();
        let gate = tracker.gate();
        let waits = waits(&gate).await;
        if close {
            within(tracker.close()).await.unwrap();
            says(waits, &gate, "the tracker was closed").await;
        } else {
            drop(tracker);
            says(waits, &gate, "its tracker or keeper was dropped").await;
        }
    }
}

#[tokio::test]
async fn the_changes_of_a_secondarys_gate_show_each_operation_and_the_end() {
    let world = World::new();
    let secondary = world.secondary().await;
    world.primary.startup_complete().await.unwrap();
    reaches(&secondary, Ready).await;
    let mut changes = secondary.gate().changes();
    assert_eq!(within(changes.next()).await, Some(GateState::Open));
    world.primary.start_backup().await.unwrap();
    assert_eq!(within(changes.next()).await, Some(GateState::Shut));
    world.primary.finish_backup().await.unwrap();
    assert_eq!(within(changes.next()).await, Some(GateState::Open));
    within(secondary.close()).await.unwrap();
    assert_eq!(within(changes.next()).await, Some(GateState::Ended));
    assert_eq!(within(changes.next()).await, None);
}
