//! S7 to S11: the life of a session, groups, and how much a source can take.

use super::cases;
use crate::bench::{Bench, Outcome, describe, ensure, equal, failure};
use crate::harness::{Lane, RawRecord, Start};
use crate::oracle::{APPLICATIONS, events, show};

cases! {
    dropping_a_session_commits_nothing_and_is_prompt: S7 S3;
    closing_a_session_commits_nothing_and_is_prompt: S7 S3;
    a_session_that_waits_can_be_dropped_promptly: S7 S6;
    what_is_sent_after_opening_is_seen_by_this_session_and_the_next: S8;
    a_group_at_latest_sees_what_is_sent_after_opening_and_nothing_older: S8;
    a_group_at_latest_keeps_its_start_for_its_next_session: S8;
    commits_of_one_group_move_no_other: S9;
    two_live_readers_of_one_group_both_see_everything: S9;
    a_replica_that_dies_takes_nothing_from_the_other: S9 S7;
    resumed_says_whether_an_earlier_session_committed: S3 T4;
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

async fn what_is_sent_after_opening_is_seen_by_this_session_and_the_next<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    let mut writer = bench.writer().await?;
    let mut reader = bench.reader("g").await?;
    // At once: no moment for the source to make up its mind.
    writer.send_all(&events).await?;
    drop(bench.reader("unread").await?);
    reader.expect(&events).await?;
    drop(reader);
    bench.reader("g").await?.expect_only(&events).await?;
    bench.reader("unread").await?.expect_only(&events).await
}

async fn a_group_at_latest_sees_what_is_sent_after_opening_and_nothing_older<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let (older, newer) = (events(&APPLICATIONS, 10), events(&APPLICATIONS, 10));
    let mut writer = bench.writer().await?;
    writer.send_all(&older).await?;
    let mut reader = bench.reader_from("g", Start::Latest).await?;
    writer.send_all(&newer).await?;
    reader.resumed(false)?;
    reader.expect_only(&newer).await
}

async fn a_group_at_latest_keeps_its_start_for_its_next_session<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&APPLICATIONS, 10), events(&APPLICATIONS, 10));
    let mut writer = bench.writer().await?;
    writer.send_all(&older).await?;
    // One that never reads, and one that reads and never commits.
    drop(bench.reader_from("unread", Start::Latest).await?);
    let mut reader = bench.reader_from("read", Start::Latest).await?;
    writer.send_all(&newer).await?;
    reader.expect(&newer).await?;
    drop(reader);
    for group in ["unread", "read"] {
        let mut reader = bench.reader_from(group, Start::Latest).await?;
        reader.resumed(false)?;
        reader.expect_only(&newer).await?;
    }
    Ok(())
}

async fn commits_of_one_group_move_no_other<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 12);
    bench.send(&events).await?;
    // Names that careless code could take for one another.
    let groups = ["g", "g-1", "g.1", "G", "g1"];
    let mut left = Vec::new();
    for (count, group) in groups.iter().enumerate() {
        let mut reader = bench.reader(group).await?;
        reader.resumed(false)?;
        left.push(reader.take(&events, count).await?);
        if count > 0 {
            reader.commit().await?;
        }
    }
    for (count, (group, left)) in groups.iter().zip(&left).enumerate() {
        let mut reader = bench.reader(group).await?;
        reader.resumed(count > 0)?;
        reader.expect_only(left).await?;
    }
    Ok(())
}

async fn two_live_readers_of_one_group_both_see_everything<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 60);
    let mut writer = bench.writer().await?;
    let (mut one, mut two) = (bench.reader("g").await?, bench.reader("g").await?);
    let mut other = bench.reader("other").await?;
    let (before, after) = events.split_at(30);
    writer.send_all(before).await?;
    one.expect(before).await?;
    // One commits while the other has read nothing yet: it still sees all of it.
    one.commit().await?;
    let (sent, one_read, two_read, other_read) =
        tokio::join!(writer.send_all(after), one.expect(after), two.expect(&events), other.expect(&events),);
    sent.and(one_read).and(two_read).and(other_read)?;
    one.nothing().await?;
    two.nothing().await
}

async fn a_replica_that_dies_takes_nothing_from_the_other<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut survivor = bench.reader("g").await?;
    let mut writer = bench.writer().await?;
    for _ in 0..4 {
        let events = events(&APPLICATIONS, 10);
        // It begins where the survivor stands, so that it reads what the survivor has not.
        let mut dying = bench.reader("g").await?;
        writer.send_all(&events).await?;
        dying.take(&events, 3).await?;
        drop(dying);
        survivor.expect(&events).await?;
        survivor.commit().await?;
    }
    survivor.nothing().await
}

async fn resumed_says_whether_an_earlier_session_committed<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 4);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    reader.resumed(false)?;
    let left = reader.take(&events, 1).await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(false)?;
    reader.next().await?;
    reader.commit().await?;
    // It speaks of the session's beginning, which its own commit does not change.
    reader.resumed(false)?;
    drop(reader);
    for _ in 0..2 {
        let mut reader = bench.reader("g").await?;
        reader.resumed(true)?;
        reader.expect(&left).await?;
        reader.resumed(true)?;
    }
    bench.reader("other").await?.resumed(false)
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
    let mut latest = bench.reader_from("latest", Start::Latest).await?;
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
