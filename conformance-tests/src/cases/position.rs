//! S4 and S5: what a commit covers, and what holds of it.

use backup_tracker::EventSource;

use super::cases;
use crate::bench::{Bench, Outcome, ensure};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, Oracle, events};
use crate::reader::poll_times;

cases! {
    commit_does_not_cover_what_was_only_prefetched: S4;
    commit_does_not_cover_what_a_cancelled_next_did_not_return: S4 S6;
    commit_is_cumulative: S5;
    commit_may_be_repeated: S5;
    a_commit_that_returned_ok_holds_when_the_session_dies_at_once: S5;
    a_commit_before_the_first_event_moves_nothing: S4 S5;
    a_cancelled_commit_leaves_one_of_both_positions_and_a_later_one_repairs_it: S5;
    a_slower_replica_does_not_move_the_position_back: S5, needs MonotonicPosition;
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
