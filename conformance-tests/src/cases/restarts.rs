//! Brokers that are restarted while somebody writes and somebody reads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::cases;
use crate::bench::{Bench, Outcome, PAUSE, failure};
use crate::harness::{Fault, Lane};
use crate::oracle::{Oracle, events};
use crate::profile::Ability;

cases! {
    a_restart_of_one_broker_under_load_loses_nothing_and_keeps_the_order = under_load(Fault::RestartOne): K1 K2 S1 S10 S14, needs RestartOne;
    a_rolling_restart_under_load_loses_nothing_and_keeps_the_order = under_load(Fault::Roll): K1 K2 S1 S10 S14, needs Roll;
}

async fn under_load<L: Lane>(bench: Bench<L>, fault: Fault) -> Outcome {
    let first = events(&["shop"], 1);
    bench.send(&first).await?;
    let (mut writer, mut reader) = (bench.writer().await?, bench.reader("g").await?);
    let over = AtomicBool::new(false);
    let (tell_last, last) = watch::channel(None);
    let writing = async {
        let (mut sent, mut repeated) = (first, HashSet::new());
        loop {
            let event = events(&["shop"], 1).remove(0);
            let is_last = over.load(Ordering::SeqCst);
            if is_last {
                tell_last.send_replace(Some(event.key));
            }
            if writer.send_at_last(&event).await? {
                repeated.insert(event.key);
            }
            sent.push(event);
            if is_last {
                return Ok((sent, repeated));
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let disturbing = async {
        bench.disturb(fault).await?;
        over.store(true, Ordering::SeqCst);
        Ok(())
    };
    let reading = async {
        let mut records = Vec::new();
        loop {
            let record = reader.next_at_last().await?;
            let key = record.key;
            records.push(record);
            if key.is_some() && *last.borrow() == key {
                return Ok(records);
            }
        }
    };
    let ((sent, repeated), (), records) = tokio::try_join!(writing, disturbing, reading)?;
    let mut oracle = Oracle::new(&sent);
    for record in &records {
        match record.key.filter(|key| oracle.has_seen(*key)) {
            // The log may hold an event twice whose first send ended unknown, and no other.
            Some(key) if !repeated.contains(&key) && bench.profile.reason(Ability::StoresOnce).is_none() => {
                let expected = "an event that was acknowledged at its only send to come once";
                return Err(failure(expected, format_args!("event {key} came again")));
            }
            Some(_) => {}
            None => oracle.check(record)?,
        }
    }
    match oracle.missing() {
        0 => Ok(()),
        missing => Err(failure("every event that was acknowledged", format_args!("{missing} did not come"))),
    }
}
