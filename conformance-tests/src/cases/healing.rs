//! K6: after a failed send, a sink sends as soon as a new one could.

use backup_tracker::{Delivery, Sink};

use super::cases;
use crate::bench::{Bench, Outcome, ensure, failure, transient};
use crate::harness::{Fault, Lane};
use crate::oracle::{events, show};

cases! {
    after_a_send_that_failed_in_a_cut_the_next_one_succeeds_as_a_new_sinks_would = heals(Fault::Cut): K6 K2, needs Cut;
    after_a_send_that_failed_in_a_black_hole_the_next_one_succeeds_as_a_new_sinks_would = heals(Fault::BlackHole): K6 K2, needs BlackHole;
    after_a_send_whose_answer_was_lost_the_next_one_succeeds_as_a_new_sinks_would = heals(Fault::LostAnswers): K6 K2, needs LostAnswers;
    after_a_send_to_a_dead_broker_the_next_one_succeeds_as_a_new_sinks_would = heals(Fault::Kill): K6 K2, needs Kill;
    after_a_send_to_a_stopped_broker_the_next_one_succeeds_as_a_new_sinks_would = heals(Fault::Stop): K6 K2, needs Stop;
}

async fn heals<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    // One application, so that all of it is one partition.
    let events = events(&["shop"], 6);
    let [first, failed, failed_too, fresh, next, last] = &events[..] else {
        return Err(failure("six events", events.len()));
    };
    let mut writer = bench.writer().await?;
    writer.send(first).await?;
    bench.gone(fault).await?;
    let mut not_sent = Vec::new();
    for event in [failed, failed_too] {
        match writer.try_send(event).await? {
            Ok(()) => return Err(failure("an error while the broker is gone", "the send succeeded")),
            Err(error) => {
                transient(&error)?;
                if error.delivery() == Delivery::NotSent {
                    not_sent.push(event.key);
                }
            }
        }
    }
    bench.heal().await?;
    // Once a new sink has sent, the old one has no excuse.
    bench.writer().await?.send_at_last(fresh).await?;
    let healed = "a send of the sink that failed, after that of a new one";
    bench.clock.succeeds(healed, writer.sink.send(next)).await?;
    writer.send(last).await?;

    // What failed comes before what the same sink was told succeeded later, or not at all.
    let mut reader = bench.reader("g").await?;
    let mut log = Vec::new();
    while log.last() != Some(&Some(last.key)) {
        let record = reader.next_at_last().await?;
        let may_come = record.key.is_none_or(|key| !not_sent.contains(&key));
        ensure(may_come, "an event that was not sent to be missing", show(&record))?;
        log.push(record.key);
    }
    reader.nothing().await?;
    let place = |key| log.iter().rposition(|found| *found == Some(key));
    for event in [failed, failed_too] {
        ensure(
            place(event.key) < place(next.key),
            format_args!("event {} before {}, which succeeded later, or not at all", event.key, next.key),
            format_args!("they are records {:?} and {:?} of the log", place(event.key), place(next.key)),
        )?;
    }
    ensure(place(first.key) == Some(0), "the first event first", format_args!("{log:?}"))
}
