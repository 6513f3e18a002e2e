//! S8 and S9: where a new group starts, and that groups have nothing to do with one another.

use super::cases;
use backup_tracker::StartAt;

use crate::bench::{Bench, Outcome};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, events};

cases! {
    what_is_sent_after_opening_is_seen_by_this_session_and_the_next: S8;
    a_group_at_latest_sees_what_is_sent_after_opening_and_nothing_older: S8;
    a_group_at_latest_keeps_its_start_for_its_next_session: S8;
    commits_of_one_group_move_no_other: S9;
    two_live_readers_of_one_group_both_see_everything: S9;
    a_replica_that_dies_takes_nothing_from_the_other: S9 S7;
    resumed_says_whether_an_earlier_session_committed: S3 T4;
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
    let mut reader = bench.reader_from("g", StartAt::Latest).await?;
    writer.send_all(&newer).await?;
    reader.resumed(false)?;
    reader.expect_only(&newer).await
}

async fn a_group_at_latest_keeps_its_start_for_its_next_session<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&APPLICATIONS, 10), events(&APPLICATIONS, 10));
    let mut writer = bench.writer().await?;
    writer.send_all(&older).await?;
    // One that never reads, and one that reads and never commits.
    drop(bench.reader_from("unread", StartAt::Latest).await?);
    let mut reader = bench.reader_from("read", StartAt::Latest).await?;
    writer.send_all(&newer).await?;
    reader.expect(&newer).await?;
    drop(reader);
    for group in ["unread", "read"] {
        let mut reader = bench.reader_from(group, StartAt::Latest).await?;
        reader.resumed(false)?;
        reader.expect_only(&newer).await?;
    }
    Ok(())
}

async fn resumed_says_whether_an_earlier_session_committed<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 4);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    reader.resumed(false)?;
    reader.take(&events, 1).await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(false)?;
    // Which one comes first may differ between sessions: there is no order between applications.
    let left = reader.take(&events, 1).await?;
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
