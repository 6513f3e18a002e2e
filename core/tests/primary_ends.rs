//! Every way in which a primary ends, and what its callers learn of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{Future, pending};
use std::time::Duration;

use backup_tracker::{
    BackupState, BackupTracker, Delivery, Error, ErrorKind, Event, Health, PrimaryBackupTracker, Result,
    RetryPolicy, SimpleBackupTracker, Sink,
};
use backup_tracker_memory::MemoryLog;
use tokio::runtime::{Builder, Runtime};

use BackupState::{BackingUp, Ready, Starting};

fn log() -> MemoryLog {
    MemoryLog::new("backups").unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("nothing came in time")
}

fn once(log: &MemoryLog) -> PrimaryBackupTracker {
    let retry = RetryPolicy::new().give_up_after(Duration::ZERO);
    PrimaryBackupTracker::builder("app", log.sink()).retry(retry).build().unwrap()
}

/// A sink that does one of the things that a client library should not do.
enum Broken {
    Panics,
    Hangs,
}

impl Sink for Broken {
    async fn send(&mut self, _event: &Event) -> Result<()> {
        match self {
            Self::Panics => panic!("out of handles"),
            Self::Hangs => pending().await,
        }
    }
}

#[tokio::test]
async fn a_sink_that_panics_fails_the_tracker_visibly_and_the_outcome_is_unknown() {
    let primary = PrimaryBackupTracker::builder("app", Broken::Panics).build().unwrap();
    let error = within(primary.start_backup()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Internal, Delivery::Unknown));
    assert!(error.to_string().contains("out of handles"), "{error}");
    let Health::Failed { error } = primary.health() else { panic!("{:?}", primary.health()) };
    assert!(error.to_string().contains("out of handles"), "{error}");

    let error = within(primary.startup_complete()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Internal, Delivery::NotSent));
    for _ in 0..2 {
        assert_eq!(within(primary.close()).await.unwrap_err().kind(), ErrorKind::Internal);
    }
    assert_eq!(primary.state(), Starting);
}

#[tokio::test]
async fn calls_that_wait_behind_one_that_panics_do_not_know_their_outcome() {
    let primary = PrimaryBackupTracker::builder("app", Broken::Panics).build().unwrap();
    let (first, second, close) =
        within(async { tokio::join!(primary.startup_complete(), primary.start_backup(), primary.close()) })
            .await;
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(error.delivery(), Delivery::Unknown, "{error}");
    }
    assert_eq!(close.unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn a_runtime_that_ends_before_the_first_poll_leaves_nobody_waiting() {
    let log = log();
    let other = runtime();
    let primary = other.block_on(async { once(&log) });
    drop(other);
    assert!(matches!(primary.health(), Health::Failed { .. }), "{:?}", primary.health());
    runtime().block_on(async {
        assert_eq!(within(primary.close()).await.unwrap_err().kind(), ErrorKind::Closed);
        let error = within(primary.start_backup()).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Closed, Delivery::NotSent));
    });
}

#[test]
fn a_runtime_that_ends_while_an_announcement_is_on_its_way_leaves_its_outcome_unknown() {
    let other = runtime();
    let primary = other.block_on(async {
        let primary = PrimaryBackupTracker::builder("app", Broken::Hangs).build().unwrap();
        let mut call = Box::pin(primary.start_backup());
        for _ in 0..3 {
            assert!(futures_util::FutureExt::now_or_never(call.as_mut()).is_none());
            tokio::task::yield_now().await;
        }
        primary.clone()
    });
    let caller = std::thread::spawn({
        let primary = primary.clone();
        move || runtime().block_on(within(async { primary.startup_complete().await }))
    });
    drop(other);
    let error: Error = caller.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(primary.health().error().is_some());
}

#[test]
fn closing_is_an_error_where_the_runtime_ended_with_a_pending_announcement() {
    let log = log();
    let other = runtime();
    let primary = other.block_on(async {
        let primary = once(&log);
        log.fail_next_sends(1, Delivery::Unknown);
        primary.start_backup().await.unwrap_err();
        log.set_available(false);
        primary
    });
    drop(other);
    runtime().block_on(async { within(primary.close()).await.unwrap_err() });
}

#[tokio::test]
async fn work_that_a_select_drops_has_ended_for_everybody_when_close_returns() {
    for available in [true, false] {
        let log = log();
        let primary = once(&log);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let work = async {
            begun.send(()).unwrap();
            pending::<Result<(), Infallible>>().await
        };
        tokio::select! {
            _ = primary.backup(work) => unreachable!("the work never ends"),
            _ = has_begun => {}
        }
        log.set_available(available);
        let closed = within(primary.close()).await;
        assert_eq!((closed.is_ok(), log.len()), (available, if available { 2 } else { 1 }));
        let state = if available { Ready } else { BackingUp };
        assert_eq!(primary.state(), state);
    }
}

#[tokio::test]
async fn a_source_of_the_trace_context_that_panics_costs_the_trace_context_only() {
    let log = log();
    let primary =
        PrimaryBackupTracker::builder("app", log.sink()).traceparent(|| panic!("no span")).build().unwrap();
    primary.start_backup().await.unwrap();
    primary.finish_backup().await.unwrap();
    assert!(log.records()[0].headers.iter().all(|header| header.name != "traceparent"));
}

#[tokio::test]
async fn a_watch_ends_with_its_tracker() {
    let primary = once(&log());
    let simple = SimpleBackupTracker::new("app").unwrap();
    for (mut states, ends) in [
        (primary.watch(), within(primary.close()).await.is_ok()),
        (simple.watch(), within(simple.close()).await.is_ok()),
    ] {
        assert!(ends);
        assert!(within(states.changed()).await.is_err());
        assert_eq!(*states.borrow(), Starting);
    }
    assert!(within(primary.watch().changed()).await.is_err());
}
