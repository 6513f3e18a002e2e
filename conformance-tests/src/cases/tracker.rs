//! T1 and T5 to T11 over the transport.

use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use backup_tracker::{
    BackupTracker, BackupTransition, BoxError, ErrorKind, Event, PrimaryBackupTracker, wire,
};
use uuid::Uuid;

use super::cases;
use super::outage::gone;
use crate::bench::{Bench, Outcome, describe, ensure, equal, failure};
use crate::harness::{Fault, Lane, RawRecord};
use crate::oracle::{APPLICATIONS, events};
use crate::scene::{LIFE, OTHERS, OWN, Secondary, event, noise, retry, step};

cases! {
    only_the_own_applications_events_have_an_effect: T1;
    a_gap_is_reported_and_its_target_adopted: T5;
    a_forbidden_step_is_refused_and_counted: T5;
    what_cannot_be_decoded_is_skipped_and_counted: T6;
    foreign_records_do_not_stop_a_secondary: T6, needs Raw;
    a_tombstone_does_not_stop_a_secondary: T6, needs Raw Tombstones;
    a_step_is_in_the_log_when_the_call_returns: T7 K1;
    an_illegal_call_announces_nothing: T7;
    an_announcement_that_fails_changes_nothing_and_leaves_nobody_paused: T7 T5, needs Cut;
    listeners_are_told_in_order_with_the_primarys_id_and_timestamp: T8;
    a_listener_that_fails_or_panics_does_not_stop_the_others: T8;
    a_secondary_goes_on_after_an_outage: T9 S10, needs Cut;
    a_log_that_ends_shows_as_a_failure_and_shuts_the_gate: T9, needs End;
    a_secondary_follows_a_log_that_was_trimmed: T9 S12, needs Trim;
    synced_returns_when_all_that_the_log_held_is_applied: T10;
    synced_returns_at_once_on_an_empty_log: T10;
    the_gate_is_shut_from_the_first_moment_of_a_restart_during_a_backup: T10;
    a_step_that_is_in_the_log_several_times_is_applied_once: T11;
    a_pair_of_trackers_agrees_through_restarts_of_the_broker: T7 T9 T11, needs Kill;
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
    secondary.gate_is_open(true)?;
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

/// What a call of a primary announced.
fn done(call: backup_tracker::Result<BackupTransition>) -> Outcome<BackupTransition> {
    call.map_err(|error| failure("the primary's call succeeds", describe(&error)))
}

async fn a_step_is_in_the_log_when_the_call_returns<L: Lane>(bench: Bench<L>) -> Outcome {
    let (primary, mut reader) = (bench.primary().await?, bench.reader("g").await?);
    equal("the primary's state", &Starting, &primary.state())?;
    for (number, expected) in LIFE.iter().enumerate().take(5) {
        let call = async {
            match number {
                0 => primary.startup_complete().await,
                1 => primary.start_backup().await,
                2 => primary.finish_backup().await,
                3 => primary.start_restore().await,
                _ => primary.finish_restore().await,
            }
        };
        let announced = done(bench.clock.within("a call of the primary", bench.clock.patience, call).await?)?;
        let remaining = reader.remaining().await?;
        ensure(remaining >= 1, "the step in the log when the call returns", "nothing remains to be read")?;
        let record = reader.next().await?;
        equal("the record's key", &Some(announced.id), &record.key)?;
        let decoded = wire::decode(&record).map_err(|error| failure("a transition", error))?;
        equal("the step in the log", &wire::Decoded::Transition(announced.clone()), &decoded)?;
        equal("the step", expected, &(announced.from, announced.to))?;
        equal("the primary's state", &announced.to, &primary.state())?;
    }
    reader.nothing().await
}

async fn an_illegal_call_announces_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let (primary, mut reader) = (bench.primary().await?, bench.reader("g").await?);
    for call in [primary.finish_backup().await, primary.finish_restore().await] {
        illegal(call)?;
    }
    done(primary.start_backup().await)?;
    reader.next().await?;
    for call in [primary.start_backup().await, primary.start_restore().await, primary.finish_restore().await]
    {
        illegal(call)?;
    }
    equal("the primary's state", &BackingUp, &primary.state())?;
    reader.nothing().await
}

fn illegal(call: backup_tracker::Result<BackupTransition>) -> Outcome {
    let expected = "an error of kind IllegalTransition";
    match call {
        Ok(step) => Err(failure(expected, step)),
        Err(error) => ensure(error.kind() == ErrorKind::IllegalTransition, expected, describe(&error)),
    }
}

async fn an_announcement_that_fails_changes_nothing_and_leaves_nobody_paused<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    bench.send(&events(&APPLICATIONS, 1)).await?;
    let sink = bench.writer().await?.sink;
    let quick = retry().give_up_after(bench.clock.quiet);
    let primary = PrimaryBackupTracker::builder(OWN, sink).retry(quick).build();
    let primary = primary.map_err(|error| failure("a primary", describe(&error)))?;
    let mut secondary = bench.secondary("g").await?;
    let ready = done(primary.startup_complete().await)?;
    secondary.told(&ready).await?;

    gone(&bench, Fault::Cut).await?;
    let what = "an answer to an announcement without a broker";
    let call = bench.clock.within(what, bench.clock.patience * 2, primary.start_backup()).await?;
    let expected = "an error of kind Unavailable";
    match call {
        Ok(step) => return Err(failure(expected, step)),
        Err(error) => ensure(error.is_transient(), expected, describe(&error))?,
    }
    equal("the primary's state", &Ready, &primary.state())?;
    bench.heal().await?;

    // Whatever of it got through: nobody stays paused, and the next backup is an ordinary one.
    bench.until("the secondary to be Ready", || secondary.tracker.state() == Ready).await?;
    let begun = loop {
        let call = bench.clock.within(what, bench.clock.patience * 2, primary.start_backup()).await?;
        match call {
            Ok(step) => break step,
            Err(error) => {
                ensure(error.is_transient(), "a backup, or Unavailable for a while", describe(&error))?
            }
        }
    };
    let (mut state, mut gaps) = (Ready, 0);
    loop {
        let step = secondary.change().await?.transition;
        // The way back from a step whose outcome was unknown, and which did not get through.
        let alone = (state, step.from, step.to) == (Ready, BackingUp, Ready);
        ensure(step.from == state || alone, format_args!("a step from {state}"), &step)?;
        gaps += u64::from(alone);
        state = step.to;
        if step.id == begun.id {
            break;
        }
    }
    secondary.is_in(BackingUp)?;
    ensure(primary.health().is_healthy(), "a healthy primary", primary.health())?;
    secondary.counted("gaps", gaps, |stats| stats.gaps)
}

async fn listeners_are_told_in_order_with_the_primarys_id_and_timestamp<L: Lane>(bench: Bench<L>) -> Outcome {
    let primary = bench.primary().await?;
    let mut announced = vec![done(primary.startup_complete().await)?];
    for _ in 0..5 {
        announced.push(done(primary.start_backup().await)?);
        announced.push(done(primary.finish_backup().await)?);
    }
    let mut secondary = bench.secondary("g").await?;
    // The whole of each step is compared: id, application, timestamp, states.
    secondary.told_all(&announced, true).await?;
    secondary.synced().await?;
    for _ in 0..5 {
        let steps = [done(primary.start_restore().await)?, done(primary.finish_restore().await)?];
        secondary.told_all(&steps, false).await?;
    }
    secondary.told_nothing().await
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

async fn a_secondary_goes_on_after_an_outage<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..2]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&life[..2], true).await?;
    secondary.synced().await?;
    gone(&bench, Fault::Cut).await?;
    // State and gate stay as they are, and it does not end.
    secondary.told_nothing().await?;
    secondary.is_in(BackingUp)?;
    secondary.gate_is_open(false)?;
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
    secondary.gate_is_open(true)?;
    bench.clock.succeeds("ending the log", bench.lane.end()).await?;
    let closed = secondary.tracker.closed();
    let closed = bench.clock.within("`closed` to return", bench.clock.patience, closed).await?;
    let expected = "an error of kind Lost";
    match closed {
        Ok(()) => return Err(failure(expected, "`closed` returned Ok")),
        Err(error) => ensure(error.kind() == ErrorKind::Lost, expected, describe(&error))?,
    }
    secondary.gate_is_open(false)
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
    secondary.gate_is_open(false)?;
    secondary.synced().await?;
    secondary.is_in(BackingUp)?;
    secondary.gate_is_open(false)?;
    secondary.counted("records", 207, |stats| stats.received)?;
    secondary.told_all(&life[..2], true).await?;
    bench.announce(&life[2..3]).await?;
    secondary.told_all(&life[2..3], false).await?;
    secondary.gate_is_open(true)
}

async fn synced_returns_at_once_on_an_empty_log<L: Lane>(bench: Bench<L>) -> Outcome {
    let secondary = bench.secondary("g").await?;
    secondary.synced().await?;
    secondary.is_in(Starting)?;
    secondary.gate_is_open(true)
}

async fn the_gate_is_shut_from_the_first_moment_of_a_restart_during_a_backup<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..2]).await?;
    for round in 0..5 {
        let mut secondary: Secondary = bench.secondary("g").await?;
        let gate = secondary.tracker.gate();
        // Whoever asks for leave to work gets none, from the first moment on.
        let entered = async {
            let _permit = gate.enter().await;
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
        secondary.gate_is_open(false)?;
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

async fn a_pair_of_trackers_agrees_through_restarts_of_the_broker<L: Lane>(bench: Bench<L>) -> Outcome {
    const BACKUPS: usize = 6;
    bench.send(&events(&APPLICATIONS, 1)).await?;
    let (primary, mut secondary) = (bench.primary().await?, bench.secondary("g").await?);
    let working = async {
        let mut announced = vec![done(primary.startup_complete().await)?];
        for _ in 0..BACKUPS {
            announced.push(done(primary.start_backup().await)?);
            tokio::time::sleep(bench.clock.quiet / 4).await;
            announced.push(done(primary.finish_backup().await)?);
        }
        Ok(announced)
    };
    let disturbing = async {
        for _ in 0..2 {
            gone(&bench, Fault::Kill).await?;
            tokio::time::sleep(bench.clock.quiet).await;
            bench.heal().await?;
        }
        Ok(())
    };
    let (announced, ()) = tokio::try_join!(working, disturbing)?;
    for step in &announced {
        secondary.told(step).await?;
    }
    secondary.told_nothing().await?;
    secondary.is_in(Ready)?;
    secondary.counted("gaps", 0, |stats| stats.gaps)
}
