//! T3 and T4 over the transport: the position moves when the application is Ready, and only then.

use std::time::Duration;

use backup_tracker::BackupState::{BackingUp, Ready, Starting};
use backup_tracker::{BackupTransition, Event};

use super::cases;
use crate::bench::{Bench, Outcome, ensure, equal};
use crate::harness::Lane;
use crate::scene::{LIFE, OWN, event, noise, step};

cases! {
    nothing_is_committed_before_the_first_ready: T3 T4;
    a_restart_at_every_point_sees_the_running_operation_again_and_nothing_else: T3 T4 S3;
    what_is_announced_while_no_secondary_lives_is_seen_by_the_next_one: T3 T4 S3;
    a_restart_in_the_middle_of_an_operation_sees_it_at_once_behind_1200_events_of_others: T3 S3 S11;
    a_restart_after_ready_is_ready_at_once_and_calls_no_listener: T4;
    closing_a_secondary_in_the_middle_of_an_operation_commits_nothing: T3 S7;
    others_events_are_not_committed_while_an_operation_runs: T3;
    others_events_are_committed_while_ready: T3;
    a_second_group_has_a_position_of_its_own: T3 S9;
    two_replicas_of_a_group_both_follow_and_share_the_position: T3 S9;
}

pub(super) fn life() -> Vec<BackupTransition> {
    LIFE.iter().map(|(from, to)| step(OWN, *from, *to)).collect()
}

/// The step with events of others before and after it, and one that nobody can decode.
fn among_others(step: &BackupTransition) -> Vec<Event> {
    let mut events = noise(3);
    events.push(event(step));
    events.extend(noise(2));
    events.push(Event::new(uuid::Uuid::new_v4(), OWN, "no transition"));
    events
}

/// Of so many steps, those behind the last one that led to Ready: what a restart must see again.
fn uncommitted(steps: &[BackupTransition]) -> &[BackupTransition] {
    let ready = steps.iter().rposition(|step| step.to == Ready);
    &steps[ready.map_or(0, |ready| ready + 1)..]
}

async fn nothing_is_committed_before_the_first_ready<L: Lane>(bench: Bench<L>) -> Outcome {
    let steps = [step(OWN, Starting, Starting), step(OWN, Starting, BackingUp)];
    for step in &steps {
        bench.send(&among_others(step)).await?;
    }
    for _ in 0..3 {
        let mut secondary =
            bench.secondary_with("g", |builder| builder.commit_interval(Duration::from_millis(1))).await?;
        secondary.is_in(Starting)?;
        secondary.told_all(&steps, true).await?;
        secondary.synced().await?;
        secondary.told_nothing().await?;
        secondary.counted("commits", 0, |stats| stats.commits)?;
        secondary.kill().await?;
        equal("the first step at the position", &Some(0), &bench.position("g", &steps).await?)?;
    }
    bench.reader("g").await?.resumed(false)
}

async fn a_restart_at_every_point_sees_the_running_operation_again_and_nothing_else<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let life = life();
    let mut secondary = bench.secondary("g").await?;
    for done in 0..=life.len() {
        let (before, after) = life.split_at(done);
        // Dead, once before each step and once after the last.
        secondary.kill().await?;
        let again = uncommitted(before);
        let first = (!again.is_empty()).then(|| done - again.len());
        equal("the first step at the position", &first, &bench.position("g", before).await?)?;

        secondary = bench.secondary("g").await?;
        let was_ready = before.iter().any(|step| step.to == Ready);
        if again.is_empty() {
            secondary.is_in(if was_ready { Ready } else { Starting })?;
        }
        secondary.told_all(again, true).await?;
        secondary.synced().await?;
        secondary.is_in(before.last().map_or(Starting, |step| step.to))?;
        match before.last() {
            Some(step) if step.to.is_operation() => secondary.gate_is_shut()?,
            _ => secondary.gate_opens().await?,
        }
        if let Some(next) = after.first() {
            bench.send(&among_others(next)).await?;
            secondary.told_all(std::slice::from_ref(next), false).await?;
        }
    }
    secondary.told_nothing().await?;
    secondary.counted("gaps", 0, |stats| stats.gaps)
}

async fn what_is_announced_while_no_secondary_lives_is_seen_by_the_next_one<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    // The group is known from the start, as that of a service which is down for a while.
    bench.secondary("g").await?.kill().await?;
    let coming = LIFE.iter().chain(&LIFE[2..]).map(|(from, to)| step(OWN, *from, *to));
    let mut coming = coming.collect::<Vec<_>>().into_iter();
    let mut log = Vec::new();
    for missed in [1, 1, 1, 2, 3, 2] {
        let again = uncommitted(&log).len();
        for step in coming.by_ref().take(missed) {
            bench.send(&among_others(&step)).await?;
            log.push(step);
        }
        let due = &log[log.len() - missed - again..];
        let mut secondary = bench.secondary("g").await?;
        secondary.told_all(due, true).await?;
        secondary.synced().await?;
        secondary.is_in(log.last().map_or(Starting, |step| step.to))?;
        secondary.told_nothing().await?;
        secondary.kill().await?;
    }
    Ok(())
}

async fn a_restart_in_the_middle_of_an_operation_sees_it_at_once_behind_1200_events_of_others<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let [ready, begins, ends] =
        [(Starting, Ready), (Ready, BackingUp), (BackingUp, Ready)].map(|(from, to)| step(OWN, from, to));
    bench.announce(std::slice::from_ref(&ready)).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&ready).await?;
    bench.announce(std::slice::from_ref(&begins)).await?;
    secondary.told(&begins).await?;
    bench.send(&noise(1200)).await?;
    bench
        .until("1,200 events of others to be read", || secondary.tracker.stats().other_application == 1200)
        .await?;
    for _ in 0..3 {
        secondary.kill().await?;
        secondary = bench.secondary("g").await?;
        secondary.gate_is_shut()?;
        secondary.told_all(std::slice::from_ref(&begins), true).await?;
        secondary.synced().await?;
        secondary.is_in(BackingUp)?;
        secondary.gate_is_shut()?;
        secondary.counted("events of others", 1200, |stats| stats.other_application)?;
    }
    bench.announce(std::slice::from_ref(&ends)).await?;
    secondary.told(&ends).await?;
    secondary.kill().await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.is_in(Ready)?;
    secondary.told_nothing().await
}

async fn a_restart_after_ready_is_ready_at_once_and_calls_no_listener<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    bench.announce(&life[..5]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told_all(&life[..5], true).await?;
    for _ in 0..3 {
        secondary.kill().await?;
        secondary = bench.secondary("g").await?;
        // Before anything is read.
        secondary.is_in(Ready)?;
        secondary.synced().await?;
        secondary.gate_opens().await?;
        secondary.told_nothing().await?;
        secondary.counted("applied steps", 0, |stats| stats.applied)?;
    }
    Ok(())
}

async fn closing_a_secondary_in_the_middle_of_an_operation_commits_nothing<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let life = life();
    bench.announce(&life[..2]).await?;
    for round in 0..3 {
        let mut secondary = bench.secondary("g").await?;
        secondary.told_all(&life[usize::from(round > 0)..2], true).await?;
        bench.clock.succeeds("closing a secondary", secondary.tracker.close()).await?;
        secondary.gate_is_shut()?;
        equal("the first step at the position", &Some(1), &bench.position("g", &life).await?)?;
    }
    Ok(())
}

async fn others_events_are_not_committed_while_an_operation_runs<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    bench.announce(&life[..2]).await?;
    let often = Duration::from_millis(1);
    let mut secondary =
        bench.secondary_with("g", |builder| builder.commit_interval(often).keep_alive(often)).await?;
    secondary.told_all(&life[..2], true).await?;
    let commits = secondary.tracker.stats().commits;
    for round in 1..=3 {
        bench.send(&noise(10)).await?;
        bench
            .until("others' events to be read", || secondary.tracker.stats().other_application == round * 10)
            .await?;
        // Time for the commits that would be due if it were Ready.
        secondary.told_nothing().await?;
    }
    secondary.counted("commits", commits, |stats| stats.commits)?;
    secondary.kill().await?;
    equal("the first step at the position", &Some(1), &bench.position("g", &life).await?)
}

async fn others_events_are_committed_while_ready<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    bench.announce(&life[..1]).await?;
    let often = Duration::from_millis(1);
    let mut secondary = bench.secondary_with("g", |builder| builder.commit_interval(often)).await?;
    secondary.told(&life[0]).await?;
    bench.send(&noise(100)).await?;
    bench.until("others' events to be read", || secondary.tracker.stats().other_application == 100).await?;
    let commits = secondary.tracker.stats().commits;
    let more = noise(1);
    bench.send(&more).await?;
    bench.until("one more commit", || secondary.tracker.stats().commits > commits).await?;
    secondary.kill().await?;
    // The last of them may be left, not all of them.
    let mut reader = bench.reader("g").await?;
    reader.resumed(true)?;
    let remaining = reader.remaining().await?;
    ensure(remaining <= 1, "one event at most to be read again", remaining)
}

async fn a_second_group_has_a_position_of_its_own<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    let mut first = bench.live_secondary("first").await?;
    bench.announce(&life[..3]).await?;
    first.told_all(&life[..3], false).await?;
    // A service that comes later reads all of it, and starts in Starting.
    let mut second = bench.secondary("second").await?;
    second.is_in(Starting)?;
    second.told_all(&life[..3], true).await?;
    bench.announce(&life[3..4]).await?;
    first.told(&life[3]).await?;
    second.told(&life[3]).await?;
    second.kill().await?;
    bench.announce(&life[4..5]).await?;
    first.told(&life[4]).await?;
    first.kill().await?;
    equal("the first group's position", &None, &bench.position("first", &life).await?)?;
    equal("the second group's position", &Some(3), &bench.position("second", &life).await?)?;
    let mut second = bench.secondary("second").await?;
    second.told_all(&life[3..5], true).await
}

async fn two_replicas_of_a_group_both_follow_and_share_the_position<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    let (mut one, mut two) = (bench.live_secondary("g").await?, bench.live_secondary("g").await?);
    bench.announce(&life[..2]).await?;
    one.told_all(&life[..2], false).await?;
    two.told_all(&life[..2], false).await?;
    // One dies in the middle of the operation; the other one hears of its end.
    one.kill().await?;
    let mut again = bench.secondary("g").await?;
    again.told_all(&life[1..2], true).await?;
    bench.announce(&life[2..3]).await?;
    again.told(&life[2]).await?;
    two.told(&life[2]).await?;
    again.kill().await?;
    two.kill().await?;
    let mut next = bench.secondary("g").await?;
    next.is_in(Ready)?;
    next.told_nothing().await
}
