//! What remains: after an outage, after a loss, and when the counting is cancelled (S6, S10, S12, T10).

use backup_tracker::{ErrorKind, EventSource};

use super::cases;
use crate::bench::{Bench, Outcome, describe, ensure, equal, failure, transient};
use crate::harness::{Fault, Lane};
use crate::oracle::{APPLICATIONS, Oracle, events};
use crate::reader::poll_times;
use crate::scene::{LIFE, OWN, event, noise, step};

cases! {
    cancelling_remaining_moves_nothing: S6;
    remaining_is_never_too_few_after_an_outage: S10 S15, needs Cut;
    remaining_is_never_too_few_after_a_loss: S12 S15, needs Trim;
    a_secondary_that_opened_into_an_outage_is_synced_when_all_is_applied: T10 T9, needs Cut;
    a_secondary_whose_position_is_lost_is_synced_when_all_is_applied: T10 S12, needs Trim;
}

async fn cancelling_remaining_moves_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 60);
    let (before, after) = events.split_at(40);
    let mut writer = bench.writer().await?;
    writer.send_all(before).await?;
    let mut reader = bench.reader("g").await?;
    let mut oracle = Oracle::new(&events);
    let counting = async {
        for attempt in 0..90 {
            // A count that came in time is right, like any other.
            if let Some(counted) = poll_times(reader.source.remaining(), attempt % 9).await {
                let counted = counted.map_err(|error| failure("a count", describe(&error)))?.total();
                let least = oracle.missing().saturating_sub(after.len()) as u64;
                ensure(counted >= least, format_args!("at least {least} to remain"), counted)?;
            }
            if attempt % 3 == 0 && oracle.missing() > after.len() {
                oracle.check(&reader.next().await?)?;
            }
        }
        Ok(())
    };
    let (sent, counted) = tokio::join!(writer.send_all(after), counting);
    sent.and(counted)?;
    let (remaining, missing) = (reader.remaining().await?, oracle.missing() as u64);
    ensure(remaining >= missing, format_args!("at least {missing} to remain"), remaining)?;
    reader.expect_only(&oracle.left()).await?;
    equal("what remains at the end", &0, &reader.remaining().await?)
}

async fn remaining_is_never_too_few_after_an_outage<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 30);
    let (before, after) = events.split_at(20);
    bench.send(before).await?;
    let mut reader = bench.reader("g").await?;
    let mut oracle = Oracle::new(&events);
    for _ in 0..5 {
        oracle.check(&reader.next().await?)?;
    }
    bench.gone(Fault::Cut).await?;
    let expected = "no count, or one that is not too small, while the broker is gone";
    match bench.clock.nothing(expected, reader.source.remaining()).await {
        Some(Err(error)) => transient(&error)?,
        Some(Ok(counts)) => ensure(counts.total() >= 15, expected, counts.total())?,
        None => {}
    }
    while let Some(Ok(Some(record))) = bench.clock.nothing("nothing more", reader.source.next()).await {
        oracle.check(&record)?;
    }
    bench.heal().await?;
    let mut writer = bench.writer().await?;
    for event in after {
        writer.send_at_last(event).await?;
    }
    while oracle.missing() > 0 {
        let (remaining, missing) = (reader.remaining_at_last().await?.total(), oracle.missing() as u64);
        ensure(remaining >= missing, format_args!("at least {missing} to remain"), remaining)?;
        oracle.check(&reader.next_at_last().await?)?;
    }
    reader.nothing().await?;
    equal("what remains at the end", &0, &reader.remaining_at_last().await?.total())
}

async fn remaining_is_never_too_few_after_a_loss<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&["shop"], 6), events(&["shop"], 5));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.take(&older, 4).await?;
    reader.commit().await?;
    drop(reader);
    bench.clock.succeeds("trimming the log", bench.lane.trim()).await?;
    bench.send(&newer).await?;
    let mut reader = bench.reader("g").await?;
    let least = newer.len() as u64;
    let remaining = reader.remaining().await?;
    ensure(remaining >= least, format_args!("at least {least} to remain before Lost"), remaining)?;
    match reader.answer().await? {
        Err(error) if error.kind() == ErrorKind::Lost => {}
        other => return Err(failure("an error of kind Lost", format_args!("{other:?}"))),
    }
    let mut oracle = Oracle::new(&newer);
    while oracle.missing() > 0 {
        let (remaining, missing) = (reader.remaining().await?, oracle.missing() as u64);
        ensure(remaining >= missing, format_args!("at least {missing} to remain after Lost"), remaining)?;
        oracle.check(&reader.next().await?)?;
    }
    reader.nothing().await?;
    equal("what remains at the end", &0, &reader.remaining().await?)
}

async fn a_secondary_that_opened_into_an_outage_is_synced_when_all_is_applied<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.kill().await?;
    bench.send(&noise(3)).await?;
    bench.announce(&life[1..2]).await?;
    let source = bench.reader("g").await?.source;
    bench.gone(Fault::Cut).await?;
    let mut secondary = bench.secondary_of(source, |builder| builder)?;
    let troubled = secondary.tracker.health_is(|health| !health.is_healthy());
    bench.clock.within("trouble while the broker is gone", bench.clock.patience, troubled).await?;
    bench.heal().await?;
    // Whether a step is of the backlog is known from the count.
    secondary.told_all(&life[1..2], true).await?;
    secondary.synced().await?;
    secondary.gate_is_shut()
}

async fn a_secondary_whose_position_is_lost_is_synced_when_all_is_applied<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.kill().await?;
    // Something that the position still had ahead, wherever it is.
    bench.announce(&life[1..3]).await?;
    bench.clock.succeeds("trimming the log", bench.lane.trim()).await?;
    let mut writer = bench.writer().await?;
    writer.send_all(&noise(3)).await?;
    writer.send(&event(&life[3])).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&life[3..4], true).await?;
    secondary.synced().await?;
    secondary.is_in(life[3].to)?;
    secondary.gate_is_shut()?;
    secondary.counted("losses", 1, |stats| stats.losses)
}
