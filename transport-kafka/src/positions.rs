//! Where a session begins: the group's position, compared with what the log holds.

use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind, Result, StartAt};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::blocking::{Deadline, SLICE};
use crate::context::Context;
use crate::error::KafkaErrors;
use crate::mark::Mark;
use crate::seen::Seen;

pub(crate) type Client = BaseConsumer<Context>;

/// How long to wait for another event of librdkafka's. A poll without a wait takes one alone, be it a line for the log, and a
/// refusal would come behind all of these.
const EVENTS: Duration = Duration::from_millis(5);

/// A group's offset in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) offset: i64,
    pub(crate) mark: Mark,
}

/// How far a partition was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The offset to read next.
    pub(crate) next: i64,
    /// The last record before it, where it is known.
    pub(crate) behind: Option<Seen>,
}

impl Progress {
    /// Nothing was read yet, and this offset is next.
    pub(crate) const fn at(next: i64) -> Self {
        Self { next, behind: None }
    }
}

/// Where to read each partition from, and what that means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) progress: Vec<Progress>,
    /// An earlier session committed, and the log still holds what follows.
    pub(crate) resumed: bool,
    /// Nothing is stored for the group, so its start is to be fixed.
    pub(crate) is_new: bool,
    /// `(partition, the position that the log does not hold)`.
    pub(crate) lost: Vec<(usize, i64)>,
}

pub(crate) fn plan(stored: &[Option<Stored>], low: &[i64], high: &[i64], start: StartAt) -> Plan {
    let is_new = stored.iter().all(Option::is_none);
    let mut lost = Vec::new();
    let progress = stored
        .iter()
        .zip(low.iter().zip(high))
        .enumerate()
        .map(|(partition, (stored, (&low, &high)))| match stored {
            Some(Stored { offset, mark }) if (low..=high).contains(offset) => {
                Progress { next: *offset, behind: mark.behind }
            }
            Some(Stored { offset, .. }) => {
                lost.push((partition, *offset));
                Progress::at(low)
            }
            None if is_new && start == StartAt::Latest => Progress::at(high),
            // Also where other partitions have a position: this one was added since, and holds nothing that was read.
            None => Progress::at(low),
        })
        .collect();
    let committed = stored.iter().flatten().any(|stored| !stored.mark.is_start);
    Plan { progress, resumed: committed && lost.is_empty(), is_new, lost }
}

/// Lets errors that librdkafka met in the background reach the context. Only for a client to which nothing is assigned: it would
/// throw records away.
pub(crate) fn serve(client: &Client) {
    while client.poll(EVENTS).is_some() {}
}

/// The group's offsets, as soon as its coordinator tells them.
///
/// It is asked in slices: librdkafka waits for the coordinator, and that the broker keeps the group from this client shows in the
/// background alone.
pub(crate) fn stored(
    client: &Client,
    context: &Context,
    place: &Place,
    operation: &'static str,
    partitions: usize,
    deadline: Deadline,
) -> Result<Vec<Option<Stored>>> {
    deadline.patiently(|left| {
        ask_for_stored(client, &place.topic, partitions, left.min(SLICE)).map_err(|cause| {
            serve(client);
            match context.denied_group().or_else(|| context.denied()) {
                Some(refusal) => place.in_background(operation, &refusal),
                None => place.kafka(operation, cause),
            }
        })
    })
}

/// The same, asked once: for a session, whose client knows the coordinator.
pub(crate) fn ask_for_stored(
    client: &Client,
    topic: &str,
    partitions: usize,
    timeout: Duration,
) -> KafkaResult<Vec<Option<Stored>>> {
    let list = list(topic, (0..partitions).map(|partition| (partition, Offset::Invalid)))?;
    let found = client.committed_offsets(list, timeout)?;
    let mut stored = vec![None; partitions];
    for element in found.elements() {
        element.error()?;
        if let (Some(slot), Offset::Offset(offset)) =
            (slot(&mut stored, element.partition()), element.offset())
        {
            *slot = Some(Stored { offset, mark: Mark::read(element.metadata()) });
        }
    }
    Ok(stored)
}

/// The first offset that each of these partitions holds.
pub(crate) fn low(
    client: &Client,
    topic: &str,
    partitions: usize,
    timeout: Duration,
) -> KafkaResult<Vec<i64>> {
    bounds(client, topic, partitions, Offset::Beginning, timeout)
}

/// The offset behind the last one that each of these partitions holds.
pub(crate) fn high(
    client: &Client,
    topic: &str,
    partitions: usize,
    timeout: Duration,
) -> KafkaResult<Vec<i64>> {
    bounds(client, topic, partitions, Offset::End, timeout)
}

// One request for each broker, where `fetch_watermarks` needs two for each partition: Kafka's ListOffsets takes -1 and -2 in
// place of a time, and these are librdkafka's numbers of the end and the beginning.
fn bounds(
    client: &Client,
    topic: &str,
    partitions: usize,
    which: Offset,
    timeout: Duration,
) -> KafkaResult<Vec<i64>> {
    let list = list(topic, (0..partitions).map(|partition| (partition, which)))?;
    let found = client.offsets_for_times(list, timeout)?;
    let mut bounds = vec![0; partitions];
    for element in found.elements() {
        element.error()?;
        if let (Some(slot), Offset::Offset(offset)) =
            (slot(&mut bounds, element.partition()), element.offset())
        {
            *slot = offset;
        }
    }
    Ok(bounds)
}

/// Stores where a new group starts, so that the next session starts there too (S8).
pub(crate) fn fix_start(client: &Client, topic: &str, progress: &[Progress]) -> KafkaResult<()> {
    let start = |progress: &Progress| Stored { offset: progress.next, mark: Mark::START };
    store(client, topic, progress.iter().map(start).enumerate())
}

/// Stores the group's offsets in these partitions. Returns when the broker has confirmed it.
///
/// librdkafka's blocking commit reports an error only when every partition failed. All are of one topic and one group, so they
/// fail together: a permission, a coordinator, a group with members.
pub(crate) fn store(
    client: &Client,
    topic: &str,
    positions: impl Iterator<Item = (usize, Stored)>,
) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    for (partition, Stored { offset, mark }) in positions {
        let mut element = list.add_partition(topic, number(partition));
        element.set_offset(Offset::Offset(offset))?;
        element.set_metadata(mark.write());
    }
    client.commit(&list, CommitMode::Sync)
}

/// Reads every partition from where it is next, without joining the group.
pub(crate) fn assign(client: &Client, topic: &str, progress: &[Progress]) -> KafkaResult<()> {
    read_from(client, topic, progress.iter().map(|progress| progress.next).enumerate())
}

/// Reads these partitions from these offsets, and no others.
pub(crate) fn read_from(
    client: &Client,
    topic: &str,
    offsets: impl Iterator<Item = (usize, i64)>,
) -> KafkaResult<()> {
    client.assign(&list(topic, offsets.map(|(partition, offset)| (partition, Offset::Offset(offset))))?)
}

fn list(topic: &str, offsets: impl Iterator<Item = (usize, Offset)>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, number(partition), offset)?;
    }
    Ok(list)
}

/// A partition as librdkafka writes it.
pub(crate) fn number(partition: usize) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

fn slot<T>(slots: &mut [T], partition: i32) -> Option<&mut T> {
    slots.get_mut(usize::try_from(partition).ok()?)
}

/// What a user is told when the log does not hold the position any more (S12).
pub(crate) fn lost_error(place: &Place, lost: &[(usize, i64)], progress: &[Progress]) -> Error {
    let places: Vec<String> = lost
        .iter()
        .map(|(partition, offset)| {
            let begin = progress.get(*partition).map_or(0, |progress| progress.next);
            format!("partition {partition} from {offset} to {begin}")
        })
        .collect();
    place.error(
        ErrorKind::Lost,
        "read",
        format!(
            "the log was trimmed, truncated or recreated under the position; reading goes on at the earliest record: {}",
            places.join(", ")
        ),
    )
}

/// A result of librdkafka as one of ours.
pub(crate) fn as_ours<T>(place: &Place, operation: &'static str, result: KafkaResult<T>) -> Result<T> {
    result.map_err(|cause| place.kafka(operation, cause))
}

#[cfg(test)]
mod tests {
    use super::{Mark, Plan, Progress, Seen, StartAt, Stored, plan};

    fn committed(offset: i64) -> Option<Stored> {
        Some(Stored { offset, mark: Mark { is_start: false, ..Mark::START } })
    }

    fn start(offset: i64) -> Option<Stored> {
        Some(Stored { offset, mark: Mark::START })
    }

    fn at<const N: usize>(offsets: [i64; N]) -> Vec<Progress> {
        offsets.map(Progress::at).to_vec()
    }

    #[test]
    fn a_new_group_starts_where_it_was_told_to() {
        let (low, high) = ([2, 0], [9, 4]);
        let earliest = plan(&[None, None], &low, &high, StartAt::Earliest);
        assert_eq!(earliest.progress, at(low));
        assert!(earliest.is_new && !earliest.resumed);
        let latest = plan(&[None, None], &low, &high, StartAt::Latest);
        assert_eq!(latest.progress, at(high));
    }

    #[test]
    fn a_fixed_start_is_no_resumption() {
        let Plan { progress, resumed, is_new, lost } = plan(&[start(9)], &[0], &[12], StartAt::Earliest);
        assert_eq!(progress, at([9]));
        assert!(!resumed && !is_new && lost.is_empty());
    }

    #[test]
    fn a_partition_that_was_added_is_read_from_its_beginning() {
        let plan = plan(&[committed(5), None], &[0, 0], &[5, 3], StartAt::Latest);
        assert_eq!(plan.progress, at([5, 0]));
        assert!(plan.resumed);
    }

    #[test]
    fn a_position_outside_of_the_log_is_lost() {
        let trimmed = plan(&[committed(5), committed(1)], &[7, 0], &[9, 3], StartAt::Latest);
        assert_eq!(trimmed.progress, at([7, 1]));
        assert_eq!(trimmed.lost, [(0, 5)]);
        assert!(!trimmed.resumed);
        let recreated = plan(&[committed(5)], &[0], &[2], StartAt::Latest);
        assert_eq!(recreated.progress, at([0]));
        assert_eq!(recreated.lost, [(0, 5)]);
    }

    #[test]
    fn what_stands_before_a_position_is_known_as_long_as_the_log_holds_the_position() {
        let behind = Seen::read("4:00000000deadbeef");
        let mark = Mark { is_start: false, owner: None, behind };
        let stored = [Some(Stored { offset: 5, mark })];
        assert_eq!(plan(&stored, &[0], &[9], StartAt::Earliest).progress, [Progress { next: 5, behind }]);
        assert_eq!(plan(&stored, &[6], &[9], StartAt::Earliest).progress, at([6]));
    }
}
