//! F1: an end names its operation, and ends no other.

use backup_tracker::BackupState::{BackingUp, Ready, Starting};

use super::cases;
use crate::bench::{Bench, Outcome};
use crate::harness::Lane;
use crate::scene::{OWN, step};

cases! {
    an_end_that_comes_late_ends_nobody_elses_operation: F1;
    an_end_that_names_no_operation_ends_whatever_runs: F1;
}

async fn an_end_that_comes_late_ends_nobody_elses_operation<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut secondary = bench.live_secondary("g").await?;
    let first = step(OWN, Ready, BackingUp);
    // A successor takes over, begins a backup of its own, and then the end of the first one comes at last.
    let taken_over = step(OWN, Starting, Ready);
    let second = step(OWN, Ready, BackingUp);
    let late = step(OWN, BackingUp, Ready).ending(first.id);
    let end = step(OWN, BackingUp, Ready).ending(second.id);
    let before = [first, taken_over, second];
    bench.announce(&before).await?;
    secondary.told_all(&before, false).await?;
    bench.announce(std::slice::from_ref(&late)).await?;
    bench.until("the late end to be read", || secondary.tracker.stats().other_operation == 1).await?;
    secondary.is_in(BackingUp)?;
    secondary.gate_is_shut()?;
    secondary.told_nothing().await?;
    // Also for a session that begins here.
    secondary.kill().await?;
    let mut secondary = bench.live_secondary("g").await?;
    secondary.is_in(BackingUp)?;
    secondary.gate_is_shut()?;
    secondary.told(&before[2]).await?;
    bench.announce(std::slice::from_ref(&end)).await?;
    secondary.told(&end).await?;
    secondary.gate_opens().await
}

async fn an_end_that_names_no_operation_ends_whatever_runs<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut secondary = bench.live_secondary("g").await?;
    let steps = [step(OWN, Ready, BackingUp), step(OWN, BackingUp, Ready)];
    bench.announce(&steps).await?;
    secondary.told_all(&steps, false).await?;
    secondary.gate_opens().await
}
