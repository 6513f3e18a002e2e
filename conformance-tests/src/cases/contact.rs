//! S13: a source that is out of contact with its log says so in time, goes on saying so, and finds back by itself.

use backup_tracker::BackupState::Ready;
use backup_tracker::{EventSource, Health};

use super::cases;
use crate::bench::{Bench, Outcome, PAUSE, ensure, failure, transient};
use crate::harness::{Fault, Lane};
use crate::oracle::{Oracle, events, show};
use crate::reader::Reader;
use crate::scene::{LIFE, OWN, event, step};

cases! {
    a_quiet_source_in_a_black_hole_says_so_within_the_contact_time = quiet(Fault::BlackHole): S13 S10, needs BlackHole;
    a_quiet_source_whose_answers_are_lost_says_so_within_the_contact_time = quiet(Fault::LostAnswers): S13 S10, needs LostAnswers;
    a_quiet_source_that_one_leader_does_not_answer_says_so_within_the_contact_time = quiet(Fault::PartialBlackHole): S13 S10, needs PartialBlackHole;
    a_next_that_waits_in_a_black_hole_says_so_within_the_contact_time = waiting(Fault::BlackHole): S13 S10, needs BlackHole;
    a_next_that_waits_while_answers_are_lost_says_so_within_the_contact_time = waiting(Fault::LostAnswers): S13 S10, needs LostAnswers;
    a_next_that_waits_for_one_leader_says_so_within_the_contact_time = waiting(Fault::PartialBlackHole): S13 S10, needs PartialBlackHole;
    a_secondary_in_a_black_hole_shows_it_within_the_contact_time = shows(Fault::BlackHole): S13 T9, needs BlackHole;
    a_secondary_whose_answers_are_lost_shows_it_within_the_contact_time = shows(Fault::LostAnswers): S13 T9, needs LostAnswers;
    a_secondary_that_one_leader_does_not_answer_shows_it_within_the_contact_time = shows(Fault::PartialBlackHole): S13 T9, needs PartialBlackHole;
    commit_and_remaining_answer_in_a_black_hole = answer(Fault::BlackHole): S13 S10, needs BlackHole;
    commit_and_remaining_answer_while_answers_are_lost = answer(Fault::LostAnswers): S13 S10, needs LostAnswers;
    a_source_that_is_idle_and_in_contact_says_nothing: S13;
}

/// Nothing comes, and `next` says why.
async fn says_so<L: Lane>(bench: &Bench<L>, reader: &mut Reader<L::Source>) -> Outcome {
    let expected = "Unavailable from `next`, which is out of contact";
    match bench.clock.within(expected, bench.clock.contact, reader.source.next()).await? {
        Err(error) => transient(&error),
        Ok(Some(record)) => Err(failure(expected, show(&record))),
        Ok(None) => Err(failure(expected, "`next` returned None: the source ended")),
    }
}

async fn quiet<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    out_of_contact(bench, fault, false).await
}

async fn waiting<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    out_of_contact(bench, fault, true).await
}

async fn out_of_contact<L: Lane>(bench: Bench<L>, fault: Fault, waits: bool) -> Outcome {
    // One application, so that all of it is on the broker that does not answer.
    let events = events(&["shop"], 9);
    let (before, after) = events.split_at(3);
    bench.send(before).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(before).await?;
    reader.commit().await?;
    if waits {
        let (begun, said) = tokio::join!(bench.begin(fault), says_so(&bench, &mut reader));
        begun.and(said)?;
    } else {
        bench.begin(fault).await?;
        says_so(&bench, &mut reader).await?;
    }
    let (meanwhile, afterwards) = after.split_at(3);
    let is_sent = bench.send_past(meanwhile).await?;
    for _ in 0..2 {
        says_so(&bench, &mut reader).await?;
    }
    bench.heal().await?;
    let mut oracle = Oracle::new(after);
    if is_sent {
        // By itself, and although nothing new is sent.
        for _ in meanwhile {
            oracle.check(&reader.next_at_last().await?)?;
        }
    }
    let mut writer = bench.writer().await?;
    for event in if is_sent { afterwards } else { after } {
        writer.send_at_last(event).await?;
    }
    while oracle.missing() > 0 {
        oracle.check(&reader.next_at_last().await?)?;
    }
    reader.nothing().await?;
    reader.commit_at_last().await
}

async fn shows<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.gate_opens().await?;
    bench.begin(fault).await?;
    let troubled = secondary.tracker.health_is(|health| !health.is_healthy());
    let what = "trouble, the secondary being out of contact";
    let health = bench.clock.within(what, bench.clock.contact, troubled).await?;
    ensure(matches!(health, Health::Troubled { .. }), "to be troubled", &health)?;
    secondary.is_in(Ready)?;
    let is_sent = bench.send_past(&[event(&life[1])]).await?;
    bench.heal().await?;
    if !is_sent {
        bench.writer().await?.send_at_last(&event(&life[1])).await?;
    }
    secondary.told_all(&life[1..2], false).await?;
    let healthy = secondary.tracker.health_is(Health::is_healthy);
    bench.clock.within("a healthy secondary", bench.clock.patience, healthy).await?;
    secondary.gate_is_shut()?;
    secondary.counted("losses", 0, |stats| stats.losses)?;
    secondary.counted("gaps", 0, |stats| stats.gaps)
}

async fn answer<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&["shop"], 4);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    reader.expect(&events[..2]).await?;
    bench.gone(fault).await?;
    let expected = "an answer of `commit`, the broker being out of reach";
    match bench.clock.within(expected, bench.clock.contact, reader.source.commit()).await? {
        Ok(()) => return Err(failure("a commit to be unconfirmed", "it was confirmed")),
        Err(error) => transient(&error)?,
    }
    let expected = "an answer of `remaining`, the broker being out of reach";
    match bench.clock.within(expected, bench.clock.contact, reader.source.remaining()).await? {
        // It may be known.
        Ok(counts) => ensure(counts.total() >= 2, "at least 2 to remain", counts.total())?,
        Err(error) => transient(&error)?,
    }
    bench.heal().await?;
    reader.commit_at_last().await?;
    reader.remaining_at_last().await?;
    Ok(())
}

/// Without a fault there is nothing to say, however long nothing comes.
async fn a_source_that_is_idle_and_in_contact_says_nothing<L: Lane>(bench: Bench<L>) -> Outcome {
    let mut reader = bench.reader("g").await?;
    let idling = bench.profile.contact_time() * 2 + PAUSE;
    let waited = tokio::time::timeout(idling, reader.next_unbounded()).await;
    match waited {
        Err(_) => {}
        Ok(answer) => {
            let expected = format!("nothing for {idling:?}");
            return Err(match answer? {
                Some(record) => failure(expected, show(&record)),
                None => failure(expected, "`next` returned None: the source ended"),
            });
        }
    }
    let events = events(&["shop"], 2);
    bench.send(&events).await?;
    reader.expect_only(&events).await
}
