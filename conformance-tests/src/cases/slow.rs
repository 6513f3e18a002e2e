//! S6, where records take a while to come, so that a `next` is also dropped when it has one in hand.

use std::time::Duration;

use backup_tracker::EventSource;
use tokio::time::{Instant, timeout};

use super::cases;
use crate::bench::{Bench, Outcome, describe, ensure, failure};
use crate::harness::{DELAY, Fault, Lane};
use crate::oracle::{APPLICATIONS, Oracle, events};

cases! {
    cancelling_next_on_a_slow_broker_loses_and_repeats_nothing: S6 S2, needs Delay;
}

async fn cancelling_next_on_a_slow_broker_loses_and_repeats_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 40);
    let (before, after) = events.split_at(20);
    let mut writer = bench.writer().await?;
    writer.send_all(before).await?;
    let (mut reader, mut probe) = (bench.reader("g").await?, bench.reader("probe").await?);
    bench.clock.succeeds("inflicting a delay", bench.lane.inflict(Fault::Delay)).await?;
    // The fault is real: what has to be confirmed takes as long.
    probe.next().await?;
    let begin = Instant::now();
    probe.commit().await?;
    let took = begin.elapsed();
    ensure(took >= DELAY, format_args!("a commit to take {DELAY:?} or longer"), format_args!("{took:?}"))?;

    let mut oracle = Oracle::new(&events);
    let reading = async {
        for attempt in 0..150 {
            if oracle.missing() == 0 {
                break;
            }
            // Dropped at any moment of the way, from at once to long after.
            let bound = Duration::from_millis(attempt % 50);
            match timeout(bound, reader.source.next()).await {
                Err(_) => {}
                Ok(Ok(Some(record))) => oracle.check(&record)?,
                Ok(Ok(None)) => return Err(failure("a record or nothing yet", "`next` returned None")),
                Ok(Err(error)) => return Err(failure("a record or nothing yet", describe(&error))),
            }
        }
        Ok(())
    };
    let (sent, read) = tokio::join!(writer.send_all(after), reading);
    sent.and(read)?;
    bench.heal().await?;
    reader.expect_only(&oracle.left()).await
}
