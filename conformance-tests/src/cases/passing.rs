//! S14: what the broker refuses for a while ends no session. It is Unavailable, because of what it would be at opening.

use backup_tracker::BackupState::Ready;
use backup_tracker::{ErrorKind, EventSource, Health, Result, Sink, StartAt};

use super::cases;
use crate::bench::{Bench, Outcome, PAUSE, describe, ensure, failure, transient};
use crate::harness::{Fault, Lane};
use crate::oracle::{Oracle, events, show};
use crate::reader::Reader;
use crate::scene::{LIFE, OWN, event, step};

cases! {
    what_is_denied_for_a_while_is_unavailable_because_of_that_and_passes: S14 S10, needs Deny;
    a_next_that_waits_while_permissions_are_withdrawn_says_so_and_goes_on: S14 S13, needs Deny;
    a_secondary_that_is_denied_for_a_while_shows_why_and_lives_on: S14 T9, needs Deny;
    a_sink_that_was_denied_sends_again_when_it_may: K6, needs Deny;
    a_session_whose_log_is_away_for_a_while_goes_on_in_the_new_one: S14 S12, needs Delete RecreateLive;
    a_secondary_whose_log_is_away_for_a_while_lives_on: S14 T9 T14, needs Delete RecreateLive;
}

/// What a session asks its broker for.
#[derive(Clone, Copy, Debug)]
enum Call {
    Next,
    Commit,
    Remaining,
}

/// Calls the source; in words, what it answered.
async fn call<S: EventSource>(source: &mut S, call: Call) -> Result<String> {
    match call {
        Call::Next => {
            let next = source.next().await?;
            Ok(next
                .map_or_else(|| "`next` returned None: the source ended".to_owned(), |record| show(&record)))
        }
        Call::Commit => source.commit().await.map(|()| "the commit succeeded".to_owned()),
        Call::Remaining => source.remaining().await.map(|counts| format!("{} remain", counts.total())),
    }
}

/// Asks until the answer is an error that passes, because of what was denied. Others that pass may come before.
async fn is_denied<L: Lane>(bench: &Bench<L>, reader: &mut Reader<L::Source>, what: Call) -> Outcome {
    let expected = format!("Unavailable because of Denied from {what:?}");
    let asking = async {
        loop {
            match call(&mut reader.source, what).await {
                Err(error) => {
                    transient(&error)?;
                    if error.cause() == Some(ErrorKind::Denied) {
                        return Ok(());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(seen) => return Err(failure(&expected, seen)),
            }
        }
    };
    bench.clock.within(expected.as_str(), bench.clock.contact, asking).await?
}

/// The fault is real: at opening, which is strict, it is an error.
async fn opening_is_denied<L: Lane>(bench: &Bench<L>) -> Outcome {
    let expected = "an error of kind Denied, or because of it, from opening a source";
    match bench
        .clock
        .within(expected, bench.clock.contact, bench.lane.source("new", StartAt::Earliest))
        .await?
    {
        Ok(_) => Err(failure(expected, "it was opened")),
        Err(error) => ensure(
            error.kind() == ErrorKind::Denied || error.cause() == Some(ErrorKind::Denied),
            expected,
            describe(&error),
        ),
    }
}

async fn what_is_denied_for_a_while_is_unavailable_because_of_that_and_passes<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let events = events(&["shop"], 9);
    let (before, after) = events.split_at(4);
    bench.send(before).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&before[..2]).await?;
    reader.commit().await?;
    reader.expect(&before[2..]).await?;
    bench.begin(Fault::Deny).await?;
    opening_is_denied(&bench).await?;
    for what in [Call::Commit, Call::Remaining, Call::Next, Call::Commit, Call::Next] {
        is_denied(&bench, &mut reader, what).await?;
    }
    bench.heal().await?;
    reader.commit_at_last().await?;
    let mut writer = bench.writer().await?;
    for event in after {
        writer.send_at_last(event).await?;
    }
    let counts = reader.remaining_at_last().await?;
    let least = after.len() as u64;
    ensure(counts.total() >= least, format_args!("at least {least} to remain"), counts.total())?;
    let mut oracle = Oracle::new(after);
    while oracle.missing() > 0 {
        oracle.check(&reader.next_at_last().await?)?;
    }
    reader.nothing().await?;
    // What was committed after the refusals holds.
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.expect_only(after).await
}

async fn a_next_that_waits_while_permissions_are_withdrawn_says_so_and_goes_on<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let events = events(&["shop"], 6);
    let (before, after) = events.split_at(3);
    bench.send(before).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(before).await?;
    let waiting = is_denied(&bench, &mut reader, Call::Next);
    let (begun, said) = tokio::join!(bench.begin(Fault::Deny), waiting);
    begun.and(said)?;
    let is_sent = bench.send_past(after).await?;
    is_denied(&bench, &mut reader, Call::Next).await?;
    bench.heal().await?;
    if !is_sent {
        bench.send(after).await?;
    }
    let mut oracle = Oracle::new(after);
    while oracle.missing() > 0 {
        oracle.check(&reader.next_at_last().await?)?;
    }
    reader.nothing().await
}

async fn a_secondary_that_is_denied_for_a_while_shows_why_and_lives_on<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.gate_opens().await?;
    bench.begin(Fault::Deny).await?;
    opening_is_denied(&bench).await?;
    let because = |health: &Health| {
        !matches!(health, Health::Troubled { .. } | Health::Healthy)
            || health.error().is_some_and(|error| error.cause() == Some(ErrorKind::Denied))
    };
    let what = "trouble because of Denied";
    let health = bench.clock.within(what, bench.clock.contact, secondary.tracker.health_is(because)).await?;
    ensure(matches!(health, Health::Troubled { .. }), "to be troubled", &health)?;
    secondary.is_in(Ready)?;
    bench.heal().await?;
    let healthy = secondary.tracker.health_is(Health::is_healthy);
    bench
        .clock
        .within("a healthy secondary, although nothing is sent", bench.clock.patience, healthy)
        .await?;
    bench.announce(&life[1..2]).await?;
    secondary.told_all(&life[1..2], false).await?;
    secondary.gate_is_shut()?;
    secondary.counted("losses", 0, |stats| stats.losses)
}

async fn a_sink_that_was_denied_sends_again_when_it_may<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&["shop"], 5);
    let mut writer = bench.writer().await?;
    writer.send(&events[0]).await?;
    bench.begin(Fault::Deny).await?;
    for event in &events[1..3] {
        if writer.try_send(event).await?.is_ok() {
            return Err(failure("a send that is refused", "it succeeded"));
        }
    }
    bench.heal().await?;
    bench.writer().await?.send_at_last(&events[3]).await?;
    // As soon as a new sink's.
    bench.clock.succeeds("a send that is allowed again", writer.sink.send(&events[4])).await?;
    let mut reader = bench.reader("g").await?;
    let mut expected: Vec<_> = [0, 3, 4].map(|number| events[number].key).into();
    while let Some(next) = expected.first() {
        let record = reader.next().await?;
        if record.key == Some(*next) {
            expected.remove(0);
        } else {
            let is_refused = events[1..3].iter().any(|event| record.key == Some(event.key));
            ensure(is_refused, format_args!("event {next}"), show(&record))?;
        }
    }
    Ok(())
}

async fn a_session_whose_log_is_away_for_a_while_goes_on_in_the_new_one<L: Lane>(bench: Bench<L>) -> Outcome {
    let (older, newer) = (events(&["shop"], 6), events(&["shop"], 3));
    bench.send(&older).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&older).await?;
    reader.commit().await?;
    bench.clock.succeeds("deleting the log", bench.lane.delete()).await?;
    let expected = "nothing, Unavailable, or Lost once, while the log is away";
    let mut losses = 0;
    for what in [Call::Next, Call::Commit, Call::Remaining, Call::Next, Call::Commit, Call::Next] {
        match bench.clock.nothing(expected, call(&mut reader.source, what)).await {
            Some(Err(error)) if error.is_transient() => {
                let cause = error.cause();
                ensure(
                    cause.is_none_or(|cause| cause == ErrorKind::NotFound),
                    "a cause of kind NotFound, if any",
                    describe(&error),
                )?;
            }
            Some(Err(error)) if error.kind() == ErrorKind::Lost && matches!(what, Call::Next) => losses += 1,
            Some(Err(error)) => return Err(failure(expected, describe(&error))),
            Some(Ok(seen)) if matches!(what, Call::Next) => return Err(failure(expected, seen)),
            Some(Ok(_)) | None => {}
        }
    }
    bench.clock.succeeds("recreating the log", bench.lane.recreate()).await?;
    bench.send(&newer).await?;
    let mut oracle = Oracle::new(&newer);
    let reading = async {
        while oracle.missing() > 0 {
            match reader.source.next().await {
                Ok(Some(record)) => oracle.check(&record)?,
                Ok(None) => {
                    return Err(failure("the newer events", "`next` returned None: the source ended"));
                }
                Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
                Err(error) if error.kind() == ErrorKind::Lost => losses += 1,
                Err(error) => return Err(failure("the newer events", describe(&error))),
            }
        }
        Ok(())
    };
    let what = "the events of the log that is back";
    bench.clock.within(what, bench.clock.patience * 2, reading).await??;
    ensure(losses == 1, "Lost, once", format_args!("{losses} times"))?;
    reader.resumed(false)?;
    reader.nothing().await?;
    reader.commit_at_last().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.nothing().await
}

async fn a_secondary_whose_log_is_away_for_a_while_lives_on<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    bench.clock.succeeds("deleting the log", bench.lane.delete()).await?;
    secondary.told_nothing().await?;
    let health = secondary.tracker.health();
    ensure(matches!(health, Health::Troubled { .. } | Health::Healthy), "a secondary that lives", health)?;
    bench.clock.succeeds("recreating the log", bench.lane.recreate()).await?;
    // On a transport that looks when something comes, there has to be something; and one that waits finds back within its time.
    bench.send(&[event(&life[1])]).await?;
    let change = secondary.told(&life[1]).await?;
    ensure(change.missed, "the first step after the loss to say that something was missed", "it does not")?;
    secondary.gate_is_shut()?;
    let healthy = secondary.tracker.health_is(Health::is_healthy);
    bench.clock.within("a healthy secondary", bench.clock.patience, healthy).await?;
    secondary.counted("losses", 1, |stats| stats.losses)
}
