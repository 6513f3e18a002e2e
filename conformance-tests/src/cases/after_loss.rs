//! T14, and what else a secondary makes of a log that was lost under it.

use backup_tracker::BackupState::{BackingUp, Ready};
use backup_tracker::BackupTransition;

use super::cases;
use crate::bench::{Bench, Outcome, ensure, failure};
use crate::harness::Lane;
use crate::scene::{LIFE, OWN, Secondary, noise, step};

cases! {
    after_a_loss_between_sessions_the_gate_is_shut_until_a_step: T14 S12, needs Trim;
    after_a_loss_in_a_live_session_the_gate_is_shut_until_a_step: T14 S12, needs RecreateLive TellsRecreated;
    steps_that_are_read_again_after_a_loss_are_applied_again: T14 T11 S12, needs RecreateLive TellsRecreated;
    each_loss_is_counted_and_none_is_taken_for_trouble: T14 T9 S12, needs RecreateLive TellsRecreated;
}

fn life() -> [BackupTransition; 6] {
    LIFE.map(|(from, to)| step(OWN, from, to))
}

async fn recreate<L: Lane>(bench: &Bench<L>) -> Outcome {
    bench.clock.succeeds("recreating the log", bench.lane.recreate()).await
}

async fn until_lost<L: Lane>(bench: &Bench<L>, secondary: &Secondary, times: u64) -> Outcome {
    bench.until("the loss to be counted", || secondary.tracker.stats().losses >= times).await
}

/// Nobody passes the gate while others speak; whoever waits passes once the own application has spoken.
async fn opens_at_a_step<L: Lane>(
    bench: &Bench<L>,
    secondary: &mut Secondary,
    ready: &BackupTransition,
) -> Outcome {
    secondary.gate_is_shut()?;
    let received = secondary.tracker.stats().received;
    bench.send(&noise(4)).await?;
    let read = received + 4;
    bench.until("others' events to be read", || secondary.tracker.stats().received >= read).await?;
    let gate = secondary.tracker.gate();
    let entered = async {
        let _permit = gate.enter().await;
    };
    if bench.clock.nothing("nobody to pass the gate before a step is known", entered).await.is_some() {
        return Err(failure("a gate that is shut until a step is known", "somebody passed it"));
    }
    bench.announce(std::slice::from_ref(ready)).await?;
    let change = secondary.told(ready).await?;
    ensure(change.missed, "the first step after the loss to say that something was missed", "it does not")?;
    secondary.gate_opens().await?;
    secondary.is_in(Ready)
}

async fn after_a_loss_between_sessions_the_gate_is_shut_until_a_step<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.kill().await?;
    // The beginning of an operation is lost, and nobody knows how it went on.
    bench.announce(&life[1..2]).await?;
    bench.clock.succeeds("trimming the log", bench.lane.trim()).await?;
    bench.send(&noise(3)).await?;
    let mut secondary = bench.secondary("g").await?;
    until_lost(&bench, &secondary, 1).await?;
    secondary.synced().await?;
    opens_at_a_step(&bench, &mut secondary, &life[2]).await
}

async fn after_a_loss_in_a_live_session_the_gate_is_shut_until_a_step<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.gate_opens().await?;
    recreate(&bench).await?;
    // So that there is something behind which the loss shows, on a transport that looks when something comes.
    bench.send(&noise(3)).await?;
    until_lost(&bench, &secondary, 1).await?;
    let read_again = || secondary.tracker.stats().other_application >= 3;
    bench.until("the new log to be read", read_again).await?;
    opens_at_a_step(&bench, &mut secondary, &life[2]).await
}

async fn steps_that_are_read_again_after_a_loss_are_applied_again<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    bench.announce(&life[..2]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&life[..2], true).await?;
    secondary.synced().await?;
    // The log comes back from a copy: the same steps, and the end of the operation, which was in no log before.
    for (losses, known) in [(1, 3), (2, 2)] {
        recreate(&bench).await?;
        bench.announce(&life[..known]).await?;
        until_lost(&bench, &secondary, losses).await?;
        for step in &life[..known] {
            secondary.told(step).await?;
        }
        secondary.is_in(life[known - 1].to)?;
        if life[known - 1].to == BackingUp {
            secondary.gate_is_shut()?;
        } else {
            secondary.gate_opens().await?;
        }
    }
    secondary.told_nothing().await?;
    secondary.counted("duplicates", 0, |stats| stats.duplicate)
}

async fn each_loss_is_counted_and_none_is_taken_for_trouble<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    for losses in 1..=3 {
        recreate(&bench).await?;
        // On a transport that looks when something comes, there has to be something.
        bench.send(&noise(1)).await?;
        until_lost(&bench, &secondary, losses).await?;
        let healthy = secondary.tracker.health_is(backup_tracker::Health::is_healthy);
        bench.clock.within("a healthy secondary", bench.clock.patience, healthy).await?;
        // Of a log from which nothing was read, nothing can be lost.
        let read = || secondary.tracker.stats().other_application >= losses;
        bench.until("others' events to be read", read).await?;
    }
    secondary.synced().await?;
    secondary.gate_is_shut()?;
    secondary.counted("losses", 3, |stats| stats.losses)?;
    bench.announce(&life[2..3]).await?;
    secondary.told(&life[2]).await?;
    secondary.gate_opens().await
}
