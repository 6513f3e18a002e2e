//! Sources without a group: each session begins anew, and leaves nothing behind.

use backup_tracker::{EventSource, StartAt};

use super::cases;
use crate::bench::{Bench, Outcome, equal};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, events};

cases! {
    an_observer_begins_where_it_is_told_and_sees_everything: S8 S9, needs Observers;
    what_an_observer_commits_moves_nothing: S4 S9, needs Observers;
    an_observer_belongs_to_no_application: S16, needs Observers;
}

async fn an_observer_begins_where_it_is_told_and_sees_everything<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&APPLICATIONS, 12), events(&APPLICATIONS, 12));
    let all = [older.clone(), newer.clone()].concat();
    let mut writer = bench.writer().await?;
    writer.send_all(&older).await?;
    let mut earliest = bench.observer(StartAt::Earliest).await?;
    let mut latest = bench.observer(StartAt::Latest).await?;
    // At once: no moment for the source to make up its mind.
    writer.send_all(&newer).await?;
    for (observer, expected) in [(&mut earliest, &all), (&mut latest, &newer)] {
        observer.resumed(false)?;
        observer.expect_only(expected).await?;
        equal("what remains for an observer at the end", &0, &observer.remaining().await?)?;
    }
    let more = events(&APPLICATIONS, 6);
    writer.send_all(&more).await?;
    earliest.expect_only(&more).await?;
    latest.expect_only(&more).await
}

async fn what_an_observer_commits_moves_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 12);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&events, 3).await?;
    reader.commit().await?;
    drop(reader);
    for read in [0, 5, 12] {
        let mut observer = bench.observer(StartAt::Earliest).await?;
        observer.resumed(false)?;
        let unread = observer.take(&events, read).await?;
        for _ in 0..2 {
            observer.commit().await?;
        }
        observer.resumed(false)?;
        observer.expect(&unread).await?;
        observer.commit().await?;
    }
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.expect_only(&left).await?;
    let mut latest = bench.observer(StartAt::Latest).await?;
    latest.resumed(false)?;
    latest.nothing().await
}

async fn an_observer_belongs_to_no_application<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 4);
    bench.send(&events).await?;
    for application in ["shop", "maps", "shop"] {
        let mut observer = bench.observer(StartAt::Earliest).await?;
        let claiming = observer.source.claim(application);
        bench.clock.succeeds("a claim of an observer", claiming).await?;
        observer.expect(&events).await?;
        observer.commit().await?;
    }
    Ok(())
}
