//! S7, S10 and S11: how a session ends, how long and how much it bears, and foreign records.

use super::cases;
use backup_tracker::StartAt;

use crate::bench::{Bench, Outcome, describe, ensure, equal, failure};
use crate::harness::{Lane, RawRecord};
use crate::oracle::{APPLICATIONS, events, show};

cases! {
    dropping_a_session_commits_nothing_and_is_prompt: S7 S3;
    closing_a_session_commits_nothing_and_is_prompt: S7 S3;
    a_session_that_waits_can_be_dropped_promptly: S7 S6;
    remaining_is_never_too_few_and_comes_down_to_zero: T10;
    an_event_after_a_long_idle_comes: S10;
    a_source_ends_only_when_the_log_does: S10, needs End;
    twelve_hundred_uncommitted_events_stall_nothing: S11 S3;
    foreign_records_come_as_records_and_stop_nothing: T6, needs Raw;
    a_record_without_a_value_comes_as_one_and_stops_nothing: T6, needs Raw Tombstones;
}

async fn dropping_a_session_commits_nothing_and_is_prompt<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    bench.send(&events).await?;
    for read in [1, 10, 10] {
        let mut reader = bench.reader("g").await?;
        reader.take(&events, read).await?;
        bench.drop_promptly("dropping a source", reader.source).await?;
    }
    let mut reader = bench.reader("g").await?;
    reader.resumed(false)?;
    let left = reader.take(&events, 4).await?;
    reader.commit().await?;
    // Nor what was read after a commit.
    reader.take(&left, 3).await?;
    bench.drop_promptly("dropping a source", reader.source).await?;
    bench.reader("g").await?.expect_only(&left).await
}

async fn closing_a_session_commits_nothing_and_is_prompt<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&events).await?;
    closed(reader.close().await?)?;
    let mut reader = bench.reader("g").await?;
    reader.resumed(false)?;
    let left = reader.take(&events, 4).await?;
    reader.commit().await?;
    reader.take(&left, 3).await?;
    closed(reader.close().await?)?;
    bench.reader("g").await?.expect_only(&left).await
}

fn closed(result: backup_tracker::Result<()>) -> Outcome {
    result.map_err(|error| failure("closing a source succeeds", describe(&error)))
}

async fn a_session_that_waits_can_be_dropped_promptly<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 5);
    let mut reader = bench.reader("g").await?;
    reader.nothing().await?;
    bench.drop_promptly("dropping a source", reader.source).await?;
    let mut reader = bench.reader("g").await?;
    reader.nothing().await?;
    closed(reader.close().await?)?;
    bench.send(&events).await?;
    bench.reader("g").await?.expect_only(&events).await
}

async fn remaining_is_never_too_few_and_comes_down_to_zero<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 20);
    let mut reader = bench.reader("g").await?;
    equal("what remains in an empty log", &0, &reader.remaining().await?)?;
    bench.send(&events).await?;
    let mut left = events;
    while !left.is_empty() {
        let (remaining, at_least) = (reader.remaining().await?, left.len() as u64);
        ensure(remaining >= at_least, format_args!("at least {at_least} to remain"), remaining)?;
        left = reader.take(&left, 1).await?;
        if left.len() == 10 {
            // A new session counts from its own position.
            reader.commit().await?;
            reader = bench.reader("g").await?;
        }
    }
    reader.nothing().await?;
    equal("what remains at the end", &0, &reader.remaining().await?)?;
    let mut latest = bench.reader_from("latest", StartAt::Latest).await?;
    latest.nothing().await?;
    equal("what remains at latest", &0, &latest.remaining().await?)
}

async fn an_event_after_a_long_idle_comes<L: Lane>(bench: Bench<L>) -> Outcome {
    let (mut writer, mut waiting) = (bench.writer().await?, bench.reader("waiting").await?);
    let mut idle = bench.reader("idle").await?;
    for round in 0..2 {
        let events = events(&APPLICATIONS, 3);
        // One source waits in `next` all the time; the other one is left alone.
        let idling = bench.profile.idle();
        match tokio::time::timeout(idling, waiting.next_unbounded()).await {
            Err(_) => {}
            Ok(answer) => {
                let expected = format!("nothing while it idles for {idling:?}");
                return Err(match answer? {
                    Some(record) => failure(expected, show(&record)),
                    None => failure(expected, "`next` returned None: the source ended"),
                });
            }
        }
        writer.send_all(&events).await?;
        waiting.expect(&events).await?;
        idle.expect(&events).await?;
        if round == 0 {
            waiting.commit().await?;
            idle.commit().await?;
        }
    }
    Ok(())
}

async fn a_source_ends_only_when_the_log_does<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 5);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect_only(&events[..]).await?;
    let ending = bench.lane.end();
    bench.clock.succeeds("ending the log", ending).await?;
    let mut late = bench.reader("late").await?;
    late.expect(&events).await?;
    for reader in [&mut reader, &mut late] {
        for _ in 0..2 {
            match reader.answer().await? {
                Ok(None) => {}
                Ok(Some(record)) => return Err(failure("None: the log has ended", show(&record))),
                Err(error) => return Err(failure("None: the log has ended", describe(&error))),
            }
        }
    }
    Ok(())
}

async fn twelve_hundred_uncommitted_events_stall_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 1210);
    let (before, after) = events.split_at(1200);
    let mut writer = bench.writer().await?;
    writer.send_all(before).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(before).await?;
    writer.send_all(after).await?;
    reader.expect(after).await?;
    drop(reader);
    // All of it again, and at once; and one commit is enough for all of it.
    let mut reader = bench.reader("g").await?;
    reader.resumed(false)?;
    reader.expect_only(&events).await?;
    reader.commit().await?;
    drop(reader);
    bench.reader("g").await?.nothing().await
}

async fn foreign_records_come_as_records_and_stop_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let raw = || RawRecord::new("shop");
    foreign(
        &bench,
        vec![
            raw().payload("no key"),
            raw().key("no UUID").payload("garbage"),
            raw().key([0xff_u8, 0x00].as_slice()).payload([0xff_u8, 0x00].as_slice()),
            raw().payload("a header").header("content-type", "text/plain"),
            raw().payload(""),
        ],
    )
    .await
}

async fn a_record_without_a_value_comes_as_one_and_stops_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let raw = || RawRecord::new("shop");
    foreign(&bench, vec![raw(), raw().key("no UUID")]).await
}

/// Foreign records between two of ours: each comes, without a key, with its value, in its place.
async fn foreign<L: Lane>(bench: &Bench<L>, records: Vec<RawRecord>) -> Outcome {
    let ours = events(&["shop"], 2);
    bench.send(&ours[..1]).await?;
    for record in &records {
        bench.append_raw(record.clone()).await?;
    }
    bench.send(&ours[1..]).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&ours[..1]).await?;
    for record in &records {
        let seen = reader.next().await?;
        equal("the foreign record's key", &None, &seen.key)?;
        equal("the foreign record's value", &record.payload, &seen.payload)?;
    }
    reader.expect_only(&ours[1..]).await?;
    // They count for the position like any other.
    reader.commit().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.nothing().await
}
