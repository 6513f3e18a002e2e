//! Listeners that take their time, or do not return (T2, T8, T12).

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use backup_tracker::{
    BackupState, BackupTracker, BoxError, Change, CommitOrder, ErrorKind, Health, Listener,
    SecondaryBackupTracker,
};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{World, reaches, within};
use BackupState::{BackingUp, Ready};

/// Says when a call begins and when it returns, for which it needs a permit.
struct Held {
    calls: mpsc::UnboundedSender<(Change, bool)>,
    permits: Arc<Semaphore>,
}

impl Listener<SecondaryBackupTracker> for Held {
    async fn on_change(&self, change: &Change, _: &SecondaryBackupTracker) -> Result<(), BoxError> {
        self.calls.send((change.clone(), false))?;
        self.permits.acquire().await?.forget();
        self.calls.send((change.clone(), true))?;
        Ok(())
    }
}

fn held() -> (Held, mpsc::UnboundedReceiver<(Change, bool)>, Arc<Semaphore>) {
    let (calls, told) = mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(0));
    (Held { calls, permits: permits.clone() }, told, permits)
}

async fn backup(world: &World, secondary: &SecondaryBackupTracker) {
    world.primary.start_backup().await.unwrap();
    reaches(secondary, BackingUp).await;
    assert!(!secondary.gate().is_open());
    world.primary.finish_backup().await.unwrap();
    reaches(secondary, Ready).await;
    assert!(secondary.gate().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_never_returns_holds_up_neither_state_nor_gate_and_shows() {
    for order in [CommitOrder::CommitFirst, CommitOrder::ListenersFirst] {
        let world = World::new();
        let (listener, mut told, _permits) = held();
        let builder = world.builder().commit_order(order).listener(listener);
        let secondary = builder.listener_slow_after(Duration::from_secs(5)).build().unwrap();
        within(secondary.synced()).await.unwrap();
        let before = SystemTime::now();
        for _ in 0..70 {
            backup(&world, &secondary).await;
        }
        let slow = secondary.health_is(|health| matches!(health, Health::ListenerSlow { .. })).await;
        let Health::ListenerSlow { listener, since } = slow else { unreachable!() };
        assert_eq!(listener, std::any::type_name::<Held>());
        assert!(since >= before && since <= SystemTime::now());
        assert!(!secondary.health().is_healthy());
        assert_eq!(within(told.recv()).await.unwrap().0.transition.to, BackingUp);
        assert!(told.try_recv().is_err(), "one call at a time");
        assert_eq!(world.log.committed("search"), None, "nothing is committed that was not told");

        let error = tokio::time::timeout(2 * SecondaryBackupTracker::CLOSE_GRACE, secondary.close());
        let error = error.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Listener);
        assert!(error.message().contains("Held"), "{error}");
        assert_eq!(secondary.closed().await.unwrap_err().kind(), ErrorKind::Listener);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_slow_catches_up_and_hears_what_it_was_not_told() {
    let world = World::new();
    let (listener, mut told, permits) = held();
    let secondary = world.builder().listener(listener).build().unwrap();
    within(secondary.synced()).await.unwrap();
    backup(&world, &secondary).await;
    backup(&world, &secondary).await;
    permits.add_permits(1000);
    let mut passed_over = 0;
    let mut last = None;
    while last != secondary.last_transition() {
        let (change, returned) = within(told.recv()).await.unwrap();
        if !returned {
            passed_over += change.passed_over;
        }
        last = returned.then_some(change.transition);
    }
    let stats = secondary.stats();
    assert_eq!((passed_over, stats.passed_over, stats.applied), (1, 1, 4));
    within(secondary.health_is(Health::is_healthy)).await;
    let commits = async {
        while world.log.committed("search") != Some(4) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(commits).await;
}

/// Runs sessions that are killed after so many calls were let through, and checks what each of them was told.
async fn crash_after(calls: usize, order: CommitOrder) {
    let world = World::new();
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.push(world.primary.start_backup().await.unwrap());
        steps.push(world.primary.finish_backup().await.unwrap());
    }
    let returned = Arc::new(Mutex::new(Vec::new()));
    for session in 0.. {
        let last = session == 5;
        let (listener, mut told, permits) = held();
        permits.add_permits(if last { 1000 } else { calls });
        let secondary = world.builder().commit_order(order).listener(listener).build().unwrap();
        let mut begun = None;
        let listening = async {
            while let Some((change, has_returned)) = told.recv().await {
                begun = Some(change.transition.clone());
                if has_returned {
                    returned.lock().unwrap().push(change.transition);
                }
            }
        };
        // Everything has happened that can happen.
        let settled = tokio::time::timeout(Duration::from_secs(30), listening).await;
        assert!(settled.is_err() || !last);
        let committed = usize::try_from(world.log.committed("search").unwrap_or(0)).unwrap();
        drop(secondary);
        for step in &steps[..committed] {
            let was_told = returned.lock().unwrap().contains(step);
            let made_for = order == CommitOrder::CommitFirst && step.to == Ready;
            assert!(
                was_told || made_for,
                "{step} is behind the position and was not told ({calls} calls, {order:?})"
            );
        }
        if last {
            assert_eq!(committed, steps.len(), "{calls} calls, {order:?}");
            break;
        }
    }
    let returned = returned.lock().unwrap();
    let due = steps.iter().filter(|step| order == CommitOrder::ListenersFirst || step.to != Ready);
    assert!(due.clone().all(|step| returned.contains(step)), "{calls} calls, {order:?}: {returned:?}");
}

#[tokio::test(start_paused = true)]
async fn wherever_it_crashes_with_calls_queued_each_is_made_or_made_again() {
    for order in [CommitOrder::CommitFirst, CommitOrder::ListenersFirst] {
        for calls in 0..6 {
            crash_after(calls, order).await;
        }
    }
}

#[tokio::test]
async fn a_listener_whose_error_panics_when_shown_ends_nothing() {
    #[derive(Debug)]
    struct Rude;

    impl std::fmt::Display for Rude {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            std::panic::resume_unwind(Box::new("shown"))
        }
    }

    impl std::error::Error for Rude {}

    /// Panics with something that panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("dropped"))
        }
    }

    let world = World::new();
    let (calls, mut told) = mpsc::unbounded_channel();
    let secondary = world
        .builder()
        .on_change_async(|_, _| async { Err::<(), _>(Rude) })
        .on_change_async(|_, _| async { std::panic::resume_unwind(Box::new(Bomb)) as () })
        .on_change(move |change, _| calls.send(change.transition.to))
        .build()
        .unwrap();
    world.primary.start_backup().await.unwrap();
    assert_eq!(within(told.recv()).await, Some(BackingUp));
    world.primary.finish_backup().await.unwrap();
    assert_eq!(within(told.recv()).await, Some(Ready));
    assert_eq!(secondary.stats().listener_failures, 4);
    within(secondary.close()).await.unwrap();
}
