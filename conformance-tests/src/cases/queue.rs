//! T2, T8 and T12 with listeners that are slow or hang: what a crash may lose of the calls that are due, and that state and gate
//! do not wait for them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use backup_tracker::BackupState::{BackingUp, Ready, Starting};
use backup_tracker::{BackupTransition, CommitOrder, SecondaryBuilder};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use super::cases;
use crate::bench::{Bench, Outcome, ensure};
use crate::harness::Lane;
use crate::scene::{LIFE, OWN, Secondary, hang, step};

cases! {
    a_crash_with_calls_outstanding_loses_none_but_that_of_a_committed_ready = crashes(CommitOrder::CommitFirst): T2 T8;
    a_crash_with_calls_outstanding_loses_none_with_listeners_first = crashes(CommitOrder::ListenersFirst): T2 T8;
    a_listener_that_hangs_holds_up_neither_state_nor_gate: T12;
}

/// What a listener was told, and for which steps it has returned.
#[derive(Default)]
struct Calls {
    begun: Mutex<Vec<Uuid>>,
    returned: Mutex<Vec<Uuid>>,
}

impl Calls {
    fn of(list: &Mutex<Vec<Uuid>>) -> Vec<Uuid> {
        list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(list: &Mutex<Vec<Uuid>>, id: Uuid) {
        list.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }
}

/// A secondary with a listener that returns so many times, and then hangs.
async fn returning<L: Lane>(
    bench: &Bench<L>,
    group: &str,
    order: CommitOrder,
    times: usize,
) -> Outcome<(Secondary, Arc<Calls>)> {
    let (calls, permits) = (Arc::new(Calls::default()), Arc::new(Semaphore::new(times)));
    let listened = Arc::clone(&calls);
    let with = |builder: SecondaryBuilder<L::Source>| {
        builder.commit_order(order).on_change_async(move |change, _| {
            let (calls, permits) = (Arc::clone(&listened), Arc::clone(&permits));
            async move {
                let id = change.transition.id;
                Calls::note(&calls.begun, id);
                if let Ok(permit) = permits.acquire().await {
                    permit.forget();
                }
                Calls::note(&calls.returned, id);
            }
        })
    };
    Ok((bench.secondary_with(group, with).await?, calls))
}

/// The calls of one session are in the order of the steps, none of them twice.
fn in_order(steps: &[BackupTransition], calls: &[Uuid]) -> Outcome {
    let places: Vec<_> = calls.iter().map(|id| steps.iter().position(|step| step.id == *id)).collect();
    let ascends = places.windows(2).all(|pair| pair[0] < pair[1]) && !places.contains(&None);
    ensure(ascends, "the calls of a session in the order of the steps", format_args!("{places:?}"))
}

async fn crashes<L: Lane>(bench: Bench<L>, order: CommitOrder) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life).await?;
    for times in 0..=life.len() {
        let group = format!("g{times}");
        let (secondary, before) = returning(&bench, &group, order, times).await?;
        let called = (times + 1).min(life.len());
        bench
            .until("the listener to be called as often as it returns, and once more", || {
                Calls::of(&before.begun).len() >= called
            })
            .await?;
        // A moment in which it could read on, apply, and commit what it must not.
        let _moment = bench.clock.nothing("nothing", std::future::pending::<()>()).await;
        secondary.kill().await?;
        let (before_begun, before) = (Calls::of(&before.begun), Calls::of(&before.returned));
        in_order(&life, &before_begun)?;

        let (secondary, after) = returning(&bench, &group, order, Semaphore::MAX_PERMITS).await?;
        secondary.synced().await?;
        secondary.is_in(life[life.len() - 1].to)?;
        // After its close every call that was due has returned.
        bench.clock.succeeds("closing a secondary", secondary.tracker.close()).await?;
        let after = Calls::of(&after.returned);
        in_order(&life, &after)?;

        let made: HashSet<Uuid> = before.iter().chain(&after).copied().collect();
        for (number, step) in life.iter().enumerate() {
            // The Ready for which a commit was made, and one that the next step overtook while listeners were busy.
            let may_be_lost = order == CommitOrder::CommitFirst && step.to == Ready;
            ensure(
                may_be_lost || made.contains(&step.id),
                format_args!("the call for step {number}, `{step}`, to be made, or made again"),
                format_args!(
                    "it was not: {} calls had returned, {} had begun, and the next session made {}",
                    before.len(),
                    before_begun.len(),
                    after.len()
                ),
            )?;
        }
    }
    Ok(())
}

async fn a_listener_that_hangs_holds_up_neither_state_nor_gate<L: Lane>(bench: Bench<L>) -> Outcome {
    const OPERATIONS: usize = 60;
    let begun = Arc::new(Notify::new());
    let hung = Arc::clone(&begun);
    let with = move |builder: SecondaryBuilder<L::Source>| builder.on_change_async(move |_, _| hang(&hung));
    let secondary = bench.secondary_with("g", with).await?;
    secondary.synced().await?;
    let ready = step(OWN, Starting, Ready);
    bench.announce(std::slice::from_ref(&ready)).await?;
    bench.clock.within("a call of the listener", bench.clock.patience, begun.notified()).await?;
    secondary.gate_opens().await?;
    let mut applied = 1;
    for _ in 0..2 {
        let mut pairs = [(Ready, BackingUp), (BackingUp, Ready)].into_iter().cycle();
        let mut steps = pairs.by_ref().map(|(from, to)| step(OWN, from, to));
        let most: Vec<_> = steps.by_ref().take(2 * OPERATIONS - 1).collect();
        bench.announce(&most).await?;
        applied += most.len() as u64;
        bench
            .until("every step to be applied, whatever the listener does", || {
                secondary.tracker.stats().applied == applied && secondary.tracker.state() == BackingUp
            })
            .await?;
        secondary.gate_is_shut()?;
        let last: Vec<_> = steps.take(1).collect();
        bench.announce(&last).await?;
        applied += 1;
        secondary.gate_opens().await?;
        secondary.is_in(Ready)?;
    }
    secondary.counted("gaps", 0, |stats| stats.gaps)
}
