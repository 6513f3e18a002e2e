//! K7: credentials are read again for each connection.

use backup_tracker::Health;

use super::cases;
use crate::bench::{Bench, Outcome};
use crate::harness::Lane;
use crate::oracle::{Oracle, events};
use crate::scene::{LIFE, OWN, step};

cases! {
    a_sink_goes_on_with_renewed_credentials: K7 K6, needs RenewsCredentials;
    a_source_goes_on_with_renewed_credentials: K7 S14, needs RenewsCredentials;
    trackers_go_on_with_renewed_credentials: K7 T9, needs RenewsCredentials;
}

/// More than once, so that nobody gets by with a second password that was read at the beginning.
const ROUNDS: usize = 2;

async fn renew<L: Lane>(bench: &Bench<L>) -> Outcome {
    bench.clock.succeeds("renewing the credentials", bench.lane.renew_credentials()).await
}

async fn a_sink_goes_on_with_renewed_credentials<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&["shop"], 1 + ROUNDS);
    let mut writer = bench.writer().await?;
    writer.send(&events[0]).await?;
    for event in &events[1..] {
        renew(&bench).await?;
        writer.send_at_last(event).await?;
    }
    let mut reader = bench.reader("g").await?;
    let mut oracle = Oracle::new(&events);
    while oracle.missing() > 0 {
        let record = reader.next().await?;
        // Again, where the first attempt's outcome was unknown.
        if !record.key.is_some_and(|key| oracle.has_seen(key)) {
            oracle.check(&record)?;
        }
    }
    Ok(())
}

async fn a_source_goes_on_with_renewed_credentials<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut reader = bench.reader("g").await?;
    for _ in 0..ROUNDS {
        renew(&bench).await?;
        let events = events(&["shop"], 3);
        bench.send(&events).await?;
        let mut oracle = Oracle::new(&events);
        while oracle.missing() > 0 {
            oracle.check(&reader.next_at_last().await?)?;
        }
        reader.remaining_at_last().await?;
        reader.commit_at_last().await?;
    }
    reader.nothing().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.nothing().await
}

async fn trackers_go_on_with_renewed_credentials<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.live_secondary("g").await?;
    secondary.told(&life[0]).await?;
    for step in &life[1..=ROUNDS] {
        renew(&bench).await?;
        bench.announce(std::slice::from_ref(step)).await?;
        secondary.told(step).await?;
        let healthy = secondary.tracker.health_is(Health::is_healthy);
        bench.clock.within("a healthy secondary", bench.clock.patience, healthy).await?;
    }
    secondary.counted("losses", 0, |stats| stats.losses)?;
    secondary.counted("gaps", 0, |stats| stats.gaps)
}
