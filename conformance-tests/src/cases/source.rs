//! S1, S2, S3 and S6: order, replay, and cancelling.

use super::cases;
use crate::bench::{Bench, Outcome};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, Oracle, events};

cases! {
    one_applications_events_come_in_order_among_those_of_others: S1;
    nothing_comes_twice_within_a_session: S2;
    a_session_starts_right_after_the_last_commit: S3;
    uncommitted_events_come_before_newer_ones_and_at_once: S3;
    restarting_after_every_event_loses_and_repeats_nothing: S3;
    cancelling_next_a_thousand_times_loses_and_repeats_nothing: S6 S2;
    cancelling_next_while_a_backlog_is_read_loses_and_repeats_nothing: S6 S2;
}

async fn one_applications_events_come_in_order_among_those_of_others<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 300);
    // Half of it is there already when the reader begins, half comes while it reads.
    let (before, after) = events.split_at(150);
    let mut writer = bench.writer().await?;
    writer.send_all(before).await?;
    let mut reader = bench.reader("g").await?;
    let (sent, read) = tokio::join!(writer.send_all(after), reader.expect(&events));
    sent.and(read)?;
    reader.nothing().await
}

async fn nothing_comes_twice_within_a_session<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 60);
    let mut writer = bench.writer().await?;
    let mut reader = bench.reader("g").await?;
    for (number, part) in events.chunks(20).enumerate() {
        writer.send_all(part).await?;
        reader.expect(part).await?;
        // Neither with a commit nor without one.
        if number == 1 {
            reader.commit().await?;
        }
        reader.nothing().await?;
    }
    Ok(())
}

async fn a_session_starts_right_after_the_last_commit<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 12);
    bench.send(&events).await?;
    for committed in 0..=events.len() {
        let group = format!("g{committed}");
        let mut reader = bench.reader(&group).await?;
        let left = reader.take(&events, committed).await?;
        if committed > 0 {
            reader.commit().await?;
        }
        // Read ahead of the commit, too: that must come again.
        reader.take(&left, left.len() / 2).await?;
        drop(reader);
        let mut reader = bench.reader(&group).await?;
        reader.resumed(committed > 0)?;
        reader.expect(&left).await?;
        if committed % 4 == 0 {
            reader.nothing().await?;
        }
    }
    Ok(())
}

async fn uncommitted_events_come_before_newer_ones_and_at_once<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut events = events(&APPLICATIONS, 10);
    let mut writer = bench.writer().await?;
    writer.send_all(&events).await?;
    let mut reader = bench.reader("g").await?;
    let mut uncommitted = reader.take(&events, 3).await?;
    reader.commit().await?;
    // Each session reads all of it, commits none, and dies; and each time there is something newer.
    for _ in 0..4 {
        reader.expect(&uncommitted).await?;
        drop(reader);
        let newer = crate::oracle::events(&APPLICATIONS, 5);
        writer.send_all(&newer).await?;
        uncommitted.extend(newer.iter().cloned());
        events.extend(newer);
        reader = bench.reader("g").await?;
    }
    reader.expect_only(&uncommitted).await
}

async fn restarting_after_every_event_loses_and_repeats_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut left = events(&APPLICATIONS, 20);
    bench.send(&left).await?;
    while !left.is_empty() {
        let mut reader = bench.reader("g").await?;
        left = reader.take(&left, 1).await?;
        reader.commit().await?;
    }
    bench.reader("g").await?.nothing().await
}

async fn cancelling_next_a_thousand_times_loses_and_repeats_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 200);
    let (mut writer, mut reader) = (bench.writer().await?, bench.reader("g").await?);
    // Cancelled after none, one, two … polls, while events arrive.
    let reading = async {
        let mut oracle = Oracle::new(&events);
        let mut cancelled = 0;
        while cancelled < 1000 {
            match reader.next_or_cancel(cancelled % 9).await? {
                Some(record) => oracle.check(&record)?,
                None => cancelled += 1,
            }
        }
        Ok(oracle.left())
    };
    let (sent, left) = tokio::join!(writer.send_all(&events), reading);
    sent?;
    let left = left?;
    reader.expect_only(&left).await
}

async fn cancelling_next_while_a_backlog_is_read_loses_and_repeats_nothing<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let events = events(&APPLICATIONS, 100);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    let mut oracle = Oracle::new(&events);
    for attempt in 0..200 {
        if oracle.missing() == 0 {
            break;
        }
        if let Some(record) = reader.next_or_cancel(attempt % 5).await? {
            oracle.check(&record)?;
        }
    }
    reader.expect_only(&oracle.left()).await
}
