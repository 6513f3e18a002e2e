//! K2, for sends whose outcome is unknown: such an event comes before what was acknowledged later, or not at all.

use backup_tracker::{Delivery, EventSource};

use super::cases;
use crate::bench::{Bench, Outcome, ensure, failure, transient};
use crate::harness::{Fault, Lane};
use crate::oracle::events;

cases! {
    a_send_that_failed_in_a_cut_comes_before_later_ones_or_not_at_all = in_time_or_never(Fault::Cut): K2 K3, needs Cut;
    a_send_that_failed_in_a_black_hole_comes_before_later_ones_or_not_at_all = in_time_or_never(Fault::BlackHole): K2 K3, needs BlackHole;
    a_send_whose_answer_was_lost_comes_before_later_ones_or_not_at_all = in_time_or_never(Fault::LostAnswers): K2 K3, needs LostAnswers;
    a_send_that_failed_at_a_stopped_broker_comes_before_later_ones_or_not_at_all = in_time_or_never(Fault::Stop): K2 K3, needs Stop;
}

async fn in_time_or_never<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    // One application, so that all of it is one partition.
    let events = events(&["shop"], 6);
    let (first, early, later) = (&events[0], &events[1], &events[2..]);
    let mut writer = bench.writer().await?;
    writer.send(first).await?;
    bench.gone(fault).await?;
    let not_sent = match writer.try_send(early).await? {
        Ok(()) => return Err(failure("an error while the broker is gone", "the send succeeded")),
        Err(error) => {
            transient(&error)?;
            error.delivery() == Delivery::NotSent
        }
    };
    bench.heal().await?;
    for event in later {
        writer.send_at_last(event).await?;
    }

    let mut reader = bench.reader("g").await?;
    let mut log = Vec::new();
    let last = later.last().map(|event| event.key);
    while log.last() != Some(&last) {
        log.push(reader.next_at_last().await?.key);
    }
    // What waits in some buffer may still come.
    let expected = "nothing more, or a repetition of the last events";
    while let Some(next) = bench.clock.nothing(expected, reader.source.next()).await {
        match next {
            Ok(Some(record)) => log.push(record.key),
            Ok(None) => return Err(failure(expected, "`next` returned None: the source ended")),
            Err(error) => transient(&error)?,
        }
    }

    let place = |key| log.iter().rposition(|found| *found == Some(key));
    let (early_place, later_place) = (place(early.key), place(later[0].key));
    if not_sent {
        ensure(early_place.is_none(), "an event that was not sent to be missing", "it is in the log")?;
    }
    ensure(
        early_place < later_place,
        format_args!(
            "event {} before {}, which was acknowledged later, or not at all",
            early.key, later[0].key
        ),
        format_args!("it is record {early_place:?} of the log, and the later one is record {later_place:?}"),
    )
}
