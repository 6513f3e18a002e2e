//! T7: what a primary announces, and that its secondaries follow.

use std::sync::atomic::{AtomicBool, Ordering};

use backup_tracker::BackupState::{BackingUp, Ready, Starting};
use backup_tracker::wire::{self, Decoded};
use backup_tracker::{
    BackupState, BackupTracker, BackupTransition, Delivery, ErrorKind, PrimaryBackupTracker,
};

use super::cases;
use crate::bench::{Bench, Outcome, describe, ensure, equal, failure};
use crate::harness::{Fault, Lane};
use crate::oracle::{APPLICATIONS, events};
use crate::scene::{LIFE, OWN, retry};

cases! {
    a_step_is_in_the_log_when_the_call_returns: T7 K1;
    an_illegal_call_announces_nothing: T7;
    an_announcement_that_fails_changes_nothing_and_leaves_nobody_paused = announcement_fails(Fault::Cut): T7 T5, needs Cut;
    an_announcement_whose_answer_is_lost_is_taken_back = announcement_fails(Fault::LostAnswers): T7 T5, needs LostAnswers;
    an_announcement_to_a_stopped_broker_changes_nothing_and_leaves_nobody_paused = announcement_fails(Fault::Stop): T7 T5, needs Stop;
    listeners_are_told_in_order_with_the_primarys_id_and_timestamp: T8;
    a_pair_of_trackers_agrees_through_restarts_of_the_broker = pair_agrees(Fault::Kill): T7 T9 T11, needs Kill;
    a_pair_of_trackers_agrees_through_stops_of_the_broker = pair_agrees(Fault::Stop): T7 T9 T11 S14, needs Stop;
    a_pair_of_trackers_agrees_through_a_restart_of_one_broker = pair_agrees(Fault::RestartOne): T7 T9 T11 S14, needs RestartOne;
    a_pair_of_trackers_agrees_through_a_rolling_restart = pair_agrees(Fault::Roll): T7 T9 T11 S14, needs Roll;
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
        equal("the step in the log", &Decoded::Transition(announced.clone()), &decoded)?;
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

async fn announcement_fails<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    bench.send(&events(&APPLICATIONS, 1)).await?;
    let sink = bench.writer().await?.sink;
    let quick = retry().give_up_after(bench.clock.quiet);
    let primary = PrimaryBackupTracker::builder(OWN, sink).retry(quick).build();
    let primary = primary.map_err(|error| failure("a primary", describe(&error)))?;
    let mut secondary = bench.secondary("g").await?;
    let ready = done(primary.startup_complete().await)?;
    secondary.told(&ready).await?;

    bench.gone(fault).await?;
    let what = "an answer to an announcement without a broker";
    let patience = bench.clock.patience * 2;
    let expected = "an error of kind Unavailable";
    let error = match bench.clock.within(what, patience, primary.start_backup()).await? {
        Ok(step) => return Err(failure(expected, step)),
        Err(error) => error,
    };
    ensure(error.is_transient(), expected, describe(&error))?;
    equal("the primary's state", &Ready, &primary.state())?;
    bench.heal().await?;

    if error.delivery() == Delivery::Unknown {
        // The way back is announced without another call.
        bench.until("a primary that owes nothing", || primary.health().is_healthy()).await?;
        equal("where the log leads", &Some(Ready), &last_state(&bench).await?)?;
    }
    // And the next backup is an ordinary one.
    let begun = loop {
        match bench.clock.within(what, patience, primary.start_backup()).await? {
            Ok(step) => break step,
            Err(error) => {
                ensure(error.is_transient(), "a backup, or Unavailable for a while", describe(&error))?
            }
        }
    };
    let (mut state, mut gaps) = (Ready, 0);
    loop {
        let step = secondary.change().await?.transition;
        // The way back may come without the way there: the announcement is not in the log, and the sink cannot know (K3).
        let back_alone = state == Ready && step.to == Ready;
        gaps += u64::from(back_alone && step.from != state);
        ensure(step.from == state || back_alone, format_args!("a step from {state}"), &step)?;
        state = step.to;
        if step.id == begun.id {
            break;
        }
    }
    secondary.is_in(BackingUp)?;
    ensure(primary.health().is_healthy(), "a healthy primary", primary.health())?;
    secondary.counted("gaps", gaps, |stats| stats.gaps)
}

/// The state to which the last step of the own application leads that the log holds.
async fn last_state<L: Lane>(bench: &Bench<L>) -> Outcome<Option<BackupState>> {
    let mut reader = bench.reader("last").await?;
    let mut state = None;
    let reading = async {
        while reader.remaining().await? > 0 {
            let next = tokio::time::timeout(bench.clock.quiet, reader.next());
            let Ok(record) = next.await else { continue };
            if let Ok(Decoded::Transition(step)) = wire::decode(&record?)
                && &*step.application == OWN
            {
                state = Some(step.to);
            }
        }
        Ok(())
    };
    bench.clock.within("all of the log", bench.clock.patience, reading).await??;
    Ok(state)
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

async fn pair_agrees<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    /// How many there are at least; they go on as long as the brokers are disturbed.
    const BACKUPS: usize = 6;
    bench.send(&events(&APPLICATIONS, 1)).await?;
    let (primary, mut secondary) = (bench.primary().await?, bench.secondary("g").await?);
    let over = AtomicBool::new(false);
    let working = async {
        let mut announced = vec![done(primary.startup_complete().await)?];
        while announced.len() <= 2 * BACKUPS || !over.load(Ordering::SeqCst) {
            announced.push(done(primary.start_backup().await)?);
            tokio::time::sleep(bench.clock.quiet / 4).await;
            announced.push(done(primary.finish_backup().await)?);
        }
        Ok(announced)
    };
    let disturbing = async {
        // A rolling restart is many.
        for _ in 0..if fault == Fault::Roll { 1 } else { 2 } {
            bench.disturb(fault).await?;
        }
        over.store(true, Ordering::SeqCst);
        Ok(())
    };
    let (announced, ()) = tokio::try_join!(working, disturbing)?;
    let mut told = 0;
    while told < announced.len() {
        let change = secondary.change().await?;
        // A Ready whose commit did not get through before the next step.
        let passed_over = usize::try_from(change.passed_over).unwrap_or(usize::MAX);
        let skipped = announced.iter().skip(told).take(passed_over);
        ensure(
            skipped.clone().all(|step| step.to == Ready),
            "only steps to Ready to be passed over",
            &change.transition,
        )?;
        told += passed_over;
        equal("the listener is told of", &announced.get(told), &Some(&change.transition))?;
        told += 1;
    }
    secondary.told_nothing().await?;
    secondary.is_in(Ready)?;
    secondary.counted("gaps", 0, |stats| stats.gaps)
}

/// What a call of a primary announced.
fn done(call: backup_tracker::Result<BackupTransition>) -> Outcome<BackupTransition> {
    call.map_err(|error| failure("the primary's call succeeds", describe(&error)))
}

fn illegal(call: backup_tracker::Result<BackupTransition>) -> Outcome {
    let expected = "an error of kind IllegalTransition";
    match call {
        Ok(step) => Err(failure(expected, step)),
        Err(error) => ensure(error.kind() == ErrorKind::IllegalTransition, expected, describe(&error)),
    }
}
