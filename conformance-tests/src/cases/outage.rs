//! What holds while the broker is gone, and when it is back.

use backup_tracker::{EventSource, Sink};

use super::cases;
use crate::bench::{Bench, Outcome, ensure, failure, transient};
use crate::harness::{Fault, Lane};
use crate::oracle::{APPLICATIONS, Oracle, events, show};
use crate::reader::{Reader, poll_times};

cases! {
    after_a_cut_next_goes_on_and_loses_nothing = reading_goes_on(Fault::Cut): S10 S2, needs Cut;
    after_a_black_hole_next_goes_on_and_loses_nothing = reading_goes_on(Fault::BlackHole): S10 S2, needs BlackHole;
    after_lost_answers_next_goes_on_and_loses_nothing = reading_goes_on(Fault::LostAnswers): S10 S2, needs LostAnswers;
    after_the_brokers_death_next_goes_on_and_loses_nothing = reading_goes_on(Fault::Kill): S10 S2, needs Kill;
    after_the_broker_was_stopped_next_goes_on_and_loses_nothing = reading_goes_on(Fault::Stop): S10 S2, needs Stop;
    a_commit_during_a_cut_is_not_confirmed_and_a_later_one_repairs_it = commit_fails(Fault::Cut): S5, needs Cut;
    a_commit_into_a_black_hole_is_not_confirmed_and_a_later_one_repairs_it = commit_fails(Fault::BlackHole): S5, needs BlackHole;
    a_commit_whose_answer_is_lost_is_not_confirmed_and_a_later_one_repairs_it = commit_fails(Fault::LostAnswers): S5, needs LostAnswers;
    a_commit_to_a_dead_broker_is_not_confirmed_and_a_later_one_repairs_it = commit_fails(Fault::Kill): S5, needs Kill;
    a_commit_to_a_stopped_broker_is_not_confirmed_and_a_later_one_repairs_it = commit_fails(Fault::Stop): S5, needs Stop;
    what_was_acknowledged_and_committed_survives_the_brokers_death = survives(Fault::Kill): K1 S5, needs Kill;
    what_was_acknowledged_and_committed_survives_the_brokers_stop = survives(Fault::Stop): K1 S5, needs Stop;
    drop_and_close_are_prompt_during_a_cut = ends_promptly(Fault::Cut): S7, needs Cut;
    drop_and_close_are_prompt_in_a_black_hole = ends_promptly(Fault::BlackHole): S7, needs BlackHole;
    drop_and_close_are_prompt_while_answers_are_lost = ends_promptly(Fault::LostAnswers): S7, needs LostAnswers;
    drop_and_close_are_prompt_with_the_broker_dead = ends_promptly(Fault::Kill): S7, needs Kill;
    drop_and_close_are_prompt_with_the_broker_stopped = ends_promptly(Fault::Stop): S7, needs Stop;
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
    bench.gone(fault).await?;
    // What was fetched may still come; then nothing, or an error that passes. Never an end.
    for _ in 0..before.len() {
        let next = reader.source.next();
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
        writer.send_at_last(event).await?;
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
    bench.gone(fault).await?;
    let expected = "a commit to be unconfirmed while the broker is gone";
    let committing = reader.source.commit();
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

async fn survives<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let events = events(&APPLICATIONS, 30);
    bench.send(&events).await?;
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&events, 10).await?;
    reader.commit().await?;
    drop(reader);
    bench.gone(fault).await?;
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
    bench.gone(fault).await?;
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
    let mut oracle = Oracle::new(&events);
    while oracle.missing() > 0 {
        let record = reader.next().await?;
        // What was left half way may have arrived all the same, and on a log of several partitions before the rest.
        if record.key != Some(events[0].key) || !oracle.has_seen(events[0].key) {
            oracle.check(&record)?;
        }
    }
    Ok(())
}
