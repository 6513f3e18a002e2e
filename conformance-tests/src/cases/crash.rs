//! T2 and T3, with a secondary that dies at any moment, and not at the moments that somebody thought of.

use backup_tracker::BackupState::{Ready, Starting};
use backup_tracker::{BackupTransition, CommitOrder, SecondaryBuilder};
use tokio::sync::mpsc;

use super::cases;
use crate::bench::{Bench, Outcome, ensure, failure};
use crate::harness::Lane;
use crate::scene::{LIFE, OWN, Secondary, event, noise, step};

cases! {
    wherever_a_secondary_dies_the_position_is_right_behind_a_ready = dies(CommitOrder::CommitFirst): T3 S7;
    wherever_a_secondary_dies_no_step_is_missed_with_listeners_first = dies(CommitOrder::ListenersFirst): T2 T3 S7;
}

/// How many times it dies.
const DEATHS: usize = 24;

async fn dies<L: Lane>(bench: Bench<L>, order: CommitOrder) -> Outcome {
    // From Starting to Ready, and then one operation after the other.
    let pairs = LIFE[..1].iter().chain(LIFE[1..5].iter().cycle());
    let mut coming = pairs.map(|(from, to)| step(OWN, *from, *to));
    let mut steps = Vec::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut reached = 0;
    // One for all of them: opening a sink may take a broker longer than everything else here.
    let mut writer = bench.writer().await?;
    for death in 0..DEATHS {
        let part: Vec<_> = coming.by_ref().take(1 + death % 4).collect();
        let announcing = async {
            for step in &part {
                let mut events = noise(2);
                events.push(event(step));
                writer.send_all(&events).await?;
            }
            Ok(())
        };
        let dying = async {
            let mut secondary = telling(&bench, order, tell.clone()).await?;
            // After so many calls of its listener and a little.
            for _ in 0..death % 3 {
                let _moment = bench.clock.nothing("a call of the listener", secondary.change()).await;
            }
            for _ in 0..death % 7 {
                tokio::task::yield_now().await;
            }
            secondary.kill().await
        };
        tokio::try_join!(announcing, dying)?;
        steps.extend(part);
        let position = bench.position("g", &steps).await?.unwrap_or(steps.len());
        ensure(
            position == 0 || steps[position - 1].to == Ready,
            "a position right behind a step to Ready",
            format_args!("it is behind step {position} of {}", steps.len()),
        )?;
        ensure(
            position >= reached,
            format_args!("a position at step {reached} or later"),
            format_args!("it went back to step {position}"),
        )?;
        reached = position;
    }
    // The last one lives on, to the end of the log.
    let last = telling(&bench, order, tell).await?;
    last.synced().await?;
    last.is_in(steps.last().map_or(Starting, |step| step.to))?;
    bench.clock.succeeds("closing a secondary", last.tracker.close()).await?;
    last.kill().await?;
    if order == CommitOrder::ListenersFirst {
        all_told(&steps, &mut told).await?;
    }
    Ok(())
}

/// A secondary whose listener tells of each step, and takes a moment, so that there is one in which to die.
async fn telling<L: Lane>(
    bench: &Bench<L>,
    order: CommitOrder,
    tell: mpsc::UnboundedSender<BackupTransition>,
) -> Outcome<Secondary> {
    let with = |builder: SecondaryBuilder<L::Source>| {
        builder.commit_order(order).on_change_async(move |change, _| {
            let tell = tell.clone();
            async move {
                tokio::task::yield_now().await;
                drop(tell.send(change.transition));
                tokio::task::yield_now().await;
            }
        })
    };
    bench.secondary_with("g", with).await
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
