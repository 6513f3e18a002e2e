//! One scenario in which every series of the table gets a value.

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use backup_tracker::{
    BackupState, BackupTracker, BackupTransition, Delivery, GateKeeper, Health, PrimaryBackupTracker,
    RetryPolicy, SecondaryBackupTracker, SimpleBackupTracker,
};
use backup_tracker_memory::MemoryLog;
use uuid::Uuid;

use BackupState::{BackingUp, Ready, Restoring, Starting};

use tokio::sync::watch;

use crate::parts::{Fragile, Held, Metrics, append, append_step, took};
use crate::recorder::Emitted;
use crate::support::{reaches, within};
use crate::table::rows;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_of_the_table_is_emitted_with_the_right_value_and_no_other() {
    let emitted = Arc::new(Emitted::default());
    let log = MemoryLog::new("backups").unwrap();
    let held = GateKeeper::new();
    let commit_failures = Arc::new(AtomicUsize::new(0));
    let partition = Arc::new(AtomicU32::new(0));

    let hold = watch::Sender::new(false);
    let slow_after = Duration::from_millis(1);

    let single_attempts = RetryPolicy::new().first(Duration::from_secs(3600)).give_up_after(Duration::ZERO);
    let builder = PrimaryBackupTracker::builder("shop", log.sink());
    let primary = emitted.by(|| {
        builder.retry(single_attempts).listener(Fragile::new(&hold)).listener_slow_after(slow_after).build()
    });
    let builder = SimpleBackupTracker::builder("shop").listener(Fragile::new(&hold));
    let simple = emitted.by(|| builder.listener_slow_after(slow_after).build());

    // A log that holds something already, of which nothing is of interest.
    held.shut();
    append(&log, "other", 1, 1, Starting, Ready);
    append(&log, "other", 2, 1, Ready, BackingUp);
    log.append_raw(None, Vec::new(), Some("garbage".into()));
    let action = r#"{"id":"3f2b8a5e-7c1d-4e6f-9a0b-1c2d3e4f5a6b","application":"shop","action":"compact","timestamp":1,"from":"READY","to":"PROCESSING"}"#;
    log.append_raw(None, Vec::new(), Some(action.into()));
    append(&log, "shop", 3, 1, BackingUp, Restoring);
    let source = Held {
        inner: log.source("search").unwrap(),
        gate: held.gate(),
        partition: partition.clone(),
        commit_failures: commit_failures.clone(),
    };
    let millisecond = Duration::from_millis(1);
    let quick = RetryPolicy::new().first(millisecond).longest(millisecond);
    let builder = SecondaryBackupTracker::builder("shop", source).retry(quick);
    let secondary =
        emitted.by(|| builder.listener(Fragile::new(&hold)).listener_slow_after(slow_after).build());

    let of = |role| Metrics(&emitted, role);
    let (first, second, lonely) = (of("primary"), of("secondary"), of("simple"));
    for metrics in [&first, &second, &lonely] {
        metrics.in_state(Starting).await;
    }
    second.show("backlog_records", 5.0).await;
    let patient = second.counts_waiters(&secondary.gate()).await;
    held.open();
    within(secondary.synced()).await.unwrap();
    second.has_no_waiter_after(patient).await;
    second.show("backlog_records", 0.0).await;
    second.show("records_received_total", 5.0).await;
    for (reason, skipped) in
        [("other_application", 2.0), ("undecodable", 1.0), ("other_action", 1.0), ("forbidden", 1.0)]
    {
        second.show_with("records_skipped_total", ("reason", reason), skipped).await;
    }

    // A commit that fails twice.
    commit_failures.store(2, Ordering::SeqCst);
    primary.startup_complete().await.unwrap();
    reaches(&secondary, Ready).await;
    second.in_state(Ready).await;
    first.in_state(Ready).await;
    for (name, value) in [
        ("commit_failures_total", 2.0),
        ("commits_total", 1.0),
        ("troubles_total", 2.0),
        ("recoveries_total", 1.0),
        ("troubled", 0.0),
    ] {
        second.show(name, value).await;
    }

    // A backup.
    let begun = primary.start_backup().await.unwrap();
    for metrics in [&first, &second] {
        metrics.in_state(BackingUp).await;
        metrics.runs_since("backup", Some(&begun)).await;
        metrics.show("listener_failures_total", 1.0).await;
    }
    let patient = first.counts_waiters(&primary.gate()).await;
    let ended = primary.finish_backup().await.unwrap();
    first.has_no_waiter_after(patient).await;
    let backup = took(&begun, &ended);
    for metrics in [&first, &second] {
        metrics.in_state(Ready).await;
        metrics.runs_since("backup", None).await;
        metrics.durations("backup", &[backup]).await;
    }
    second.show_with("transitions_applied_total", ("state", "READY"), 2.0).await;
    second.show("commits_total", 2.0).await;

    // A restore.
    let begun = primary.start_restore().await.unwrap();
    for metrics in [&first, &second] {
        metrics.in_state(Restoring).await;
        metrics.runs_since("restore", Some(&begun)).await;
    }
    let ended = primary.finish_restore().await.unwrap();
    for metrics in [&first, &second] {
        metrics.in_state(Ready).await;
        metrics.runs_since("restore", None).await;
        metrics.durations("restore", &[took(&begun, &ended)]).await;
    }

    // A restore of 90 s by another primary, in another partition, one that comes twice, and steps that do not fit.
    second.show("partition_changes_total", 0.0).await;
    partition.store(1, Ordering::SeqCst);
    append(&log, "shop", 10, 100, Ready, Restoring);
    append(&log, "shop", 11, 190, Restoring, Ready);
    append(&log, "shop", 11, 190, Restoring, Ready);
    append(&log, "shop", 12, 200, Ready, BackingUp);
    second.in_state(BackingUp).await;
    second.durations("restore", &[took(&begun, &ended), 90.0]).await;
    second.show_with("records_skipped_total", ("reason", "duplicate"), 1.0).await;
    second.show_with("operation_start_timestamp_seconds", ("operation", "backup"), 200.0).await;
    // The end of an operation of another primary.
    append_step(
        &log,
        &BackupTransition::new(Uuid::from_u128(20), "shop", 1, Restoring, Ready).ending(begun.id),
    );
    second.show_with("records_skipped_total", ("reason", "other_operation"), 1.0).await;
    append(&log, "shop", 13, 300, Ready, Restoring);
    second.in_state(Restoring).await;
    second.runs_since("backup", None).await;
    second.show_with("operation_start_timestamp_seconds", ("operation", "restore"), 300.0).await;
    append(&log, "shop", 14, 400, Starting, Starting);
    second.in_state(Starting).await;
    second.runs_since("restore", None).await;
    second.show("gaps_total", 2.0).await;
    second.show("partition_changes_total", 1.0).await;
    for (state, applied) in [("STARTING", 1.0), ("READY", 4.0), ("BACKING_UP", 2.0), ("RESTORING", 3.0)] {
        second.show_with("transitions_applied_total", ("state", state), applied).await;
    }
    assert_eq!(secondary.stats().applied, 10);

    // An outage for the secondary.
    log.set_available(false);
    within(secondary.health_is(|health| matches!(health, Health::Troubled { attempts: 3.., .. }))).await;
    second.show("troubled", 1.0).await;
    log.set_available(true);
    within(secondary.health_is(Health::is_healthy)).await;
    second.show("troubled", 0.0).await;
    second.show("recoveries_total", 2.0).await;
    let troubles = secondary.stats().troubles;
    assert!(troubles >= 5, "{troubles}");
    second.show("troubles_total", troubles as f64).await;

    // A beginning whose outcome is unknown, and the debt that follows.
    log.fail_next_sends(1, Delivery::Unknown);
    primary.start_backup().await.unwrap_err();
    first.in_state(Ready).await;
    first.show("announcements_owed", 1.0).await;
    first.show("troubled", 1.0).await;
    first.show_with("send_failures_total", ("delivery", "unknown"), 1.0).await;
    second.in_state(BackingUp).await;
    log.fail_next_sends(1, Delivery::NotSent);
    primary.startup_complete().await.unwrap_err();
    first.show_with("send_failures_total", ("delivery", "not_sent"), 1.0).await;
    first.show("announcements_owed", 1.0).await;
    primary.startup_complete().await.unwrap();
    first.show("announcements_owed", 0.0).await;
    first.show("troubled", 0.0).await;
    first.show("troubles_total", 2.0).await;
    first.show("recoveries_total", 1.0).await;
    for (state, sent) in [("READY", 5.0), ("BACKING_UP", 1.0), ("RESTORING", 1.0)] {
        first.show_with("transitions_sent_total", ("state", state), sent).await;
    }
    second.in_state(Ready).await;
    first.durations("backup", &[backup]).await;
    second.durations("backup", &[backup, 0.0]).await;

    // Listeners that do not return. The step in between is passed over.
    second.show("listener_calls_waiting", 0.0).await;
    hold.send_replace(true);
    let starter = primary.clone();
    let starting = tokio::spawn(async move { starter.start_backup().await });
    for metrics in [&first, &second] {
        metrics.in_state(BackingUp).await;
        metrics.show_slow_listener().await;
    }
    second.show("listener_calls_waiting", 1.0).await;
    append(&log, "shop", 20, 500, BackingUp, Ready);
    second.in_state(Ready).await;
    append(&log, "shop", 21, 600, Ready, BackingUp);
    second.in_state(BackingUp).await;
    hold.send_replace(false);
    within(starting).await.unwrap().unwrap();
    second.show("steps_passed_over_total", 1.0).await;
    second.show("listener_calls_waiting", 0.0).await;
    append(&log, "shop", 22, 700, BackingUp, Ready);
    second.in_state(Ready).await;

    // A log that is lost, and then ends.
    log.recreate();
    second.show("losses_total", 1.0).await;
    second.in_state(Starting).await;
    second.show("failed", 0.0).await;
    log.end();
    within(secondary.closed()).await.unwrap_err();
    second.show("failed", 1.0).await;
    second.show("backlog_records", 0.0).await;
    for state in BackupState::ALL {
        second.show_with("state", ("state", state.as_str()), 0.0).await;
    }

    alone(&simple, &lonely, &hold).await;

    let documented: BTreeMap<_, _> = rows()
        .into_iter()
        .flat_map(|row| {
            row.series("shop", type_name::<Fragile>())
                .into_iter()
                .map(move |series| (series, row.kind.clone()))
        })
        .collect();
    let registered: BTreeMap<_, _> =
        emitted.series().into_iter().map(|(series, kind)| (series, kind.to_owned())).collect();
    assert_eq!(registered, documented, "left: emitted, right: documented");
    let documented: BTreeSet<_> = documented.into_keys().collect();
    assert_eq!(emitted.shown(), documented, "left: had a value, right: documented");

    let described: Vec<_> = emitted
        .described()
        .into_iter()
        .map(|(name, (kind, unit, _))| (name, kind.to_owned(), unit))
        .collect();
    let mut documented: Vec<_> = rows().into_iter().map(|row| (row.name, row.kind, row.unit)).collect();
    documented.sort();
    assert_eq!(described, documented, "left: described to the recorder, right: documented");
    assert!(emitted.described().values().all(|(_, _, help)| !help.is_empty()));

    drop(secondary);
    within(primary.close()).await.unwrap();
    within(simple.close()).await.unwrap();
    second.show("failed", 0.0).await;
    assert_eq!(emitted.standing(), Vec::<String>::new());
}

/// A tracker that tells nobody.
async fn alone(simple: &SimpleBackupTracker, metrics: &Metrics<'_>, hold: &watch::Sender<bool>) {
    simple.startup_complete().await.unwrap();
    metrics.in_state(Ready).await;
    let begun = simple.start_backup().await.unwrap();
    metrics.in_state(BackingUp).await;
    metrics.runs_since("backup", Some(&begun)).await;
    metrics.show("listener_failures_total", 1.0).await;
    let patient = metrics.counts_waiters(&simple.gate()).await;
    let ended = simple.finish_backup().await.unwrap();
    metrics.has_no_waiter_after(patient).await;
    metrics.runs_since("backup", None).await;
    metrics.durations("backup", &[took(&begun, &ended)]).await;
    let begun = simple.start_restore().await.unwrap();
    metrics.in_state(Restoring).await;
    metrics.runs_since("restore", Some(&begun)).await;
    let ended = simple.finish_restore().await.unwrap();
    metrics.in_state(Ready).await;
    metrics.runs_since("restore", None).await;
    metrics.durations("restore", &[took(&begun, &ended)]).await;
    hold.send_replace(true);
    let starter = simple.clone();
    let starting = tokio::spawn(async move { starter.start_restore().await });
    metrics.show_slow_listener().await;
    hold.send_replace(false);
    within(starting).await.unwrap().unwrap();
}
