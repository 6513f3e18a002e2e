//! A secondary that opens its source by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backup_tracker::{
    BackupState, BackupTracker, Error, ErrorKind, Health, RetryPolicy, SecondaryBackupTracker,
};
use std::time::Duration;

use crate::support::{World, reaches, within};
use BackupState::{BackingUp, Ready, Starting};

#[tokio::test(start_paused = true)]
async fn it_is_built_without_a_broker_shows_its_trouble_and_follows_when_there_is_one() {
    let world = World::new();
    world.primary.startup_complete().await.unwrap();
    within(world.secondary().await.close()).await.unwrap();
    world.log.set_available(false);
    let attempts = Arc::new(AtomicUsize::new(0));
    let (log, counted) = (world.log.clone(), attempts.clone());
    let open = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let log = log.clone();
        async move { log.source("search") }
    };
    let secondary = SecondaryBackupTracker::builder_with("app", open).build().unwrap();
    assert_eq!(secondary.state(), Starting);
    assert!(!secondary.gate().is_open());
    let troubled = |health: &Health| matches!(health, Health::Troubled { attempts: 5.., .. });
    within(secondary.health_is(troubled)).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 5);
    world.log.set_available(true);
    within(secondary.synced()).await.unwrap();
    assert_eq!(secondary.state(), Ready, "it resumed (T4)");
    within(secondary.health_is(Health::is_healthy)).await;
    world.primary.start_backup().await.unwrap();
    reaches(&secondary, BackingUp).await;
}

#[tokio::test]
async fn what_does_not_pass_ends_it_and_closing_does_not_wait_for_a_broker() {
    let denied =
        || async { Err::<backup_tracker::BoxSource, _>(Error::new(ErrorKind::Denied, "open", "no")) };
    let secondary = SecondaryBackupTracker::builder_with("app", denied).build().unwrap();
    assert_eq!(within(secondary.closed()).await.unwrap_err().kind(), ErrorKind::Denied);
    let error = within(secondary.gate().enter()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);

    let never = std::future::pending::<Result<backup_tracker::BoxSource, Error>>;
    let policy = RetryPolicy::new().first(Duration::MAX);
    let secondary = SecondaryBackupTracker::builder_with("app", never).retry(policy).build().unwrap();
    within(secondary.close()).await.unwrap();
    assert!(matches!(secondary.health(), Health::Closed));
}
