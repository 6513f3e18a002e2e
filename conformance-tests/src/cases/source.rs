//! S1 to S6: order, replay, positions, and cancelling.

use backup_tracker::EventSource;

use super::cases;
use crate::bench::{Bench, Outcome, ensure};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, Oracle, events};
use crate::reader::poll_times;

cases! {
    one_applications_events_come_in_order_among_those_of_others: S1;
    nothing_comes_twice_within_a_session: S2;
    a_session_starts_right_after_the_last_commit: S3;
    uncommitted_events_come_before_newer_ones_and_at_once: S3;
    restarting_after_every_event_loses_and_repeats_nothing: S3;
    commit_does_not_cover_what_was_only_prefetched: S4;
    commit_does_not_cover_what_a_cancelled_next_did_not_return: S4 S6;
    commit_is_cumulative: S5;
    commit_may_be_repeated: S5;
    a_commit_that_returned_ok_holds_when_the_session_dies_at_once: S5;
    a_commit_before_the_first_event_moves_nothing: S4 S5;
    a_cancelled_commit_leaves_one_of_both_positions_and_a_later_one_repairs_it: S5;
    a_slower_replica_does_not_move_the_position_back: S5, needs MonotonicPosition;
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

async fn commit_does_not_cover_what_was_only_prefetched<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 100);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    let mut left = reader.take(&events, 1).await?;
    for _ in 0..3 {
        // There is something to prefetch, and there is time to do it.
        let remaining = reader.remaining().await?;
        let at_least = left.len() as u64;
        ensure(
            remaining >= at_least,
            format_args!("at least {at_least} events to remain, to be prefetched"),
            remaining,
        )?;
        tokio::time::sleep(bench.profile.quiet()).await;
        reader.commit().await?;
        drop(reader);
        reader = bench.reader("g").await?;
        left = reader.take(&left, 2).await?;
    }
    reader.expect_only(&left).await
}

async fn commit_does_not_cover_what_a_cancelled_next_did_not_return<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut left = events(&APPLICATIONS, 40);
    bench.send(&left).await?;
    while !left.is_empty() {
        let mut reader = bench.reader("g").await?;
        let mut oracle = Oracle::new(&left);
        for polls in 0..4 {
            if let Some(record) = reader.next_or_cancel(polls).await? {
                oracle.check(&record)?;
            }
        }
        // One that is not cancelled, so that the case comes to an end; and one more that may be.
        if oracle.missing() > 0 {
            oracle.check(&reader.next().await?)?;
        }
        if let Some(record) = reader.next_or_cancel(1).await? {
            oracle.check(&record)?;
        }
        reader.commit().await?;
        left = oracle.left();
    }
    bench.reader("g").await?.nothing().await
}

async fn commit_is_cumulative<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 40);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    let mut left = events;
    // Without a commit after each: the last one covers all of it.
    for count in [1, 10, 14] {
        left = reader.take(&left, count).await?;
        reader.commit().await?;
    }
    drop(reader);
    bench.reader("g").await?.expect_only(&left).await
}

async fn commit_may_be_repeated<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 20);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&events, 7).await?;
    for _ in 0..3 {
        reader.commit().await?;
    }
    drop(reader);
    // Also by a session that has read nothing of its own.
    let mut reader = bench.reader("g").await?;
    reader.commit().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.expect_only(&left).await
}

async fn a_commit_that_returned_ok_holds_when_the_session_dies_at_once<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut left = events(&APPLICATIONS, 15);
    bench.send(&left).await?;
    for _ in 0..5 {
        let mut reader = bench.reader("g").await?;
        left = reader.take(&left, 3).await?;
        reader.commit().await?;
        bench.drop_promptly("dropping a source", reader.source).await?;
    }
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.nothing().await
}

async fn a_commit_before_the_first_event_moves_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    reader.commit().await?;
    // Not by asking for how much there is, either.
    reader.remaining().await?;
    reader.commit().await?;
    drop(reader);
    bench.reader("g").await?.expect_only(&events).await
}

async fn a_cancelled_commit_leaves_one_of_both_positions_and_a_later_one_repairs_it<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let events = events(&["shop"], 12);
    bench.send(&events).await?;
    for polls in 0..6 {
        let group = format!("g{polls}");
        let mut reader = bench.reader(&group).await?;
        reader.expect(&events[..4]).await?;
        reader.commit().await?;
        reader.expect(&events[4..8]).await?;
        let _unfinished = poll_times(reader.source.commit(), polls).await;

        let mut replica = bench.reader(&group).await?;
        let first = replica.next().await?;
        let old_or_new = [Some(events[4].key), Some(events[8].key)];
        ensure(
            old_or_new.contains(&first.key),
            "to begin right after the old position or right after the new one",
            crate::oracle::show(&first),
        )?;
        drop(replica);

        // The reader itself goes on, and its next commit is as good as any.
        reader.expect(&events[8..10]).await?;
        reader.commit().await?;
        drop(reader);
        bench.reader(&group).await?.expect(&events[10..]).await?;
    }
    Ok(())
}

async fn a_slower_replica_does_not_move_the_position_back<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 20);
    bench.send(&events).await?;
    let (mut fast, mut slow) = (bench.reader("g").await?, bench.reader("g").await?);
    slow.take(&events, 5).await?;
    let left = fast.take(&events, 15).await?;
    fast.commit().await?;
    slow.commit().await?;
    let mut next = bench.reader("g").await?;
    next.resumed(true)?;
    next.expect_only(&left).await
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
