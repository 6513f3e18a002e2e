//! T9, T13: what a secondary shows and does while it cannot reach the broker, and that it finds back by itself.

use std::time::{Duration, SystemTime};

use backup_tracker::BackupState::Ready;
use backup_tracker::Health;

use super::cases;
use crate::bench::{Bench, Outcome, ensure, equal, transient};
use crate::harness::{Fault, Lane};
use crate::scene::{LIFE, OWN, step};

cases! {
    an_outage_shows_in_health_and_passes = shows(Fault::Cut): T9 S10, needs Cut;
    the_brokers_death_shows_in_health_and_passes = shows(Fault::Kill): T9 S10, needs Kill;
    a_broker_that_is_stopped_shows_in_health_and_passes = shows(Fault::Stop): T9 S10 S14, needs Stop;
    in_silence_the_gate_shuts_if_asked_to_and_opens_when_contact_is_back: T13 S10, needs Cut;
}

/// The attempts in a row, and since when.
fn trouble(health: &Health) -> Option<(u32, SystemTime)> {
    match health {
        Health::Troubled { attempts, since, .. } => Some((*attempts, *since)),
        _ => None,
    }
}

async fn shows<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.gate_opens().await?;
    bench.gone(fault).await?;

    let patience = bench.clock.patience;
    let first = secondary.tracker.health_is(|health| !health.is_healthy());
    let first = bench.clock.within("trouble, the broker being gone", patience, first).await?;
    if let Some(error) = first.error() {
        transient(error)?;
    }
    let begun = trouble(&first);
    ensure(begun.is_some(), "to be troubled", &first)?;
    let begun = begun.unwrap_or((0, SystemTime::UNIX_EPOCH));
    let more =
        secondary.tracker.health_is(|health| trouble(health).is_none_or(|(more, _)| more > begun.0 + 1));
    let more = bench.clock.within("more attempts, the broker being gone", patience, more).await?;
    let since = trouble(&more).map(|(_, since)| since);
    equal("since when it is in trouble, after more attempts", &Some(begun.1), &since)?;
    // It does not know more than before, and nothing else has changed.
    secondary.is_in(Ready)?;
    equal("whether the gate is open", &true, &secondary.tracker.gate().is_open())?;
    secondary.told_nothing().await?;

    bench.heal().await?;
    let healthy = secondary.tracker.health_is(Health::is_healthy);
    bench.clock.within("a healthy secondary, although nothing is sent", patience, healthy).await?;
    secondary.is_in(Ready)?;
    equal("whether the gate is open", &true, &secondary.tracker.gate().is_open())?;
    bench.announce(&life[1..2]).await?;
    secondary.told_all(&life[1..2], false).await?;
    secondary.gate_is_shut()?;
    secondary.counted("losses", 0, |stats| stats.losses)
}

async fn in_silence_the_gate_shuts_if_asked_to_and_opens_when_contact_is_back<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let soon = Duration::from_millis(20);
    let mut secondary = bench.secondary_with("g", |builder| builder.shut_gate_after_silence(soon)).await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.gate_opens().await?;
    bench.gone(Fault::Cut).await?;
    let gate = secondary.tracker.gate();
    bench.clock.within("the gate to shut in silence", bench.clock.patience, gate.shut()).await?;
    secondary.is_in(Ready)?;
    bench.heal().await?;
    secondary.gate_opens().await?;
    secondary.is_in(Ready)
}
