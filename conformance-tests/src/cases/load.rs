//! Sending while the broker is gone, comes and goes.

use std::collections::HashSet;
use std::pin::pin;

use backup_tracker::{Delivery, Event, Sink};
use uuid::Uuid;

use super::cases;
use super::sink::refused;
use crate::bench::{Bench, Outcome, ensure, failure, transient};
use crate::harness::{Fault, Lane};
use crate::oracle::{APPLICATIONS, Oracle, events, show};
use crate::profile::Ability;

cases! {
    a_send_during_a_cut_is_not_acknowledged_and_tells_the_truth = send_tells_the_truth(Fault::Cut): K1 K3, needs Cut;
    a_send_into_a_black_hole_is_not_acknowledged_and_tells_the_truth = send_tells_the_truth(Fault::BlackHole): K1 K3, needs BlackHole;
    a_send_whose_answer_is_lost_is_not_acknowledged_and_tells_the_truth = send_tells_the_truth(Fault::LostAnswers): K1 K3, needs LostAnswers;
    a_send_to_a_dead_broker_is_not_acknowledged_and_tells_the_truth = send_tells_the_truth(Fault::Kill): K1 K3, needs Kill;
    a_send_to_a_stopped_broker_is_not_acknowledged_and_tells_the_truth = send_tells_the_truth(Fault::Stop): K1 K3, needs Stop;
    cuts_under_load_lose_nothing_and_keep_the_order = under_load(Fault::Cut): K1 K2 S1 S10, needs Cut;
    black_holes_under_load_lose_nothing_and_keep_the_order = under_load(Fault::BlackHole): K1 K2 S1 S10, needs BlackHole;
    lost_answers_under_load_lose_no_event_and_keep_the_order = under_load(Fault::LostAnswers): K1 K2 S1 S10, needs LostAnswers;
    restarts_of_the_broker_under_load_lose_nothing_and_keep_the_order = under_load(Fault::Kill): K1 K2 S1 S10, needs Kill;
    stops_of_the_broker_under_load_lose_nothing_and_keep_the_order = under_load(Fault::Stop): K1 K2 S1 S10, needs Stop;
    what_was_acknowledged_at_its_only_send_is_in_the_log_once = under_load(Fault::Cut): K1, needs StoresOnce Cut;
    an_event_that_is_too_large_is_refused_without_a_broker: K4, needs Cut;
}

async fn send_tells_the_truth<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&["shop"], 8);
    let mut writer = bench.writer().await?;
    let (mut surely, mut not) = (Vec::new(), HashSet::new());
    for (round, pair) in events.chunks(2).enumerate() {
        let (sound, risky) = (&pair[0], &pair[1]);
        writer.send_at_last(sound).await?;
        surely.push(sound.key);
        bench.gone(fault).await?;
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
    writer.send_at_last(&last).await?;
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

async fn under_load<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&APPLICATIONS, 300);
    bench.send(&events[..1]).await?;
    let (mut writer, mut reader) = (bench.writer().await?, bench.reader("g").await?);
    let (started, mut progress) = tokio::sync::watch::channel(0_usize);
    let writing = async {
        let mut repeated = HashSet::new();
        for (number, event) in events.iter().enumerate().skip(1) {
            if writer.send_at_last(event).await? {
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
            // The load goes on against a broker that is not there.
            bench.disturb(fault).await?;
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
        Some(key) if bench.profile.reason(Ability::StoresOnce).is_none() => Err(failure(
            "an event that was acknowledged at its only send to come once",
            format_args!("event {key} came again"),
        )),
        _ => Ok(()),
    }
}

async fn an_event_that_is_too_large_is_refused_without_a_broker<L: Lane>(bench: Bench<L>) -> Outcome {
    let limit = bench.profile.max_event_bytes();
    let large = Event::new(Uuid::new_v4(), "shop", vec![b'x'; limit + 1]);
    bench.send(&events(&["shop"], 1)).await?;
    let mut writer = bench.writer().await?;
    bench.gone(Fault::Cut).await?;
    refused(writer.sink.send(&large), &bench).await
}
