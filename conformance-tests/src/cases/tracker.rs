//! T1, T5, T6 and T8 to T11: what a secondary does with what it reads.

use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use backup_tracker::{BoxError, ErrorKind, Event};
use uuid::Uuid;

use super::cases;
use crate::bench::{Bench, Outcome, describe, ensure, equal, failure};
use crate::harness::{Fault, Lane, RawRecord};
use crate::oracle::events;
use crate::scene::{LIFE, OTHERS, OWN, Secondary, event, noise, step};

cases! {
    only_the_own_applications_events_have_an_effect: T1;
    a_gap_is_reported_and_its_target_adopted: T5;
    a_forbidden_step_is_refused_and_counted: T5;
    what_cannot_be_decoded_is_skipped_and_counted: T6;
    foreign_records_do_not_stop_a_secondary: T6, needs Raw;
    a_tombstone_does_not_stop_a_secondary: T6, needs Raw Tombstones;
    a_listener_that_fails_or_panics_does_not_stop_the_others: T8;
    a_secondary_goes_on_after_an_outage = goes_on(Fault::Cut): T9 S10, needs Cut;
    a_secondary_lives_on_when_the_broker_is_stopped_and_started_again = goes_on(Fault::Stop): T9 S10 S14, needs Stop;
    a_log_that_ends_shows_as_a_failure_and_shuts_the_gate: T9, needs End;
    a_secondary_follows_a_log_that_was_trimmed: T9 S12, needs Trim;
    synced_returns_when_all_that_the_log_held_is_applied: T10;
    synced_returns_at_once_on_an_empty_log: T10;
    the_gate_is_shut_from_the_first_moment_of_a_restart_during_a_backup: T10;
    a_step_that_is_in_the_log_several_times_is_applied_once: T11;
}

async fn only_the_own_applications_events_have_an_effect<L: Lane>(bench: Bench<L>) -> Outcome {
    let ready = step(OWN, Starting, Ready);
    bench.announce(std::slice::from_ref(&ready)).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&ready).await?;
    let others = noise(OTHERS.len() * 3);
    bench.send(&others).await?;
    let count = others.len() as u64;
    bench.until("others' events to be read", || secondary.tracker.stats().received == 1 + count).await?;
    secondary.told_nothing().await?;
    secondary.is_in(Ready)?;
    secondary.gate_opens().await?;
    secondary.counted("events of others", count, |stats| stats.other_application)?;
    let begins = step(OWN, Ready, BackingUp);
    bench.announce(std::slice::from_ref(&begins)).await?;
    secondary.told(&begins).await?;
    secondary.is_in(BackingUp)
}

async fn a_gap_is_reported_and_its_target_adopted<L: Lane>(bench: Bench<L>) -> Outcome {
    // Between the second and the third, a Ready is missing; before the fourth, a whole backup.
    let steps = [
        step(OWN, Starting, Ready),
        step(OWN, Ready, BackingUp),
        step(OWN, Ready, Restoring),
        step(OWN, BackingUp, Ready),
        step(OWN, Ready, BackingUp),
    ];
    let mut secondary = bench.secondary("g").await?;
    bench.announce(&steps).await?;
    for (number, step) in steps.iter().enumerate() {
        let change = secondary.told(step).await?;
        let missed = number == 2 || number == 3;
        equal(&format!("missed, of step {number}"), &missed, &change.missed)?;
    }
    secondary.is_in(BackingUp)?;
    secondary.counted("gaps", 2, |stats| stats.gaps)
}

async fn a_forbidden_step_is_refused_and_counted<L: Lane>(bench: Bench<L>) -> Outcome {
    let (ready, begins, ends) =
        (step(OWN, Starting, Ready), step(OWN, Ready, BackingUp), step(OWN, BackingUp, Ready));
    let forbidden =
        [step(OWN, BackingUp, Restoring), step(OWN, BackingUp, BackingUp), step(OWN, Ready, Starting)];
    bench.announce(&[ready.clone(), begins.clone()]).await?;
    bench.announce(&forbidden).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&[ready, begins], true).await?;
    secondary.synced().await?;
    secondary.told_nothing().await?;
    secondary.is_in(BackingUp)?;
    secondary.counted("forbidden steps", 3, |stats| stats.forbidden)?;
    bench.announce(std::slice::from_ref(&ends)).await?;
    secondary.told(&ends).await?;
    secondary.counted("gaps", 0, |stats| stats.gaps)
}

async fn what_cannot_be_decoded_is_skipped_and_counted<L: Lane>(bench: Bench<L>) -> Outcome {
    let payloads: [&[u8]; 6] = [
        b"",
        b"garbage",
        b"{\"from\":\"READY\",\"to\":\"SLEEPING\"}",
        b"{\"unfinished\":",
        &[0xa1, 0xff, 0x00],
        &[0xff; 300],
    ];
    let steps = [step(OWN, Starting, Ready), step(OWN, Ready, BackingUp)];
    bench.announce(&steps[..1]).await?;
    let garbage = payloads.map(|payload| Event::new(Uuid::new_v4(), OWN, payload.to_vec()));
    bench.send(&garbage).await?;
    bench.announce(&steps[1..]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&steps, true).await?;
    secondary.counted("undecodable records", 6, |stats| stats.undecodable)?;
    ensure(secondary.tracker.health().is_healthy(), "a healthy secondary", secondary.tracker.health())
}

async fn foreign_records_do_not_stop_a_secondary<L: Lane>(bench: Bench<L>) -> Outcome {
    let raw = RawRecord::new(OWN).key("no UUID").payload("garbage");
    foreign(&bench, [RawRecord::new(OWN).payload("no key"), raw]).await
}

async fn a_tombstone_does_not_stop_a_secondary<L: Lane>(bench: Bench<L>) -> Outcome {
    foreign(&bench, [RawRecord::new(OWN), RawRecord::new(OWN).key("no UUID")]).await
}

async fn foreign<L: Lane>(bench: &Bench<L>, records: [RawRecord; 2]) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    let mut secondary = bench.live_secondary("g").await?;
    bench.announce(&life[..2]).await?;
    for record in records {
        bench.append_raw(record).await?;
    }
    bench.announce(&life[2..3]).await?;
    secondary.told_all(&life[..3], false).await?;
    secondary.counted("undecodable records", 2, |stats| stats.undecodable)?;
    // They are behind the position now.
    secondary.kill().await?;
    let secondary = bench.secondary("g").await?;
    secondary.synced().await?;
    secondary.counted("records", 0, |stats| stats.received)
}

async fn a_listener_that_fails_or_panics_does_not_stop_the_others<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    let source = bench.reader("g").await?.source;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let tracker = backup_tracker::SecondaryBackupTracker::builder(OWN, source)
        .on_change_async(|_, _| async { Err::<(), BoxError>("a listener that fails".into()) })
        // Without the noise that the panic hook would make.
        .on_change_async(|_, _| async { std::panic::resume_unwind(Box::new("a listener that panics")) as () })
        .on_change_async(move |change, _| {
            let tell = tell.clone();
            async move { drop(tell.send(change)) }
        })
        .build()
        .map_err(|error| failure("a secondary", describe(&error)))?;
    bench.announce(&life).await?;
    for step in &life {
        let what = "the third listener to be told";
        let change = bench.clock.within(what, bench.clock.patience, told.recv()).await?;
        let seen = change.map(|change| change.transition);
        equal("what the third listener is told of", &Some(step.clone()), &seen)?;
    }
    let failures = tracker.stats().listener_failures;
    equal("stats: failures of listeners", &(2 * life.len() as u64), &failures)?;
    ensure(tracker.health().is_healthy(), "a healthy secondary", tracker.health())
}

async fn goes_on<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..2]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&life[..2], true).await?;
    secondary.synced().await?;
    bench.gone(fault).await?;
    // State and gate stay as they are, and it does not end.
    secondary.told_nothing().await?;
    secondary.is_in(BackingUp)?;
    secondary.gate_is_shut()?;
    bench.heal().await?;
    bench.announce(&life[2..4]).await?;
    secondary.told_all(&life[2..4], false).await?;
    let healthy = secondary.tracker.health_is(backup_tracker::Health::is_healthy);
    bench.clock.within("a healthy secondary", bench.clock.patience, healthy).await?;
    secondary.counted("gaps", 0, |stats| stats.gaps)
}

async fn a_log_that_ends_shows_as_a_failure_and_shuts_the_gate<L: Lane>(bench: Bench<L>) -> Outcome {
    let ready = step(OWN, Starting, Ready);
    bench.announce(std::slice::from_ref(&ready)).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&ready).await?;
    secondary.synced().await?;
    secondary.gate_opens().await?;
    bench.clock.succeeds("ending the log", bench.lane.end()).await?;
    let closed = secondary.tracker.closed();
    let closed = bench.clock.within("`closed` to return", bench.clock.patience, closed).await?;
    let expected = "an error of kind Lost";
    match closed {
        Ok(()) => return Err(failure(expected, "`closed` returned Ok")),
        Err(error) => ensure(error.kind() == ErrorKind::Lost, expected, describe(&error))?,
    }
    secondary.gate_is_shut()
}

async fn a_secondary_follows_a_log_that_was_trimmed<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..2]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&life[..2], true).await?;
    secondary.kill().await?;
    // The beginning of the operation is lost, which the position still had ahead.
    bench.clock.succeeds("trimming the log", bench.lane.trim()).await?;
    bench.announce(&life[2..4]).await?;
    let mut secondary = bench.secondary("g").await?;
    let change = secondary.told(&life[2]).await?;
    equal("missed, of the first step after the loss", &true, &change.missed)?;
    secondary.told(&life[3]).await?;
    secondary.is_in(Restoring)?;
    secondary.counted("losses", 1, |stats| stats.losses)
}

async fn synced_returns_when_all_that_the_log_held_is_applied<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    bench.send(&noise(100)).await?;
    bench.announce(&life[1..2]).await?;
    bench.send(&noise(100)).await?;
    bench.send(&events(&[OWN], 5)).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.gate_is_shut()?;
    secondary.synced().await?;
    secondary.is_in(BackingUp)?;
    secondary.gate_is_shut()?;
    secondary.counted("records", 207, |stats| stats.received)?;
    secondary.told_all(&life[..2], true).await?;
    bench.announce(&life[2..3]).await?;
    secondary.told_all(&life[2..3], false).await?;
    secondary.gate_opens().await
}

async fn synced_returns_at_once_on_an_empty_log<L: Lane>(bench: Bench<L>) -> Outcome {
    let secondary = bench.secondary("g").await?;
    secondary.synced().await?;
    secondary.is_in(Starting)?;
    secondary.gate_opens().await
}

async fn the_gate_is_shut_from_the_first_moment_of_a_restart_during_a_backup<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..2]).await?;
    for round in 0..5 {
        let mut secondary: Secondary = bench.secondary("g").await?;
        let gate = secondary.tracker.gate();
        // Whoever asks for permission to work gets none, from the first moment on. Why a gate ends, its tracker says.
        let entered = async {
            if gate.enter().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let told = async {
            secondary.told_all(&life[usize::from(round > 0)..2], true).await?;
            secondary.synced().await
        };
        tokio::select! {
            biased;
            () = entered => {
                return Err(failure("nobody to pass the gate during a backup", "somebody did"));
            }
            told = told => told?,
        }
        secondary.gate_is_shut()?;
        secondary.kill().await?;
    }
    Ok(())
}

async fn a_step_that_is_in_the_log_several_times_is_applied_once<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    let mut secondary = bench.live_secondary("g").await?;
    for step in &life {
        let first = event(step);
        // A broker may know the key and keep one of the first two. The identity is in the value.
        let mut other_key = first.clone();
        other_key.key = Uuid::new_v4();
        bench.send(&[first.clone(), first, other_key]).await?;
    }
    secondary.told_all(&life, false).await?;
    secondary.told_nothing().await?;
    let stats = secondary.tracker.stats();
    equal("stats: applied steps", &(life.len() as u64), &stats.applied)?;
    let expected = format!("at least {} duplicates", life.len());
    ensure(stats.duplicate >= life.len() as u64, expected, stats.duplicate)
}
