//! S12: a log that was trimmed or recreated under the position.

use backup_tracker::{ErrorKind, Event};

use super::cases;
use crate::bench::{Bench, Outcome, describe, failure};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, Oracle, events, show};
use crate::reader::Reader;

cases! {
    a_log_trimmed_between_sessions_says_so_once_and_begins_at_the_earliest: S12, needs Trim;
    a_log_trimmed_under_a_live_session_says_so_once_unless_it_lost_nothing: S12, needs Trim;
    a_trim_of_nothing_but_committed_records_goes_unnoticed: S12 S3, needs Trim;
    a_recreated_log_that_is_shorter_than_the_position_says_so_once: S12, needs Recreate;
    a_recreated_log_that_is_longer_than_the_position_says_so_once: S12, needs Recreate TellsRecreated;
}

/// The session says `Lost`, once, and goes on with these events, which are all there is.
async fn lost_then<L: Lane>(bench: &Bench<L>, mut reader: Reader<L::Source>, newer: &[Event]) -> Outcome {
    let expected = "an error of kind Lost, because records before the position's successor are gone";
    match reader.answer().await? {
        Err(error) if error.kind() == ErrorKind::Lost => {}
        Err(error) => return Err(failure(expected, describe(&error))),
        Ok(Some(record)) => return Err(failure(expected, show(&record))),
        Ok(None) => return Err(failure(expected, "`next` returned None: the source ended")),
    }
    reader.resumed(false)?;
    reader.expect_only(newer).await?;
    reader.resumed(false)?;
    // From here on it is a session like any other.
    reader.commit().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.nothing().await
}

async fn trim<L: Lane>(bench: &Bench<L>) -> Outcome {
    bench.clock.succeeds("trimming the log", bench.lane.trim()).await
}

async fn recreate<L: Lane>(bench: &Bench<L>) -> Outcome {
    let recreating = bench.lane.recreate();
    bench.clock.succeeds("recreating the log", recreating).await
}

/// One application, so that all of it is one partition: with several, a position may be at the end of one and before the
/// end of another.
async fn committed_in_the_middle<L: Lane>(bench: &Bench<L>) -> Outcome {
    let older = events(&["shop"], 6);
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.take(&older, 4).await?;
    reader.commit().await
}

async fn a_log_trimmed_between_sessions_says_so_once_and_begins_at_the_earliest<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    committed_in_the_middle(&bench).await?;
    trim(&bench).await?;
    let newer = events(&["shop"], 3);
    bench.send(&newer).await?;
    let reader = bench.reader("g").await?;
    lost_then(&bench, reader, &newer).await
}

async fn a_log_trimmed_under_a_live_session_says_so_once_unless_it_lost_nothing<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let (older, newer) = (events(&["shop"], 200), events(&["shop"], 3));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&older, 2).await?;
    trim(&bench).await?;
    bench.send(&newer).await?;
    // What was fetched before the trim may still come, in order. When not all of it does, the session must say so.
    let mut oracle = Oracle::new(&left);
    let mut said = false;
    let first = loop {
        match reader.answer().await? {
            Ok(Some(record)) if record.key == Some(newer[0].key) => break record,
            Ok(Some(record)) if !said => oracle.check(&record)?,
            Err(error) if error.kind() == ErrorKind::Lost && !said => said = true,
            Ok(Some(record)) => return Err(failure("the newer events after Lost", show(&record))),
            Ok(None) => return Err(failure("the newer events", "`next` returned None")),
            Err(error) => return Err(failure("Lost, once at most", describe(&error))),
        }
    };
    if oracle.missing() > 0 && !said {
        let seen = format!("{} without Lost ({})", show(&first), oracle.progress());
        return Err(failure("an error of kind Lost before newer events", seen));
    }
    reader.expect_only(&newer[1..]).await
}

async fn a_trim_of_nothing_but_committed_records_goes_unnoticed<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&APPLICATIONS, 10), events(&APPLICATIONS, 10));
    bench.send(&older).await?;
    let mut live = bench.reader("live").await?;
    live.expect(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&older).await?;
    reader.commit().await?;
    drop(reader);
    trim(&bench).await?;
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    bench.send(&newer).await?;
    reader.expect_only(&newer).await?;
    reader.resumed(true)?;
    live.expect_only(&newer).await
}

async fn a_recreated_log_that_is_shorter_than_the_position_says_so_once<L: Lane>(bench: Bench<L>) -> Outcome {
    committed_in_the_middle(&bench).await?;
    recreate(&bench).await?;
    let newer = events(&["shop"], 2);
    bench.send(&newer).await?;
    let reader = bench.reader("g").await?;
    lost_then(&bench, reader, &newer).await
}

async fn a_recreated_log_that_is_longer_than_the_position_says_so_once<L: Lane>(bench: Bench<L>) -> Outcome {
    committed_in_the_middle(&bench).await?;
    recreate(&bench).await?;
    let newer = events(&["shop"], 9);
    bench.send(&newer).await?;
    let reader = bench.reader("g").await?;
    lost_then(&bench, reader, &newer).await
}
