//! The primary's driver, over the memory transport.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backup_tracker::wire::{Decoded, decode};
use backup_tracker::{
    BackupState, BackupTracker, BackupTransition, BoxError, Delivery, Error, ErrorKind, PrimaryBackupTracker,
    RetryPolicy, WireFormat, WorkError,
};
use backup_tracker_memory::MemoryLog;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use BackupState::{BackingUp, Ready, Restoring, Starting};

fn log() -> MemoryLog {
    MemoryLog::new("backups").unwrap()
}

fn quick() -> RetryPolicy {
    let millisecond = Duration::from_millis(1);
    RetryPolicy::new().first(millisecond).longest(millisecond).give_up_after(50 * millisecond)
}

fn primary(log: &MemoryLog) -> PrimaryBackupTracker {
    PrimaryBackupTracker::builder("app", log.sink()).retry(quick()).build().unwrap()
}

fn once(log: &MemoryLog) -> PrimaryBackupTracker {
    let retry = quick().give_up_after(Duration::ZERO);
    PrimaryBackupTracker::builder("app", log.sink()).retry(retry).build().unwrap()
}

fn transitions(log: &MemoryLog) -> Vec<BackupTransition> {
    let decoded = log.records().into_iter().map(|record| match decode(&record) {
        Ok(Decoded::Transition(transition)) => transition,
        other => panic!("{other:?}"),
    });
    decoded.collect()
}

fn steps(log: &MemoryLog) -> Vec<(BackupState, BackupState)> {
    transitions(log).iter().map(|transition| (transition.from, transition.to)).collect()
}

/// Waits until the log holds so many records.
async fn holds(log: &MemoryLog, records: u64) {
    let wait = async {
        while log.len() < records {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the log stays short");
}

#[tokio::test]
async fn every_call_is_announced_with_what_it_returned() {
    let (log, mut returned) = (log(), Vec::new());
    let primary = primary(&log);
    assert_eq!(primary.state(), Starting);
    returned.push(primary.startup_complete().await.unwrap());
    returned.push(primary.start_backup().await.unwrap());
    assert_eq!(primary.state(), BackingUp);
    assert!(!primary.gate().is_open());
    returned.push(primary.finish_backup().await.unwrap());
    returned.push(primary.start_restore().await.unwrap());
    returned.push(primary.finish_restore().await.unwrap());
    assert_eq!(transitions(&log), returned);
    assert_eq!(primary.last_transition(), returned.last().cloned());
    assert!(primary.gate().is_open());
}

#[tokio::test]
async fn an_illegal_call_changes_and_announces_nothing_and_names_both_states() {
    let log = log();
    let primary = primary(&log);
    primary.start_backup().await.unwrap();
    let error = primary.finish_restore().await.unwrap_err();
    assert_eq!(error.states(), Some((BackingUp, Ready)));
    let error = primary.start_restore().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalTransition);
    assert!(error.to_string().contains("BACKING_UP") && error.to_string().contains("RESTORING"), "{error}");
    assert_eq!((primary.state(), log.len()), (BackingUp, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_calls_at_the_same_time_exactly_one_comes_first() {
    let log = log();
    let primary = primary(&log);
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let primary = primary.clone();
            tokio::spawn(async move { primary.start_backup().await.is_ok() })
        })
        .collect();
    let mut begun = 0;
    for call in calls {
        begun += usize::from(call.await.unwrap());
    }
    assert_eq!((begun, log.len()), (1, 1));
}

#[tokio::test]
async fn t7_a_transient_failure_is_tried_again_with_the_same_id() {
    let log = log();
    let primary = primary(&log);
    log.fail_next_sends(3, Delivery::NotSent);
    let transition = primary.start_backup().await.unwrap();
    assert_eq!(transitions(&log), [transition]);
    assert!(primary.health().is_healthy());
}

#[tokio::test]
async fn t7_when_it_is_given_up_the_caller_gets_the_error_and_the_state_is_unchanged() {
    let log = log();
    let primary = primary(&log);
    log.set_available(false);
    let error = primary.start_backup().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    assert_eq!((primary.state(), log.len()), (Starting, 0));
    assert!(!primary.health().is_healthy());
    log.set_available(true);
    primary.start_backup().await.unwrap();
    assert_eq!(steps(&log), [(Starting, BackingUp)]);
    assert!(primary.health().is_healthy());
}

#[tokio::test]
async fn t7_after_an_unknown_outcome_the_way_back_is_announced_without_being_asked() {
    let log = log();
    let primary = once(&log);
    primary.startup_complete().await.unwrap();
    log.fail_next_sends(1, Delivery::Unknown);
    let error = primary.start_backup().await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::Unknown);
    assert_eq!(primary.state(), Ready);
    holds(&log, 3).await;
    assert_eq!(steps(&log), [(Starting, Ready), (Ready, BackingUp), (BackingUp, Ready)]);
    primary.start_restore().await.unwrap();
    assert_eq!(steps(&log)[3], (Ready, Restoring));
}

#[tokio::test]
async fn t7_what_is_owed_outlives_a_long_outage_and_comes_first() {
    let log = log();
    let primary = once(&log);
    log.fail_next_sends(1, Delivery::Unknown);
    primary.start_backup().await.unwrap_err();
    log.set_available(false);
    for _ in 0..3 {
        assert_eq!(primary.start_restore().await.unwrap_err().delivery(), Delivery::NotSent);
    }
    log.set_available(true);
    primary.start_restore().await.unwrap();
    assert_eq!(steps(&log)[1..], [(BackingUp, Ready), (Ready, Restoring)]);
}

#[tokio::test]
async fn closing_announces_what_is_pending_or_returns_an_error() {
    for available in [true, false] {
        let log = log();
        let primary = once(&log);
        log.fail_next_sends(1, Delivery::Unknown);
        primary.start_backup().await.unwrap_err();
        log.set_available(available);
        assert_eq!(primary.close().await.is_ok(), available);
        assert_eq!(log.len(), if available { 2 } else { 1 });
        assert_eq!(primary.close().await.is_ok(), available, "the same answer again");
    }
}

#[tokio::test]
async fn after_close_every_call_says_so() {
    let log = log();
    let primary = primary(&log);
    primary.close().await.unwrap();
    assert_eq!(primary.start_backup().await.unwrap_err().kind(), ErrorKind::Closed);
    let error = primary.backup(async { Ok::<_, Infallible>(()) }).await.unwrap_err();
    assert!(matches!(error, WorkError::NotBegun(error) if error.kind() == ErrorKind::Closed));
    assert_eq!(log.len(), 0);
}

#[tokio::test]
async fn a_call_that_has_begun_is_carried_out_although_its_future_and_the_tracker_are_dropped() {
    let log = log();
    let primary = primary(&log);
    assert!(primary.start_backup().now_or_never().is_none());
    drop(primary);
    holds(&log, 1).await;
}

#[tokio::test]
async fn around_work_both_ends_are_announced_whatever_the_work_returns() {
    let log = log();
    let primary = primary(&log);
    let state = primary.clone();
    let value = primary.backup(async { Ok::<_, Infallible>(state.state()) }).await.unwrap();
    assert_eq!(value, BackingUp);
    let failed = primary.restore(async { Err::<(), _>("disk full") }).await.unwrap_err();
    assert!(matches!(failed, WorkError::Work(_)), "{failed:?}");
    assert!(failed.announcement().is_none());
    assert_eq!(failed.work().unwrap().to_string(), "disk full");
    assert_eq!(
        steps(&log),
        [(Starting, BackingUp), (BackingUp, Ready), (Ready, Restoring), (Restoring, Ready)]
    );
}

#[tokio::test]
async fn the_error_of_the_work_keeps_its_chain_of_causes_also_where_it_was_boxed() {
    let primary = primary(&log());
    let cause = || Error::new(ErrorKind::Internal, "copy", "half of it").with_source("disk full");
    let plain = primary.backup(async { Err::<(), _>(cause()) }).await.unwrap_err();
    let boxed = primary.backup(async { Err::<(), BoxError>(cause().into()) }).await.unwrap_err();
    for failed in [plain, boxed] {
        assert_eq!(failed.work().unwrap().downcast_ref::<Error>().unwrap().message(), "half of it");
        let handed_on = (|| -> Result<(), BoxError> { Err(failed)? })().unwrap_err();
        let own = handed_on.source().unwrap();
        assert_eq!(own.downcast_ref::<Error>().unwrap().operation(), "copy");
        assert_eq!(own.source().unwrap().to_string(), "disk full");
    }
}

#[tokio::test]
async fn around_work_that_panics_the_end_is_announced_before_the_panic_goes_on() {
    let log = log();
    let primary = primary(&log);
    let work = primary.backup(async {
        assert_eq!(1, 2, "on purpose");
        Ok::<_, Infallible>(())
    });
    AssertUnwindSafe(work).catch_unwind().await.unwrap_err();
    assert_eq!(steps(&log), [(Starting, BackingUp), (BackingUp, Ready)]);
}

#[tokio::test]
async fn around_work_that_is_dropped_at_any_moment_the_end_is_announced() {
    for polls in 0..20 {
        let log = log();
        let primary = primary(&log);
        let work = async {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(())
        };
        let mut call = Box::pin(primary.backup(work));
        for _ in 0..polls {
            if call.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        primary.close().await.unwrap();
        let steps = steps(&log);
        assert!(
            steps.is_empty() || steps == [(Starting, BackingUp), (BackingUp, Ready)],
            "dropped after {polls} polls: {steps:?}"
        );
        assert!(polls == 0 || !steps.is_empty());
    }
}

#[tokio::test]
async fn around_work_whose_beginning_fails_nothing_is_begun() {
    let log = log();
    let primary = primary(&log);
    log.set_available(false);
    let begun = AtomicUsize::new(0);
    let error = primary
        .backup(async {
            begun.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(())
        })
        .await
        .unwrap_err();
    assert!(matches!(&error, WorkError::NotBegun(error) if error.is_transient()), "{error:?}");
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_end_that_cannot_be_announced_gives_the_outcome_back_and_stays_owed() {
    let log = log();
    let primary = primary(&log);
    let error = primary
        .backup(async {
            log.set_available(false);
            Ok::<_, Infallible>("copied")
        })
        .await
        .unwrap_err();
    let WorkError::EndNotAnnounced { error, outcome } = error else { panic!("{error:?}") };
    assert_eq!((error.kind(), outcome.unwrap()), (ErrorKind::Unavailable, "copied"));
    assert_eq!(primary.state(), BackingUp);
    log.set_available(true);
    holds(&log, 2).await;
    primary.start_restore().await.unwrap();
    assert_eq!(steps(&log), [(Starting, BackingUp), (BackingUp, Ready), (Ready, Restoring)]);
}

#[tokio::test]
async fn work_ends_its_own_operation_and_nobody_elses() {
    let log = log();
    let primary = primary(&log);
    let other = primary.clone();
    let error = primary
        .backup(async {
            other.finish_backup().await?;
            other.start_backup().await.map(drop)
        })
        .await
        .unwrap_err();
    assert!(matches!(&error, WorkError::EndNotAnnounced { error, outcome: Ok(()) }
        if error.kind() == ErrorKind::IllegalTransition));
    assert_eq!(primary.state(), BackingUp, "the other backup goes on");
}

#[tokio::test]
async fn listeners_have_returned_when_the_call_returns_and_may_call_back() {
    let log = log();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let primary = PrimaryBackupTracker::builder("app", log.sink())
        .on_change_async(move |change, tracker: PrimaryBackupTracker| {
            let counter = counter.clone();
            async move {
                if change.transition.to == BackingUp {
                    tracker.finish_backup().await?;
                }
                tokio::task::yield_now().await;
                counter.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Error>(())
            }
        })
        .build()
        .unwrap();
    primary.start_backup().await.unwrap();
    assert!(seen.load(Ordering::SeqCst) >= 1);
    assert_eq!(steps(&log), [(Starting, BackingUp), (BackingUp, Ready)]);
    primary.close().await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 2, "closing waits for listeners that are due");
}

#[tokio::test]
async fn a_listener_may_close_its_tracker() {
    let log = log();
    let (said, closed) = oneshot::channel();
    let said = std::sync::Mutex::new(Some(said));
    let primary = PrimaryBackupTracker::builder("app", log.sink())
        .on_change(move |_change, tracker| {
            let result = tokio::runtime::Handle::current().block_on(tracker.close());
            if let Some(said) = said.lock().unwrap().take() {
                said.send(result).unwrap();
            }
        })
        .build()
        .unwrap();
    primary.startup_complete().await.unwrap();
    closed.await.unwrap().unwrap();
    assert_eq!(primary.start_backup().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_listener_that_fails_or_panics_is_counted_and_does_not_stop_the_others() {
    let log = log();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let primary = PrimaryBackupTracker::builder("app", log.sink())
        .on_change(|_, _| Err("cannot pause"))
        .on_change(|_, _| assert_eq!(1, 2, "on purpose"))
        .on_change_async(|_, _| async { assert_eq!(1, 2, "on purpose") })
        .on_change(move |_, _| {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    primary.startup_complete().await.unwrap();
    primary.start_backup().await.unwrap();
    assert_eq!((seen.load(Ordering::SeqCst), primary.listener_failures()), (2, 6));
}

#[tokio::test]
async fn the_format_and_the_trace_context_are_what_the_user_chose() {
    let log = log();
    let primary = PrimaryBackupTracker::builder("app", log.sink())
        .wire_format(WireFormat::ActionJson)
        .traceparent(|| Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()))
        .build()
        .unwrap();
    primary.start_backup().await.unwrap();
    let record = &log.records()[0];
    assert!(record.payload.as_ref().unwrap().ends_with(br#""from":"STARTING","to":"PROCESSING"}"#));
    let headers: Vec<_> = record.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(headers, ["content-type", "traceparent"]);
}

#[tokio::test]
async fn headers_go_with_every_announcement_behind_those_of_the_library() {
    let log = log();
    let primary = PrimaryBackupTracker::builder("app", log.sink())
        .header("announced-by", "nightly")
        .header("reason", "a test")
        .build()
        .unwrap();
    let begun = primary.start_backup().await.unwrap().id.to_string();
    primary.finish_backup().await.unwrap();
    let content_type: (_, &[u8]) = ("content-type", b"application/cbor");
    let operation = ("backup-tracker-operation", begun.as_bytes());
    for (record, own) in log.records().iter().zip([&[content_type][..], &[content_type, operation]]) {
        let headers: Vec<_> = record.headers.iter().map(|h| (h.name.as_str(), &h.value[..])).collect();
        assert_eq!(headers, [own, &[("announced-by", b"nightly"), ("reason", b"a test")]].concat());
    }
}

#[tokio::test]
async fn a_primary_takes_up_where_another_one_left_off() {
    for (state, to) in [(BackingUp, Ready), (Restoring, Ready), (Ready, BackingUp)] {
        let log = log();
        let primary =
            PrimaryBackupTracker::builder("app", log.sink()).state(state).retry(quick()).build().unwrap();
        assert_eq!((primary.state(), primary.gate().is_open()), (state, !state.is_operation()));
        if state.is_operation() {
            let error = primary.start_backup().await.unwrap_err();
            assert_eq!(error.states(), Some((state, BackingUp)));
            primary.startup_complete().await.unwrap();
        } else {
            primary.start_backup().await.unwrap();
        }
        assert_eq!(steps(&log), [(state, to)]);
    }
}

#[tokio::test]
async fn bad_settings_are_refused_by_name() {
    for name in [" ", "content-type", "Traceparent", "Backup-Tracker-Operation"] {
        let builder = PrimaryBackupTracker::builder("app", log().sink()).header(name, "x");
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("header"), "{error}");
    }
    let error = PrimaryBackupTracker::builder(" ", log().sink()).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("application"), "{error}");
}

#[test]
fn outside_a_runtime_building_fails_with_a_clear_error() {
    let error = PrimaryBackupTracker::builder("app", log().sink()).build().unwrap_err();
    assert!(error.to_string().contains("Tokio runtime"), "{error}");
}
