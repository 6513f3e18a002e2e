//! S16: a group belongs to one application.

use backup_tracker::{ErrorKind, EventSource, SecondaryBackupTracker};

use super::cases;
use crate::bench::{Bench, Outcome, describe, ensure, failure};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, events};
use crate::reader::Reader;
use crate::scene::{LIFE, OWN, step};

cases! {
    a_group_is_refused_to_a_second_application: S16, needs BindsGroups;
    a_position_without_an_application_takes_the_first_that_asks: S16 S3, needs BindsGroups;
    replicas_and_later_sessions_of_one_application_share_a_group: S16 S9, needs BindsGroups;
    a_secondary_of_another_application_fails_and_its_gate_is_shut: S16 T9, needs BindsGroups;
}

/// An application that is not [`OWN`], and whose name does not hold that.
const OTHER: &str = "maps";

async fn claim<L: Lane>(bench: &Bench<L>, reader: &mut Reader<L::Source>, application: &str) -> Outcome {
    let what = format!("binding the group to `{application}`");
    bench.clock.succeeds(what, reader.source.claim(application)).await
}

/// The claim is refused, with an error that names both applications.
async fn refused<L: Lane>(bench: &Bench<L>, reader: &mut Reader<L::Source>) -> Outcome {
    let expected = format!("a refusal as Config that names `{OTHER}` and `{OWN}`");
    let claiming = reader.source.claim(OTHER);
    match bench.clock.within(&expected, bench.clock.patience, claiming).await? {
        Ok(()) => Err(failure(expected, "the claim succeeded")),
        Err(error) => names_both(&expected, &error),
    }
}

fn names_both(expected: &str, error: &backup_tracker::Error) -> Outcome {
    let text = error.to_string();
    let names_both = text.contains(OWN) && text.contains(OTHER);
    ensure(error.kind() == ErrorKind::Config && names_both, expected, describe(error))
}

async fn a_group_is_refused_to_a_second_application<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    claim(&bench, &mut reader, OWN).await?;
    // From now on, and not only from the first commit.
    refused(&bench, &mut bench.reader("g").await?).await?;
    let left = reader.take(&events, 4).await?;
    reader.commit().await?;
    refused(&bench, &mut bench.reader("g").await?).await?;
    drop(reader);
    refused(&bench, &mut bench.reader("g").await?).await?;
    // What was refused has changed nothing, and other groups are nobody's yet.
    let mut reader = bench.reader("g").await?;
    claim(&bench, &mut reader, OWN).await?;
    reader.resumed(true)?;
    reader.expect(&left).await?;
    claim(&bench, &mut bench.reader("other").await?, OTHER).await
}

async fn a_position_without_an_application_takes_the_first_that_asks<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 10);
    bench.send(&events).await?;
    // As whatever moves a position without being anybody's service.
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&events, 4).await?;
    reader.commit().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    claim(&bench, &mut reader, OWN).await?;
    reader.resumed(true)?;
    reader.expect_only(&left).await?;
    refused(&bench, &mut bench.reader("g").await?).await?;
    // It has moved nothing.
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.expect_only(&left).await
}

async fn replicas_and_later_sessions_of_one_application_share_a_group<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut left = events(&APPLICATIONS, 12);
    bench.send(&left).await?;
    for round in 0..3 {
        let (mut one, mut two) = (bench.reader("g").await?, bench.reader("g").await?);
        claim(&bench, &mut one, OWN).await?;
        claim(&bench, &mut two, OWN).await?;
        one.resumed(round > 0)?;
        two.resumed(round > 0)?;
        two.expect(&left).await?;
        // One after the other, so that both stand at the same place.
        left = one.take(&left, 3).await?;
        one.commit().await?;
    }
    bench.reader("g").await?.expect_only(&left).await
}

async fn a_secondary_of_another_application_fails_and_its_gate_is_shut<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&life[..1], true).await?;
    secondary.synced().await?;

    let source = bench.reader("g").await?.source;
    let other = SecondaryBackupTracker::builder(OTHER, source).build();
    let other = other.map_err(|error| failure("a secondary", describe(&error)))?;
    let expected = format!("a failure as Config that names `{OTHER}` and `{OWN}`");
    match bench.clock.within(&expected, bench.clock.patience, other.closed()).await? {
        Ok(()) => return Err(failure(expected, "`closed` returned Ok")),
        Err(error) => names_both(&expected, &error)?,
    }
    ensure(!other.gate().is_open(), "a gate that is shut", "it is open")?;
    // Whose group it is goes on.
    bench.announce(&life[1..2]).await?;
    secondary.told_all(&life[1..2], false).await?;
    secondary.gate_is_shut()
}
