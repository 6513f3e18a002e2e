//! What follows from a loss (S12, T14).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backup_tracker::{BackupTracker, ErrorKind, Health, Notice};

use crate::faulty::{Goes, builder};
use crate::support::{World, reaches, within};
use backup_tracker::BackupState::{BackingUp, Ready, Starting};

#[tokio::test]
async fn t14_the_gate_is_shut_until_a_step_says_where_the_application_is() {
    for open_after_loss in [false, true] {
        let world = World::new();
        world.primary.startup_complete().await.unwrap();
        let builder = world.builder().open_gate_after_loss(open_after_loss);
        let secondary = builder.build().unwrap();
        within(secondary.synced()).await.unwrap();
        assert!(secondary.gate().is_open());
        world.log.recreate();
        reaches(&secondary, Starting).await;
        within(secondary.synced()).await.unwrap();
        assert_eq!(secondary.gate().is_open(), open_after_loss);
        world.primary.startup_complete().await.unwrap();
        within(secondary.gate().opened()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_read_again_after_a_loss_is_applied_again() {
    let world = World::new();
    let secondary = world.secondary().await;
    let begin = world.primary.start_backup().await.unwrap();
    let end = world.primary.finish_backup().await.unwrap();
    reaches(&secondary, Ready).await;
    world.log.recreate();
    reaches(&secondary, Starting).await;
    // A copy of the log is put back.
    for step in [&begin, &end] {
        let event = backup_tracker::wire::encode(step, backup_tracker::WireFormat::Cbor);
        world.log.append_raw(Some(event.key), event.headers, Some(event.payload));
    }
    reaches(&secondary, Ready).await;
    assert_eq!(secondary.stats().duplicate, 0);
    within(secondary.gate().opened()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_loss_counts_and_is_told_and_none_is_trouble() {
    let world = World::new();
    let told = Arc::new(AtomicUsize::new(0));
    let counted = told.clone();
    let (builder, faults) = builder(&world.log);
    let secondary = builder
        .on_notice(move |notice, _| {
            if let Notice::Lost { error } = notice {
                assert_eq!(error.kind(), ErrorKind::Lost);
                counted.fetch_add(1, Ordering::SeqCst);
            }
        })
        .build()
        .unwrap();
    within(secondary.synced()).await.unwrap();
    for losses in 1..=3 {
        world.log.recreate();
        let lost = async {
            while secondary.stats().losses < losses || told.load(Ordering::SeqCst) < losses as usize {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(lost).await;
        assert!(secondary.health().is_healthy(), "{}", secondary.health());
    }
    // A source that says nothing else is not asked in a hot loop.
    faults.set(|calls| calls.next = Goes::Fails(ErrorKind::Lost));
    world.log.append_raw(None, Vec::new(), Some("noise".into()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!((50..1000).contains(&secondary.stats().losses), "{}", secondary.stats().losses);
}

#[tokio::test]
async fn a_source_that_says_so_by_a_commit_or_a_count_is_followed_all_the_same() {
    let lost = Goes::Fails(ErrorKind::Lost);
    for by_commit in [true, false] {
        let world = World::new();
        let (builder, faults) = builder(&world.log);
        faults.set(|calls| if by_commit { calls.commit = lost } else { calls.remaining = lost });
        let secondary = builder.build().unwrap();
        world.primary.startup_complete().await.unwrap();
        let counted = async {
            while secondary.stats().losses == 0 {
                tokio::task::yield_now().await;
            }
        };
        within(counted).await;
        faults.set(|calls| (calls.commit, calls.remaining) = (Goes::Well, Goes::Well));
        world.primary.start_backup().await.unwrap();
        reaches(&secondary, BackingUp).await;
        assert!(!matches!(secondary.health(), Health::Failed { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn t13_in_silence_the_gate_shuts_and_opens_when_all_is_read_that_came_meanwhile() {
    let world = World::new();
    world.primary.startup_complete().await.unwrap();
    let (builder, faults) = builder(&world.log);
    let secondary = builder.shut_gate_after_silence(Duration::from_secs(30)).build().unwrap();
    within(secondary.synced()).await.unwrap();
    let gate = secondary.gate();
    faults.set(|calls| calls.next = Goes::Fails(ErrorKind::Unavailable));
    world.log.append_raw(None, Vec::new(), Some("noise".into()));
    within(secondary.health_is(|health| !health.is_healthy())).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert!(gate.is_open());
    tokio::time::timeout(Duration::from_secs(2), gate.shut()).await.unwrap();
    world.primary.start_backup().await.unwrap();
    faults.set(|calls| calls.next = Goes::Well);
    reaches(&secondary, BackingUp).await;
    assert!(!gate.is_open());
    world.primary.finish_backup().await.unwrap();
    within(gate.opened()).await.unwrap();
}
