//! What the metrics tell when trackers end, when several share them, and what is left out.

use std::sync::Arc;

use backup_tracker::{BackupState, BackupTracker, ErrorKind, Health, SecondaryBackupTracker};

use crate::recorder::{Emitted, series};
use crate::support::{World, reaches, within};

fn of_app(name: &str, extra: Option<(&str, &str)>) -> String {
    let own = [("application", "app"), ("role", "secondary")];
    series(&format!("backup_tracker_{name}"), &own.into_iter().chain(extra).collect::<Vec<_>>())
}

fn state(state: BackupState) -> String {
    of_app("state", Some(("state", state.as_str())))
}

async fn nothing_stands(emitted: &Emitted) {
    let wait = async {
        while !emitted.standing().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(crate::support::PATIENCE, wait).await.is_err() {
        panic!("still there: {:?}", emitted.standing());
    }
}

/// In the middle of a backup and of trouble.
async fn in_the_middle(world: &World, emitted: &Arc<Emitted>) -> SecondaryBackupTracker {
    let secondary = emitted.by(|| world.builder().build());
    within(secondary.synced()).await.unwrap();
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackupState::BackingUp).await;
    let start = of_app("operation_start_timestamp_seconds", Some(("operation", "backup")));
    emitted.shows(start, emitted_start(world)).await;
    world.log.set_available(false);
    within(secondary.health_is(|health| matches!(health, Health::Troubled { .. }))).await;
    emitted.shows(of_app("troubled", None), 1.0).await;
    secondary
}

fn emitted_start(world: &World) -> f64 {
    world.primary.last_transition().unwrap().timestamp_millis as f64 / 1000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_that_is_dropped_leaves_no_gauge_standing() {
    let (world, emitted) = (World::new(), Arc::new(Emitted::default()));
    drop(in_the_middle(&world, &emitted).await);
    nothing_stands(&emitted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_that_is_closed_leaves_no_gauge_standing_though_its_handle_lives() {
    let (world, emitted) = (World::new(), Arc::new(Emitted::default()));
    let secondary = in_the_middle(&world, &emitted).await;
    within(secondary.close()).await.unwrap();
    assert_eq!(emitted.standing(), Vec::<String>::new());
    drop(secondary);
    assert_eq!(emitted.standing(), Vec::<String>::new());
}

#[test]
fn a_runtime_that_ends_leaves_no_gauge_standing() {
    let emitted = Arc::new(Emitted::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let trackers = runtime.block_on(async {
        let world = World::new();
        let secondary = in_the_middle(&world, &emitted).await;
        world.log.set_available(true);
        // Its task has not begun when the runtime ends.
        (emitted.by(|| world.builder().build()), secondary)
    });
    drop(runtime);
    drop(trackers);
    assert_eq!(emitted.standing(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_trackers_of_one_application_add_up_and_each_takes_back_its_own() {
    let (world, emitted) = (World::new(), Arc::new(Emitted::default()));
    let one = emitted.by(|| world.builder().build());
    let two = emitted.by(|| world.builder().build());
    world.primary.startup_complete().await.unwrap();
    emitted.shows(state(BackupState::Ready), 2.0).await;
    emitted.shows(of_app("transitions_applied_total", Some(("state", "READY"))), 2.0).await;
    within(one.close()).await.unwrap();
    emitted.shows(state(BackupState::Ready), 1.0).await;
    world.primary.start_backup().await.unwrap();
    emitted.shows(state(BackupState::BackingUp), 1.0).await;
    emitted.shows(state(BackupState::Ready), 0.0).await;
    drop(two);
    nothing_stands(&emitted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_counted_at_the_gate_of_a_tracker_that_has_ended() {
    let (world, emitted) = (World::new(), Arc::new(Emitted::default()));
    let secondary = emitted.by(|| world.builder().build());
    within(secondary.synced()).await.unwrap();
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackupState::BackingUp).await;
    let gate = secondary.gate();
    let enter = || {
        let gate = gate.clone();
        tokio::spawn(async move { gate.enter_owned().await.unwrap_err() })
    };
    let waits = enter();
    emitted.shows(of_app("gate_waiters", None), 1.0).await;
    within(secondary.close()).await.unwrap();
    assert_eq!(within(waits).await.unwrap().kind(), ErrorKind::Closed);
    assert_eq!(emitted.standing(), Vec::<String>::new());
    let updates = emitted.updates(&of_app("gate_waiters", None));
    within(enter()).await.unwrap();
    assert_eq!(emitted.updates(&of_app("gate_waiters", None)), updates);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_emits_to_the_recorder_that_was_current_when_it_was_built_and_to_no_other() {
    let (world, early, late) = (World::new(), Arc::new(Emitted::default()), Arc::new(Emitted::default()));
    let secondary = early.by(|| world.builder().build());
    let _guard = metrics::set_default_local_recorder(&late);
    world.primary.startup_complete().await.unwrap();
    reaches(&secondary, BackupState::Ready).await;
    early.shows(state(BackupState::Ready), 1.0).await;
    assert!(late.series().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_gate_touches_no_metric() {
    let (world, emitted) = (World::new(), Arc::new(Emitted::default()));
    let secondary = emitted.by(|| world.builder().build());
    within(secondary.synced()).await.unwrap();
    let gate = secondary.gate();
    gate.opened().await.unwrap();
    drop(gate.enter().await.unwrap());
    drop(gate.enter_owned().await.unwrap());
    drop(gate.try_enter());
    assert_eq!(emitted.updates(&of_app("gate_waiters", None)), 0);
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackupState::BackingUp).await;
    drop(gate.try_enter());
    assert_eq!(emitted.updates(&of_app("gate_waiters", None)), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_before_whose_end_something_was_missed_has_no_duration() {
    let (world, emitted) = (World::new(), Arc::new(Emitted::default()));
    let secondary = emitted.by(|| world.builder().build());
    within(secondary.synced()).await.unwrap();
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackupState::BackingUp).await;
    world.log.recreate();
    world.primary.finish_backup().await.unwrap();
    emitted.shows(of_app("gaps_total", None), 1.0).await;
    let backup = Some(("operation", "backup"));
    emitted.shows(of_app("operation_start_timestamp_seconds", backup), 0.0).await;
    assert!(emitted.samples(&of_app("operation_duration_seconds", backup)).is_empty());
    world.primary.start_backup().await.unwrap();
    world.primary.finish_backup().await.unwrap();
    emitted.shows(of_app("operation_duration_seconds", backup), 1.0).await;
}
