//! S12, for live sessions: a log that is recreated under one, and what `commit` and `remaining` make of what is gone.

use backup_tracker::{ErrorKind, Event, EventSource};

use super::cases;
use crate::bench::{Bench, Outcome, PAUSE, describe, failure};
use crate::harness::Lane;
use crate::oracle::{Oracle, events, show};
use crate::reader::Reader;

cases! {
    a_log_recreated_under_a_live_session_says_so_once = says_so_once(2): S12, needs RecreateLive;
    a_log_recreated_under_a_live_session_and_longer_than_its_place_says_so_once = says_so_once(9): S12, needs RecreateLive TellsRecreated;
    a_log_recreated_while_a_session_waits_says_so_once: S12 S10, needs RecreateLive TellsRecreated;
    a_commit_after_a_recreation_moves_nothing_in_the_new_log: S12 S4, needs RecreateLive;
    commit_and_remaining_never_say_that_a_log_was_trimmed = never_lost(false): S12, needs Trim;
    commit_and_remaining_never_say_that_a_log_was_recreated = never_lost(true): S12, needs RecreateLive;
}

async fn recreate<L: Lane>(bench: &Bench<L>) -> Outcome {
    bench.clock.succeeds("recreating the log", bench.lane.recreate()).await
}

/// Reads on to the newer events, all of them, from their beginning. What was fetched of the older ones may still come before
/// `Lost`, which may be said once. Whether it was.
async fn read_on<S: EventSource>(reader: &mut Reader<S>, left: &[Event], newer: &[Event]) -> Outcome<bool> {
    let (mut older, mut newer) = (Oracle::new(left), Oracle::new(newer));
    let (mut said, mut begun) = (false, false);
    while newer.missing() > 0 {
        match reader.answer().await? {
            Ok(Some(record)) if !begun && !said && record.key.is_some_and(|key| knows(left, key)) => {
                older.check(&record)?;
            }
            Ok(Some(record)) => {
                newer.check(&record)?;
                begun = true;
            }
            Err(error) if error.kind() == ErrorKind::Lost && !said && !begun => said = true,
            Ok(None) => return Err(failure("the newer events", "`next` returned None: the source ended")),
            Err(error) => {
                return Err(failure("Lost, once and before the newer events", describe(&error)));
            }
        }
    }
    Ok(said)
}

fn knows(events: &[Event], key: uuid::Uuid) -> bool {
    events.iter().any(|event| event.key == key)
}

async fn says_so_once<L: Lane>(bench: Bench<L>, count: usize) -> Outcome {
    let (older, newer) = (events(&["shop"], 6), events(&["shop"], count));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&older, 4).await?;
    reader.commit().await?;
    recreate(&bench).await?;
    bench.send(&newer).await?;
    if !read_on(&mut reader, &left, &newer).await? {
        let expected = "an error of kind Lost before the events of the new log";
        return Err(failure(expected, "they came without it"));
    }
    reader.nothing().await?;
    reader.resumed(false)?;
    // From here on it is a session like any other.
    reader.commit().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.nothing().await
}

async fn a_log_recreated_while_a_session_waits_says_so_once<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&["shop"], 6), events(&["shop"], 9));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&older).await?;
    reader.commit().await?;
    let disturbing = async {
        recreate(&bench).await?;
        bench.send(&newer).await
    };
    // As a tracker does: it waits all the time, and asks again when the log is away for a moment.
    let source = &mut reader.source;
    let reading = async {
        let expected = "an error of kind Lost, after errors that pass at most";
        loop {
            match source.next().await {
                Err(error) if error.kind() == ErrorKind::Lost => return Ok(()),
                Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(failure(expected, describe(&error))),
                Ok(Some(record)) => return Err(failure(expected, show(&record))),
                Ok(None) => return Err(failure(expected, "`next` returned None: the source ended")),
            }
        }
    };
    let reading = bench.clock.within("Lost, the log being recreated", bench.clock.patience * 2, reading);
    let (disturbed, read) = tokio::join!(disturbing, reading);
    disturbed?;
    read??;
    reader.resumed(false)?;
    let mut oracle = Oracle::new(&newer);
    while oracle.missing() > 0 {
        oracle.check(&reader.next_at_last().await?)?;
    }
    reader.nothing().await
}

async fn a_commit_after_a_recreation_moves_nothing_in_the_new_log<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&["shop"], 6), events(&["shop"], 9));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.take(&older, 4).await?;
    recreate(&bench).await?;
    bench.send(&newer).await?;
    // It has not read on, so it cannot know what is there now.
    reader.commit().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    let _may_say_so = read_on(&mut reader, &[], &newer).await?;
    reader.nothing().await
}

async fn never_lost<L: Lane>(bench: Bench<L>, recreated: bool) -> Outcome {
    let (older, newer) = (events(&["shop"], 40), events(&["shop"], 3));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&older, 2).await?;
    if recreated {
        recreate(&bench).await?;
    } else {
        bench.clock.succeeds("trimming the log", bench.lane.trim()).await?;
    }
    for _ in 0..2 {
        reader.commit().await?;
        reader.remaining().await?;
    }
    bench.send(&newer).await?;
    reader.remaining().await?;
    reader.commit().await?;
    read_on(&mut reader, &left, &newer).await?;
    reader.remaining().await?;
    reader.commit().await
}
