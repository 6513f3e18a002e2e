//! S15: order and counts within a partition, whatever application the records are about; and whether positions are right.

use std::collections::{BTreeMap, HashMap, HashSet};

use backup_tracker::BackupState::{BackingUp, Ready};
use backup_tracker::{Event, EventSource, Position, Record};
use uuid::Uuid;

use super::cases;
use crate::bench::{Bench, Outcome, PAUSE, ensure, equal, failure};
use crate::harness::Lane;
use crate::oracle::{APPLICATIONS, Oracle, events, show};
use crate::reader::Reader;
use crate::scene::{LIFE, OWN, event, noise, step};

cases! {
    within_a_partition_everything_comes_in_the_logs_order: S15 S3;
    remaining_counts_each_partition_for_itself: S15;
    a_records_position_is_its_own_and_the_same_in_every_session: S15 S3;
    newer_records_of_others_do_not_end_a_secondarys_backlog: T10 S15;
}

/// Applications that write only after a session has begun.
const LATER: [&str; 3] = ["maps", "mail", "倉庫-2"];

/// Where each event stands, as a reader of its own sees it. It must see no more than these.
async fn places<L: Lane>(bench: &Bench<L>, events: &[Event]) -> Outcome<HashMap<Uuid, Position>> {
    let mut reader = bench.reader("places").await?;
    let mut oracle = Oracle::new(events);
    let mut places = HashMap::new();
    while oracle.missing() > 0 {
        let record = reader.next().await?;
        oracle.check(&record)?;
        places.extend(record.key.map(|key| (key, record.position)));
    }
    Ok(places)
}

/// The keys of each partition, in this order.
fn by_partition(
    keys: impl Iterator<Item = Uuid>,
    places: &HashMap<Uuid, Position>,
) -> BTreeMap<usize, Vec<Uuid>> {
    let mut partitions: BTreeMap<usize, Vec<Uuid>> = BTreeMap::new();
    for key in keys {
        let partition = places.get(&key).map_or(0, |place| place.partition());
        partitions.entry(partition).or_default().push(key);
    }
    partitions
}

async fn within_a_partition_everything_comes_in_the_logs_order<L: Lane>(bench: Bench<L>) -> Outcome {
    let older = events(&APPLICATIONS, 20);
    let newer = events(&[APPLICATIONS.as_slice(), &LATER].concat(), 24);
    let mut writer = bench.writer().await?;
    writer.send_all(&older).await?;
    let mut reader = bench.reader("g").await?;
    let left = reader.take(&older, 5).await?;
    reader.commit().await?;
    drop(reader);

    let mut reader = bench.reader("g").await?;
    writer.send_all(&newer).await?;
    let due = [left, newer.clone()].concat();
    let mut seen = Vec::new();
    let mut oracle = Oracle::new(&due);
    while oracle.missing() > 0 {
        let record = reader.next().await?;
        oracle.check(&record)?;
        seen.extend(record.key);
    }
    let places = places(&bench, &[older, newer].concat()).await?;
    let expected = by_partition(due.iter().map(|event| event.key), &places);
    equal("the order of each partition", &expected, &by_partition(seen.into_iter(), &places))
}

async fn remaining_counts_each_partition_for_itself<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&[APPLICATIONS.as_slice(), &LATER].concat(), 40);
    let mut writer = bench.writer().await?;
    writer.send_all(&events[..30]).await?;
    let mut reader = bench.reader("g").await?;
    writer.send_all(&events[30..]).await?;
    let places = places(&bench, &events).await?;
    let mut outstanding = by_partition(events.iter().map(|event| event.key), &places);
    let somewhere: HashMap<usize, Position> =
        places.values().map(|place| (place.partition(), *place)).collect();
    for _ in 0..events.len() {
        let counts = reader.counts().await?;
        for (partition, keys) in &outstanding {
            let count = somewhere.get(partition).map_or(0, |place| counts.at(*place));
            ensure(
                count >= keys.len() as u64,
                format_args!("at least {} records to remain in partition {partition}", keys.len()),
                format_args!("{count} of {counts:?}"),
            )?;
        }
        let record = reader.next().await?;
        equal(
            &format!("the position of {}", show(&record)),
            &record.key.and_then(|key| places.get(&key).copied()),
            &Some(record.position),
        )?;
        if let Some(keys) = outstanding.get_mut(&record.position.partition()) {
            keys.retain(|key| Some(*key) != record.key);
        }
    }
    reader.nothing().await?;
    let counts = reader.counts().await?;
    for place in places.values() {
        equal(&format!("what remains where {place} is"), &0, &counts.at(*place))?;
    }
    Ok(())
}

/// The number of a record within its partition, to be compared.
fn number(position: Position) -> Outcome<(u64, u64)> {
    match position {
        Position::Offset(offset) | Position::Partition { offset, .. } => Ok((offset, 0)),
        Position::Entry { millis, sequence } => Ok((millis, sequence)),
        other => Err(failure("a position of a known form", other)),
    }
}

/// Reads so many records, whose positions must be new, go up within each partition, and be those that are known.
async fn positions<S: EventSource>(
    reader: &mut Reader<S>,
    count: usize,
    known: &mut HashMap<Uuid, Position>,
) -> Outcome {
    let mut last: HashMap<usize, (u64, u64)> = HashMap::new();
    let mut seen = HashSet::new();
    for _ in 0..count {
        let record: Record = reader.next().await?;
        let position = record.position;
        ensure(seen.insert(position), "each record at a position of its own", show(&record))?;
        let number = number(position)?;
        let before = last.insert(position.partition(), number);
        ensure(
            before.is_none_or(|before| before < number),
            "positions that go up within a partition",
            format_args!("{} after {before:?}", show(&record)),
        )?;
        if let Some(key) = record.key {
            let known = *known.entry(key).or_insert(position);
            equal(&format!("the position of event {key} in every session"), &known, &position)?;
        }
    }
    Ok(())
}

async fn a_records_position_is_its_own_and_the_same_in_every_session<L: Lane>(bench: Bench<L>) -> Outcome {
    let events = events(&APPLICATIONS, 30);
    bench.send(&events).await?;
    let mut known = HashMap::new();
    let mut reader = bench.reader("g").await?;
    positions(&mut reader, 10, &mut known).await?;
    reader.commit().await?;
    positions(&mut reader, 10, &mut known).await?;
    drop(reader);
    positions(&mut bench.reader("g").await?, 20, &mut known).await?;
    positions(&mut bench.reader("other").await?, 30, &mut known).await?;
    equal("how many events came", &30, &known.len())
}

async fn newer_records_of_others_do_not_end_a_secondarys_backlog<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = LIFE.map(|(from, to)| step(OWN, from, to));
    bench.announce(&life[..1]).await?;
    let mut secondary = bench.secondary("g").await?;
    secondary.told(&life[0]).await?;
    secondary.synced().await?;
    secondary.kill().await?;

    let mut writer = bench.writer().await?;
    writer.send_all(&noise(3)).await?;
    writer.send(&event(&life[1])).await?;
    let later = LATER.iter().cycle().take(12);
    let later: Vec<_> = later.map(|other| event(&step(other, Ready, BackingUp))).collect();
    // Resumed in Ready, with the beginning of a backup outstanding, and newer records while it is read.
    let mut secondary = bench.secondary("g").await?;
    let gate = secondary.tracker.gate();
    let entered = async {
        let _permit = gate.enter().await;
    };
    let following = async {
        for event in &later {
            writer.send(event).await?;
            // So that some come after what remains was counted, wherever that happens to be.
            tokio::time::sleep(PAUSE).await;
        }
        secondary.told_all(&life[1..2], true).await?;
        secondary.synced().await
    };
    tokio::select! {
        biased;
        () = entered => return Err(failure("nobody to pass the gate during a backup", "somebody did")),
        followed = following => followed?,
    }
    secondary.is_in(BackingUp)?;
    secondary.gate_is_shut()
}
