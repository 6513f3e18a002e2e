//! Whether the log still is the one that was read (S12).
//!
//! A topic that was deleted and created again has the same name and the same offsets, and a partition whose tail was lost is
//! written again at the same offsets. So what counts is not only that the log holds an offset, but that the record before it is
//! the one that was read.

use std::time::Duration;

use backup_tracker::ErrorKind;
use rdkafka::Message;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::blocking::Deadline;
use crate::error::{code_of, kind_of};
use crate::positions::{self, Client, Progress};
use crate::seen::Seen;

/// Between two looks at the time.
const POLL: Duration = Duration::from_millis(50);

/// What the log holds of what was read.
#[derive(Debug)]
pub(crate) struct Checked {
    /// From where to go on: as before, or at the earliest record where that is lost.
    pub(crate) progress: Vec<Progress>,
    /// The end of each partition.
    pub(crate) high: Vec<i64>,
    /// Partitions that do not hold what was read, and the offset that was next.
    pub(crate) lost: Vec<(usize, i64)>,
}

/// Compares what was read with what the log holds. Afterwards the client reads nothing, or only what was compared: assign it anew.
pub(crate) fn check(
    client: &Client,
    topic: &str,
    progress: &[Progress],
    deadline: Deadline,
) -> KafkaResult<Checked> {
    let count = progress.len();
    let low = positions::low(client, topic, count, deadline.left())?;
    let high = positions::high(client, topic, count, deadline.left())?;
    let mut checked = Checked { progress: progress.to_vec(), high, lost: Vec::new() };
    for (partition, progress) in checked.progress.iter_mut().enumerate() {
        if !(low[partition]..=checked.high[partition]).contains(&progress.next) {
            checked.lost.push((partition, progress.next));
            *progress = Progress::at(low[partition]);
        }
    }
    for partition in compare(client, topic, &mut checked.progress, &low, false, deadline)? {
        checked.lost.push((partition, checked.progress[partition].next));
        checked.progress[partition] = Progress::at(low[partition]);
    }
    checked.lost.sort_unstable();
    Ok(checked)
}

/// What is known of the record before a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// This one must stand there.
    This(Seen),
    /// Whatever stands there, before this offset, is noted.
    Any(i64),
}

/// The partitions in which another record stands before the position than the one that was read. Where nothing is known of that
/// record, it is noted in the progress; where it is not in the log any more, nothing can be compared. With `every`, each leader
/// has to answer a fetch all the same, so that a client that may not read learns it now.
pub(crate) fn compare(
    client: &Client,
    topic: &str,
    progress: &mut [Progress],
    low: &[i64],
    every: bool,
    deadline: Deadline,
) -> KafkaResult<Vec<usize>> {
    let mut wanted: Vec<Option<Wanted>> = vec![None; progress.len()];
    let mut begins = Vec::new();
    for (partition, (progress, low)) in progress.iter_mut().zip(low).enumerate() {
        let (at, want) = match progress.behind {
            Some(seen) => (seen.offset, Wanted::This(seen)),
            None => (progress.next - 1, Wanted::Any(progress.next)),
        };
        if at >= *low {
            wanted[partition] = Some(want);
            begins.push((partition, at));
        } else {
            progress.behind = None;
            if every {
                wanted[partition] = Some(Wanted::Any(progress.next));
                begins.push((partition, progress.next));
            }
        }
    }
    if begins.is_empty() {
        return Ok(Vec::new());
    }
    positions::read_from(client, topic, begins.into_iter())?;
    let mut different = Vec::new();
    let mut last = KafkaError::Global(RDKafkaErrorCode::OperationTimedOut);
    while wanted.iter().any(Option::is_some) {
        let (partition, found) = match client.poll(POLL.min(deadline.left())) {
            Some(Ok(message)) => (message.partition(), Some(Seen::of(&message))),
            // The log ends where the record should be. Its bounds were asked for before, so that is not for now only.
            Some(Err(KafkaError::PartitionEOF(partition))) => (partition, None),
            Some(Err(cause)) => {
                // Of an observer's group, which is none. Another group's client has asked for its position by now.
                let code = code_of(&cause);
                let passes = code == Some(RDKafkaErrorCode::GroupAuthorizationFailed)
                    || code.is_some_and(|code| !matches!(kind_of(code), ErrorKind::Denied | ErrorKind::Lost));
                if !passes {
                    return Err(cause);
                }
                last = cause;
                continue;
            }
            None if deadline.is_over() => return Err(last),
            None => continue,
        };
        let Some((partition, slot)) = usize::try_from(partition)
            .ok()
            .and_then(|partition| Some((partition, wanted.get_mut(partition)?)))
        else {
            continue;
        };
        match (slot.take(), found) {
            (Some(Wanted::This(seen)), found) if found != Some(seen) => different.push(partition),
            (Some(Wanted::Any(next)), Some(seen)) if seen.offset < next => {
                progress[partition].behind = Some(seen);
            }
            _ => {}
        }
    }
    Ok(different)
}
