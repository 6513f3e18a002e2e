//! T2 and T3, with a secondary that dies at any moment, and not at the moments that somebody thought of.

use backup_tracker::BackupState::Ready;
use backup_tracker::{BackupTransition, CommitOrder};
use tokio::sync::mpsc;

use super::cases;
use crate::bench::{Bench, Outcome, ensure, failure};
use crate::harness::Lane;
use crate::scene::{LIFE, OWN, event, noise, step};

cases! {
    wherever_a_secondary_dies_the_position_is_right_behind_a_ready = dies(CommitOrder::CommitFirst): T3 S7;
}

/// How many times it dies.
const DEATHS: u32 = 24;

async fn dies<L: Lane>(bench: Bench<L>, order: CommitOrder) -> Outcome {
    // From Starting to Ready, and then some operations.
    let pairs = LIFE[..1].iter().chain(LIFE[1..5].iter().cycle().take(32));
    let steps: Vec<_> = pairs.map(|(from, to)| step(OWN, *from, *to)).collect();
    for step in &steps {
        let mut events = noise(3);
        events.push(event(step));
        bench.send(&events).await?;
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut reached = 0;
    for death in 0..=DEATHS {
        let tell = tell.clone();
        let mut secondary = bench
            .secondary_with("g", |builder| {
                builder.commit_order(order).on_change_async(move |change, _| {
                    let tell = tell.clone();
                    async move {
                        // A listener that takes a moment, so that there is one in which to die.
                        tokio::task::yield_now().await;
                        drop(tell.send(change.transition));
                        tokio::task::yield_now().await;
                    }
                })
            })
            .await?;
        if death == DEATHS {
            // The last one lives on, to the end of the log.
            secondary.synced().await?;
            secondary.is_in(Ready)?;
            bench.clock.succeeds("closing a secondary", secondary.tracker.close()).await?;
            break;
        }
        // After so many calls of its listener and a little, so that it gets somewhere, but not far.
        for _ in 0..death % 3 {
            let _moment = bench.clock.nothing("a call of the listener", secondary.change()).await;
        }
        for _ in 0..death % 7 {
            tokio::task::yield_now().await;
        }
        secondary.kill().await?;
        let position = bench.position("g", &steps).await?.unwrap_or(steps.len());
        ensure(
            position == 0 || steps[position - 1].to == Ready,
            "a position right behind a step to Ready",
            format_args!("it is behind step {position}, `{}`", steps[position.saturating_sub(1)]),
        )?;
        ensure(
            position >= reached,
            format_args!("a position at step {reached} or later"),
            format_args!("it went back to step {position}"),
        )?;
        reached = position;
    }
    drop(tell);
    if order == CommitOrder::ListenersFirst {
        all_told(&steps, &mut told).await?;
    }
    Ok(())
}

/// Each step was told of by some session, and the first times are in order.
async fn all_told(
    steps: &[BackupTransition],
    told: &mut mpsc::UnboundedReceiver<BackupTransition>,
) -> Outcome {
    let mut expected = steps;
    let mut before = Vec::new();
    while let Some(step) = told.recv().await {
        if before.contains(&step.id) {
            continue;
        }
        match expected {
            [next, rest @ ..] if *next == step => expected = rest,
            [next, ..] => {
                return Err(failure(
                    format_args!("`{next}` ({})", next.id),
                    format_args!("`{step}` ({})", step.id),
                ));
            }
            [] => return Err(failure("nothing more", format_args!("`{step}` ({})", step.id))),
        }
        before.push(step.id);
    }
    match expected {
        [] => Ok(()),
        [missed, ..] => {
            Err(failure("every step to be told of", format_args!("not `{missed}` ({})", missed.id)))
        }
    }
}
