//! T12: a commit or a count that fails, or hangs, stops no reading.

use std::time::Duration;

use backup_tracker::{BackupTracker, CommitOrder, ErrorKind, Health};

use crate::faulty::{Goes, builder};
use crate::support::{World, reaches, within};
use backup_tracker::BackupState::{BackingUp, Ready};

const STUCK: [Goes; 2] = [Goes::Fails(ErrorKind::Unavailable), Goes::Hangs];

#[tokio::test(start_paused = true)]
async fn a_backup_is_seen_while_routine_commits_fail_or_hang() {
    for stuck in STUCK {
        let world = World::new();
        world.primary.startup_complete().await.unwrap();
        let (builder, faults) = builder(&world.log);
        let secondary = builder.commit_interval(Duration::from_millis(1)).build().unwrap();
        reaches(&secondary, Ready).await;
        within(secondary.synced()).await.unwrap();
        faults.set(|calls| calls.commit = stuck);
        world.log.append_raw(None, Vec::new(), Some("noise".into()));
        within(secondary.health_is(|health| matches!(health, Health::Troubled { .. }))).await;
        assert!(secondary.gate().is_open());
        world.primary.start_backup().await.unwrap();
        reaches(&secondary, BackingUp).await;
        assert!(!secondary.gate().is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_seen_while_the_commit_of_a_ready_fails_or_hangs_with_the_gate_open() {
    for order in [CommitOrder::CommitFirst, CommitOrder::ListenersFirst] {
        for stuck in STUCK {
            let world = World::new();
            let (builder, faults) = builder(&world.log);
            let secondary = builder.commit_order(order).build().unwrap();
            within(secondary.synced()).await.unwrap();
            faults.set(|calls| calls.commit = stuck);
            world.primary.startup_complete().await.unwrap();
            reaches(&secondary, Ready).await;
            world.primary.start_backup().await.unwrap();
            reaches(&secondary, BackingUp).await;
            assert_eq!(world.log.committed("search"), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_seen_while_counts_fail_or_hang_and_nobody_calls_that_synced() {
    for stuck in STUCK {
        let world = World::new();
        world.primary.start_backup().await.unwrap();
        let (builder, faults) = builder(&world.log);
        faults.set(|calls| calls.remaining = stuck);
        let secondary = builder.build().unwrap();
        reaches(&secondary, BackingUp).await;
        within(secondary.health_is(|health| matches!(health, Health::Troubled { .. }))).await;
        assert!(!secondary.is_synced());
        world.primary.finish_backup().await.unwrap();
        reaches(&secondary, Ready).await;
        assert!(!secondary.gate().is_open());
        faults.set(|calls| calls.remaining = Goes::Well);
        // One that hangs is given up only when its time is over, and that grows.
        tokio::time::timeout(Duration::from_secs(130), secondary.synced()).await.unwrap().unwrap();
        assert!(secondary.gate().is_open());
        within(secondary.health_is(Health::is_healthy)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_trouble_shows_until_it_is_over_and_the_one_of_reading_comes_first() {
    let world = World::new();
    world.primary.startup_complete().await.unwrap();
    let (builder, faults) = builder(&world.log);
    let secondary = builder.keep_alive(Duration::from_millis(1)).build().unwrap();
    within(secondary.synced()).await.unwrap();
    let unavailable = Goes::Fails(ErrorKind::Unavailable);
    let operation = |health: &Health| health.error().map(|error| error.operation());
    faults.set(|calls| calls.commit = unavailable);
    within(secondary.health_is(|health| operation(health) == Some("commit"))).await;
    faults.set(|calls| calls.next = unavailable);
    // What waits for a record finds out with the next one.
    world.log.append_raw(None, Vec::new(), Some("noise".into()));
    within(secondary.health_is(|health| operation(health) == Some("read"))).await;
    faults.set(|calls| calls.next = Goes::Well);
    within(secondary.health_is(|health| operation(health) == Some("commit"))).await;
    faults.set(|calls| calls.commit = Goes::Well);
    within(secondary.health_is(Health::is_healthy)).await;
}
