//! What a source leaves out of what others write, once it may. Whether it leaves out anything is its own affair.

use std::collections::HashSet;

use super::cases;
use backup_tracker::wire::{Others, encode};
use backup_tracker::{BackupState, BackupTransition, Event, EventSource, Record, WireFormat};
use uuid::Uuid;

use crate::bench::{Bench, Outcome, ensure, equal, failure, transient};
use crate::harness::{Fault, Lane};
use crate::oracle::{APPLICATIONS, Oracle};
use crate::reader::Reader;

cases! {
    what_others_write_is_left_out_at_most_and_our_own_comes_in_order: S1 S2;
    cancelling_next_while_others_are_left_out_loses_and_repeats_nothing: S6 S2;
    a_commit_covers_what_was_left_out_and_nothing_behind_it: S4 S3;
    after_an_outage_others_are_still_counted_once: S10 S2, needs Cut;
    what_remains_is_never_too_few_while_others_are_left_out: T10;
}

/// Whose own events the source must return.
const OWN: &str = APPLICATIONS[0];

/// Transitions in every format: runs of others, of several applications and of one, with some of our own in between.
fn mixed() -> Vec<Event> {
    let (from, to) = (BackupState::Ready, BackupState::BackingUp);
    let event = |number: usize, application: &str| {
        let format = WireFormat::ALL[number % WireFormat::ALL.len()];
        encode(&BackupTransition::new(Uuid::new_v4(), application, 1, from, to), format)
    };
    let applications = (0..).map(|number| match number % 7 {
        2 | 3 => OWN,
        turn if number < 21 => APPLICATIONS[1 + turn % 4],
        _ => "maps",
    });
    (0..).zip(applications).take(90).map(|(number, application)| event(number, application)).collect()
}

/// Our own events, one by one, and how many of others are missing.
struct Expected {
    own: Oracle,
    others: u64,
    keys_of_others: HashSet<Uuid>,
}

impl Expected {
    fn of(events: &[Event]) -> Self {
        let (own, others): (Vec<_>, Vec<_>) =
            events.iter().cloned().partition(|event| &*event.application == OWN);
        let keys_of_others: HashSet<_> = others.iter().map(|event| event.key).collect();
        Self { own: Oracle::new(&own), others: others.len() as u64, keys_of_others }
    }

    fn is_missing(&self) -> u64 {
        self.others + self.own.missing() as u64
    }

    /// Takes an answer, which is one of our own, one of others, or stands for some of others.
    fn check(&mut self, record: &Record) -> Outcome {
        let others = match record.left_out {
            0 if record.key.is_some_and(|key| self.keys_of_others.contains(&key)) => 1,
            0 => return self.own.check(record),
            count => count,
        };
        let missing = self.others;
        self.others = missing.checked_sub(others).ok_or_else(|| {
            failure(
                format_args!("at most {missing} events of others, which did not come yet"),
                format_args!("{others} of them, at {}", record.position),
            )
        })?;
        Ok(())
    }
}

async fn reader<L: Lane>(bench: &Bench<L>) -> Outcome<Reader<L::Source>> {
    let mut reader = bench.reader("g").await?;
    reader.source.leave_out(Others::than(OWN));
    Ok(reader)
}

async fn what_others_write_is_left_out_at_most_and_our_own_comes_in_order<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let events = mixed();
    let (before, after) = events.split_at(60);
    let mut writer = bench.writer().await?;
    writer.send_all(before).await?;
    let mut reader = reader(&bench).await?;
    let mut expected = Expected::of(&events);
    let reading = async {
        while expected.is_missing() > 0 {
            expected.check(&reader.next().await?)?;
        }
        Ok(())
    };
    let (sent, read) = tokio::join!(writer.send_all(after), reading);
    sent.and(read)?;
    reader.nothing().await
}

async fn cancelling_next_while_others_are_left_out_loses_and_repeats_nothing<L: Lane>(
    bench: Bench<L>,
) -> Outcome {
    let events = mixed();
    let (mut writer, mut reader) = (bench.writer().await?, reader(&bench).await?);
    let mut expected = Expected::of(&events);
    let reading = async {
        for polls in 0..200 {
            if let Some(record) = reader.next_or_cancel(polls % 9).await? {
                expected.check(&record)?;
            }
        }
        while expected.is_missing() > 0 {
            expected.check(&reader.next().await?)?;
        }
        Ok(())
    };
    let (sent, read) = tokio::join!(writer.send_all(&events), reading);
    sent.and(read)?;
    reader.nothing().await
}

async fn after_an_outage_others_are_still_counted_once<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = mixed();
    let (before, after) = events.split_at(60);
    bench.send(before).await?;
    let mut reader = reader(&bench).await?;
    let mut expected = Expected::of(&events);
    while expected.is_missing() > 70 {
        expected.check(&reader.next().await?)?;
    }
    bench.gone(Fault::Cut).await?;
    // What was fetched may still come.
    while let Some(next) = bench.clock.nothing("nothing more", reader.source.next()).await {
        match next {
            Ok(Some(record)) => expected.check(&record)?,
            Ok(None) => return Err(failure("a source that waits", "`next` returned None: the source ended")),
            Err(error) => {
                transient(&error)?;
                break;
            }
        }
    }
    bench.heal().await?;
    let mut writer = bench.writer().await?;
    for event in after {
        writer.send_at_last(event).await?;
    }
    while expected.is_missing() > 0 {
        expected.check(&reader.next_at_last().await?)?;
    }
    reader.nothing().await
}

async fn a_commit_covers_what_was_left_out_and_nothing_behind_it<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = mixed();
    let mut writer = bench.writer().await?;
    let mut expected = Expected::of(&events);
    let mut to_come = events.chunks(15);
    let mut unsent = events.len() as u64;
    while expected.is_missing() > 0 {
        let mut reader = reader(&bench).await?;
        // After opening, because a source may have read ahead by the time it is told that it may leave something out.
        if let Some(chunk) = to_come.next() {
            writer.send_all(chunk).await?;
            unsent -= chunk.len() as u64;
        }
        let mut left_out = 0;
        while left_out == 0 && expected.is_missing() > unsent {
            let record = reader.next().await?;
            expected.check(&record)?;
            left_out = record.left_out;
        }
        reader.commit().await?;
        // What is read behind the commit comes again.
        if expected.is_missing() > unsent {
            reader.next().await?;
        }
    }
    let mut last = reader(&bench).await?;
    last.resumed(true)?;
    last.nothing().await
}

async fn what_remains_is_never_too_few_while_others_are_left_out<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = mixed();
    let mut reader = reader(&bench).await?;
    bench.send(&events).await?;
    let mut expected = Expected::of(&events);
    while expected.is_missing() > 0 {
        let (remaining, at_least) = (reader.remaining().await?, expected.is_missing());
        ensure(remaining >= at_least, format_args!("at least {at_least} to remain"), remaining)?;
        expected.check(&reader.next().await?)?;
    }
    reader.nothing().await?;
    equal("what remains at the end", &0, &reader.remaining().await?)
}
