//! What holds while the broker is gone, and when it is back.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use backup_tracker::{Delivery, Error, Event, Sink};
use uuid::Uuid;

use super::cases;
use super::sink::refused;
use crate::bench::{Bench, Outcome, describe, ensure, failure};
use crate::harness::{Fault, Lane};
use crate::oracle::{APPLICATIONS, Oracle, events, show};
use crate::reader::{Reader, poll_times};
use crate::writer::Writer;

cases! {
    after_a_cut_next_goes_on_and_loses_nothing = reading_goes_on(Fault::Cut): S10 S2, needs Cut;
    after_a_black_hole_next_goes_on_and_loses_nothing = reading_goes_on(Fault::BlackHole): S10 S2, needs BlackHole;
    after_the_brokers_death_next_goes_on_and_loses_nothing = reading_goes_on(Fault::Kill): S10 S2, needs Kill;
    a_commit_during_a_cut_is_not_confirmed_and_a_later_one_repairs_it = commit_fails(Fault::Cut): S5, needs Cut;
    a_commit_into_a_black_hole_is_not_confirmed_and_a_later_one_repairs_it = commit_fails(Fault::BlackHole): S5, needs BlackHole;
    a_commit_to_a_dead_broker_is_not_confirmed_and_a_later_one_repairs_it = commit_fails(Fault::Kill): S5, needs Kill;
    a_send_during_a_cut_is_not_acknowledged_and_tells_the_truth = send_tells_the_truth(Fault::Cut): K1 K3, needs Cut;
    a_send_into_a_black_hole_is_not_acknowledged_and_tells_the_truth = send_tells_the_truth(Fault::BlackHole): K1 K3, needs BlackHole;
    a_send_to_a_dead_broker_is_not_acknowledged_and_tells_the_truth = send_tells_the_truth(Fault::Kill): K1 K3, needs Kill;
    cuts_under_load_lose_nothing_and_keep_the_order = under_load(Fault::Cut): K1 K2 S1 S10, needs Cut;
    black_holes_under_load_lose_nothing_and_keep_the_order = under_load(Fault::BlackHole): K1 K2 S1 S10, needs BlackHole;
    restarts_of_the_broker_under_load_lose_nothing_and_keep_the_order = under_load(Fault::Kill): K1 K2 S1 S10, needs Kill;
    what_was_acknowledged_and_committed_survives_the_brokers_death: K1 S5, needs Kill;
    drop_and_close_are_prompt_during_a_cut = ends_promptly(Fault::Cut): S7, needs Cut;
    drop_and_close_are_prompt_in_a_black_hole = ends_promptly(Fault::BlackHole): S7, needs BlackHole;
    drop_and_close_are_prompt_with_the_broker_dead = ends_promptly(Fault::Kill): S7, needs Kill;
    an_event_that_is_too_large_is_refused_without_a_broker: K4, needs Cut;
}

/// Fails unless the error is one that passes.
#[track_caller]
fn transient(error: &Error) -> Outcome {
    ensure(error.is_transient(), "an error of kind Unavailable while the broker is gone", describe(error))
}

/// Begins the fault, and makes sure that it is real: what has to be confirmed by the broker is not confirmed.
pub(super) async fn gone<L: Lane>(bench: &Bench<L>, fault: Fault) -> Outcome {
    let mut probe = bench.reader(&format!("probe-{}", Uuid::new_v4())).await?;
    probe.next().await?;
    bench.inflict(fault).await?;
    let expected = "a commit to be unconfirmed while the broker is gone";
    let committing = backup_tracker::EventSource::commit(&mut probe.source);
    match bench.clock.nothing(expected, committing).await {
        None => {}
        Some(Err(error)) => transient(&error)?,
        Some(Ok(())) => return Err(failure(expected, "it was confirmed")),
    }
    // Closed without a broker, which another case looks at.
    tokio::task::spawn_blocking(move || drop(probe));
    Ok(())
}

async fn reading_goes_on<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&APPLICATIONS, 40);
    let (before, after) = events.split_at(20);
    bench.send(before).await?;
    let mut reader = bench.reader("g").await?;
    let mut oracle = Oracle::new(&events);
    for _ in 0..5 {
        oracle.check(&reader.next().await?)?;
    }
    gone(&bench, fault).await?;
    // What was fetched may still come; then nothing, or an error that passes. Never an end.
    for _ in 0..before.len() {
        let next = backup_tracker::EventSource::next(&mut reader.source);
        match bench.clock.nothing("nothing while the broker is gone", next).await {
            None => break,
            Some(Err(error)) => transient(&error)?,
            Some(Ok(Some(record))) => oracle.check(&record)?,
            Some(Ok(None)) => {
                let seen = "`next` returned None: the source ended";
                return Err(failure("a source that waits or says Unavailable", seen));
            }
        }
    }
    bench.heal().await?;
    let mut writer = bench.writer().await?;
    for event in after {
        send_at_last(&bench, &mut writer, event).await?;
    }
    while oracle.missing() > 0 {
        oracle.check(&reader.next_at_last().await?)?;
    }
    reader.nothing().await
}

async fn commit_fails<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&["shop"], 14);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&events[..4]).await?;
    reader.commit().await?;
    reader.expect(&events[4..8]).await?;
    gone(&bench, fault).await?;
    let expected = "a commit to be unconfirmed while the broker is gone";
    let committing = backup_tracker::EventSource::commit(&mut reader.source);
    match bench.clock.nothing(expected, committing).await {
        None => {}
        Some(Err(error)) => transient(&error)?,
        Some(Ok(())) => return Err(failure(expected, "it was confirmed")),
    }
    bench.heal().await?;

    let mut replica = bench.reader("g").await?;
    let first = replica.next_at_last().await?;
    ensure(
        [Some(events[4].key), Some(events[8].key)].contains(&first.key),
        "to begin right after the old position or right after the new one",
        show(&first),
    )?;
    drop(replica);

    let mut oracle = Oracle::new(&events[8..10]);
    while oracle.missing() > 0 {
        oracle.check(&reader.next_at_last().await?)?;
    }
    reader.commit_at_last().await?;
    drop(reader);
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.expect_only(&events[10..]).await
}

async fn send_tells_the_truth<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&["shop"], 8);
    let mut writer = bench.writer().await?;
    let (mut surely, mut not) = (Vec::new(), HashSet::new());
    for (round, pair) in events.chunks(2).enumerate() {
        let (sound, risky) = (&pair[0], &pair[1]);
        send_at_last(&bench, &mut writer, sound).await?;
        surely.push(sound.key);
        gone(&bench, fault).await?;
        let answer = {
            let mut send = pin!(writer.sink.send(risky));
            let expected = "no acknowledgement while the broker is gone";
            let early = bench.clock.nothing(expected, send.as_mut()).await;
            if let Some(Ok(())) = early {
                return Err(failure(expected, "the send succeeded"));
            }
            // Every other time the broker comes back while the send still waits.
            let what = "an answer to a send";
            let patience = bench.clock.patience;
            match early {
                Some(early) => {
                    bench.heal().await?;
                    early
                }
                None if round % 2 == 0 => {
                    bench.heal().await?;
                    bench.clock.within(what, patience, send).await?
                }
                None => {
                    let late = bench.clock.within(what, patience, send).await?;
                    bench.heal().await?;
                    late
                }
            }
        };
        match answer {
            Ok(()) => surely.push(risky.key),
            Err(error) => {
                transient(&error)?;
                if error.delivery() == Delivery::NotSent {
                    not.insert(risky.key);
                }
            }
        }
    }
    let last = crate::oracle::events(&["shop"], 1).remove(0);
    send_at_last(&bench, &mut writer, &last).await?;
    surely.push(last.key);

    let mut reader = bench.reader("g").await?;
    let mut coming = surely.as_slice();
    while let [next, later @ ..] = coming {
        let record = reader.next_at_last().await?;
        if record.key == Some(*next) {
            coming = later;
            continue;
        }
        let is = |key: &Uuid| record.key == Some(*key);
        ensure(
            !not.iter().any(is),
            "an event whose error said NotSent to stay out of the log",
            show(&record),
        )?;
        ensure(
            !later.iter().any(is),
            format_args!("event {next} next: it was acknowledged earlier"),
            show(&record),
        )?;
    }
    Ok(())
}

/// Sends an event until it is acknowledged, as core does: with the same id, after errors that pass. Returns whether it may
/// be in the log more than once.
async fn send_at_last<L: Lane>(
    bench: &Bench<L>,
    writer: &mut Writer<L::Sink>,
    event: &Event,
) -> Outcome<bool> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut unknown = false;
    let sending = async {
        loop {
            match writer.try_send(event).await? {
                Ok(()) => return Ok(unknown),
                Err(error) => {
                    transient(&error)?;
                    unknown |= error.delivery() == Delivery::Unknown;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    let what = "a send to succeed, the broker being back";
    bench.clock.within(what, bench.clock.patience * 2, sending).await?
}

async fn under_load<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&APPLICATIONS, 300);
    bench.send(&events[..1]).await?;
    let (mut writer, mut reader) = (bench.writer().await?, bench.reader("g").await?);
    let (started, mut progress) = tokio::sync::watch::channel(0_usize);
    let writing = async {
        let mut repeated = HashSet::new();
        for (number, event) in events.iter().enumerate().skip(1) {
            if send_at_last(&bench, &mut writer, event).await? {
                repeated.insert(event.key);
            }
            started.send_replace(number);
            // Also where a send is done at once, it is not to be over before anything can happen to it.
            tokio::task::yield_now().await;
        }
        Ok(repeated)
    };
    let disturbing = async {
        for number in [50, 150] {
            // The writer lives on in this case, or the case ends.
            while *progress.borrow_and_update() < number {
                let changed = progress.changed().await;
                changed.map_err(|_| failure("the writer to go on", "it ended"))?;
            }
            gone(&bench, fault).await?;
            // The load goes on against a broker that is not there.
            tokio::time::sleep(bench.profile.quiet()).await;
            bench.heal().await?;
        }
        Ok(())
    };
    let reading = async {
        let mut oracle = Oracle::new(&events);
        let mut again = HashSet::new();
        while oracle.missing() > 0 {
            let record = reader.next_at_last().await?;
            match record.key.filter(|key| oracle.has_seen(*key)) {
                Some(key) => {
                    again.insert(key);
                }
                None => oracle.check(&record)?,
            }
        }
        Ok(again)
    };
    let (repeated, (), again) = tokio::try_join!(writing, disturbing, reading)?;
    // The log may hold an event twice whose first send ended unknown, and no other.
    match again.difference(&repeated).next() {
        None => Ok(()),
        Some(key) => Err(failure(
            "an event that was acknowledged at its only send to come once",
            format_args!("event {key} came again"),
        )),
    }
}

async fn what_was_acknowledged_and_committed_survives_the_brokers_death<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 30);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&events, 10).await?;
    reader.commit().await?;
    drop(reader);
    gone(&bench, Fault::Kill).await?;
    bench.heal().await?;
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    reader.expect_only(&left).await?;
    bench.reader("other").await?.expect_only(&events).await
}

async fn ends_promptly<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&APPLICATIONS, 20);
    bench.send(&events).await?;
    let mut readers: Vec<Reader<L::Source>> = Vec::new();
    for _ in 0..4 {
        let mut reader = bench.reader("g").await?;
        reader.take(&events, 10).await?;
        readers.push(reader);
    }
    let mut writers = [bench.writer().await?, bench.writer().await?];
    gone(&bench, fault).await?;
    for writer in &mut writers {
        // A send that does not get through, left half way.
        let _unfinished = poll_times(writer.sink.send(&events[0]), 3).await;
    }
    for (number, mut reader) in readers.into_iter().enumerate() {
        if number < 2 {
            let _unfinished = reader.next_or_error(3).await;
        }
        if number % 2 == 0 {
            bench.drop_promptly("dropping a source with the broker gone", reader.source).await?;
        } else {
            // An error is allowed; it only has to come promptly.
            let _allowed = reader.close().await?;
        }
    }
    let [dropped, closed] = writers;
    bench.drop_promptly("dropping a sink with the broker gone", dropped.sink).await?;
    let _allowed = closed.close().await?;
    bench.heal().await?;
    let mut reader = bench.reader("g").await?;
    reader.resumed(false)?;
    reader.expect(&events).await
}

async fn an_event_that_is_too_large_is_refused_without_a_broker<L: Lane>(bench: Bench<L>) -> Outcome {
    let limit = bench.profile.max_event_bytes();
    let large = Event::new(Uuid::new_v4(), "shop", vec![b'x'; limit + 1]);
    bench.send(&events(&["shop"], 1)).await?;
    let mut writer = bench.writer().await?;
    gone(&bench, Fault::Cut).await?;
    refused(writer.sink.send(&large), &bench).await
}
