//! S12: a log that lost its newest records, and whose new ones have taken their places.

use backup_tracker::{ErrorKind, Event, EventSource};

use super::cases;
use crate::bench::{Bench, Outcome, PAUSE, describe, failure};
use crate::harness::Lane;
use crate::oracle::{Oracle, events, show};
use crate::reader::Reader;

cases! {
    a_log_that_lost_its_end_between_sessions_and_grew_past_the_position_says_so_once: S12, needs Truncate;
    a_log_that_loses_its_end_under_a_live_session_and_grows_past_its_place_says_so_once: S12, needs Truncate;
    an_end_that_is_lost_behind_the_position_goes_unnoticed: S12 S3, needs Truncate;
}

async fn truncate<L: Lane>(bench: &Bench<L>, count: usize) -> Outcome {
    bench.clock.succeeds("truncating the log", bench.lane.truncate(count)).await
}

/// `Lost`, once, and then these events, which are all there is.
async fn lost_then<L: Lane>(bench: &Bench<L>, reader: &mut Reader<L::Source>, left: &[Event]) -> Outcome {
    let expected = "an error of kind Lost, because the record at the position is gone";
    let reading = async {
        loop {
            match reader.source.next().await {
                Err(error) if error.kind() == ErrorKind::Lost => return Ok(()),
                Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(failure(expected, describe(&error))),
                Ok(Some(record)) => return Err(failure(expected, show(&record))),
                Ok(None) => return Err(failure(expected, "`next` returned None: the source ended")),
            }
        }
    };
    bench.clock.within(expected, bench.clock.contact, reading).await??;
    reader.resumed(false)?;
    let mut oracle = Oracle::new(left);
    while oracle.missing() > 0 {
        oracle.check(&reader.next_at_last().await?)?;
    }
    reader.nothing().await?;
    reader.commit_at_last().await
}

async fn a_log_that_lost_its_end_between_sessions_and_grew_past_the_position_says_so_once<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let (older, newer) = (events(&["shop"], 6), events(&["shop"], 6));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&older[..5]).await?;
    reader.commit().await?;
    drop(reader);
    truncate(&bench, 3).await?;
    bench.send(&newer).await?;
    let mut reader = bench.reader("g").await?;
    lost_then(&bench, &mut reader, &[&older[..3], &newer].concat()).await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.nothing().await
}

async fn a_log_that_loses_its_end_under_a_live_session_and_grows_past_its_place_says_so_once<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let (older, newer) = (events(&["shop"], 6), events(&["shop"], 6));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&older).await?;
    truncate(&bench, 3).await?;
    bench.send(&newer).await?;
    lost_then(&bench, &mut reader, &[&older[..3], &newer].concat()).await
}

async fn an_end_that_is_lost_behind_the_position_goes_unnoticed<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&["shop"], 6), events(&["shop"], 6));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&older[..3]).await?;
    reader.commit().await?;
    drop(reader);
    truncate(&bench, 3).await?;
    bench.send(&newer).await?;
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.expect_only(&newer).await?;
    reader.resumed(true)
}
