//! The thread that polls librdkafka's consumer.
//!
//! A thread of its own, because the consumer's destructor blocks, because messages must not be alive then, and because a slow
//! reader must not keep librdkafka's events from being served by anybody. It hands owned items over a bounded channel, in batches of
//! what librdkafka has at hand, and ends when the channel's other end is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backup_tracker::ErrorKind;
use backup_tracker::transport::Place;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset};
use tokio::sync::mpsc;

use crate::error::{KafkaErrors, code_of, kind_of};
use crate::items::{Awaited, Item, Shared};
use crate::positions::{self, Client};
use crate::record::owned;

const READ: &str = "read";

/// How long a poll waits for the next event, and so how long the consumer lives on after its source was dropped.
const POLL: Duration = Duration::from_millis(100);
/// The same once nothing has come for [`QUIET`]: polling ten times a second is a third of what a silent source costs otherwise. An
/// event ends the wait at once.
const LONG_POLL: Duration = Duration::from_secs(1);
/// When nothing is about to come any more: what the log held has been read, and questions about its end are answered.
const QUIET: Duration = Duration::from_secs(5);
/// How many records a batch takes, how many of others' it leaves out, and after how many bytes it is full.
const BATCH_RECORDS: usize = 256;
const BATCH_LEFT_OUT: u64 = 4096;
const BATCH_BYTES: usize = 256 * 1024;
/// How long a question to the cluster may hold up the polling.
const ASK: Duration = Duration::from_secs(5);
/// How often it is asked, and how often told to the user, whether the brokers are still down.
const OUTAGE_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Poller {
    pub(crate) client: Arc<Client>,
    pub(crate) place: Place,
    pub(crate) items: mpsc::Sender<Vec<Item>>,
    pub(crate) batch: Batch,
    pub(crate) shared: Arc<Shared>,
    /// What to read next from each partition.
    pub(crate) positions: Vec<i64>,
    pub(crate) ends: Vec<Option<Awaited>>,
    pub(crate) refresh: Duration,
}

/// What is to be handed over next.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    bytes: usize,
    left_out: u64,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.items.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES || self.left_out >= BATCH_LEFT_OUT
    }

    /// Adds one to the records of others that end the batch, or begins to count.
    fn leave_out(&mut self, at: usize, behind: i64) {
        self.left_out += 1;
        match self.items.last_mut() {
            Some(Item::LeftOut { partition, offset, count }) if *partition == at => {
                *offset = behind;
                *count += 1;
            }
            _ => self.items.push(Item::LeftOut { partition: at, offset: behind, count: 1 }),
        }
    }
}

/// The source is gone.
struct Gone;

/// How long the next poll waits, so long after the last event.
fn patience(silence: Duration, in_order: bool, refresh: Duration) -> Duration {
    if in_order && silence >= QUIET { LONG_POLL.min(refresh) } else { POLL }
}

impl Poller {
    pub(crate) fn run(mut self) {
        let mut refreshed = Instant::now();
        let mut down: Option<Instant> = None;
        let mut misplaced = false;
        let mut active = Instant::now();
        // A handle of its own, because a message borrows from it.
        let client = Arc::clone(&self.client);
        loop {
            // Not with each record.
            let waits = self.batch.items.is_empty();
            if waits {
                if self.items.is_closed() {
                    return;
                }
                for (partition, end) in self.shared.take_questions() {
                    active = Instant::now();
                    self.look_again(partition, end);
                }
            }
            // What is at hand goes together; nothing that is at hand waits for more.
            let in_order = down.is_none() && !misplaced;
            let wait =
                if waits { patience(active.elapsed(), in_order, self.refresh) } else { Duration::ZERO };
            let polled = client.poll(wait);
            if waits && polled.is_some() {
                active = Instant::now();
            }
            let step = match polled {
                None => self.flush(),
                Some(Ok(message)) => {
                    // Without a wait for the channel: the message must not be alive then.
                    self.take(&message);
                    drop(message);
                    if self.batch.is_full() { self.flush() } else { Ok(()) }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => self.reached_end(partition),
                Some(Err(cause)) => match code_of(&cause) {
                    Some(RDKafkaErrorCode::AllBrokersDown) => {
                        down = Some(Instant::now());
                        self.report(cause)
                    }
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        misplaced = true;
                        Ok(())
                    }
                    // It may not ask for an observer's group, which is none.
                    Some(RDKafkaErrorCode::GroupAuthorizationFailed) if self.place.group.is_none() => Ok(()),
                    // librdkafka tries again by itself, and says so when no broker is left.
                    Some(code) if kind_of(code) == ErrorKind::Unavailable => Ok(()),
                    _ => self.report(cause),
                },
            };
            if step.is_err() {
                return;
            }
            if (misplaced || down.is_some()) && self.flush().is_err() {
                return;
            }
            if misplaced {
                match self.find_place() {
                    Ok(Ok(())) => misplaced = false,
                    Ok(Err(Gone)) => return,
                    Err(error) => {
                        tracing::debug!(topic = %self.place.topic, %error, "the log's bounds are not known yet");
                    }
                }
            }
            if let Some(since) = down {
                // Returns as soon as a broker is there, so records do not wait for this.
                match self.client.fetch_metadata(Some(&self.place.topic), POLL) {
                    Ok(_) => down = None,
                    Err(cause) if since.elapsed() >= OUTAGE_INTERVAL => {
                        down = Some(Instant::now());
                        if self.report(cause).is_err() {
                            return;
                        }
                    }
                    Err(_) => {}
                }
            } else if waits && refreshed.elapsed() >= self.refresh {
                refreshed = Instant::now();
                if self.flush().and_then(|()| self.grow()).is_err() {
                    return;
                }
            }
        }
    }

    /// Hands over at once, behind what was taken before.
    fn send(&mut self, item: Item) -> Result<(), Gone> {
        self.batch.items.push(item);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if self.batch.items.is_empty() {
            return Ok(());
        }
        let Batch { items, .. } = std::mem::take(&mut self.batch);
        self.items.blocking_send(items).map_err(|_| Gone)
    }

    fn report(&mut self, cause: KafkaError) -> Result<(), Gone> {
        let error = self.place.kafka(READ, cause);
        if !self.shared.may_report() {
            tracing::debug!(%error, "another error, while the last one was not taken yet");
            return Ok(());
        }
        self.send(Item::Failed(error))
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let (partition, offset, payload) = (message.partition(), message.offset(), message.payload());
        let Some(partition) = self.moves_to(partition, offset) else {
            return;
        };
        let others = self.shared.others.get();
        if others.zip(payload).is_some_and(|(others, payload)| others.wrote(payload)) {
            self.batch.leave_out(partition, offset);
        } else {
            self.batch.bytes += payload.map_or(0, <[u8]>::len);
            self.batch.items.push(Item::Record { partition, offset, record: owned(message) });
        }
    }

    /// The partition, if this offset of it was not handed over before. If so, it counts as handed over.
    fn moves_to(&mut self, partition: i32, offset: i64) -> Option<usize> {
        let partition = usize::try_from(partition).ok()?;
        let position = self.positions.get_mut(partition)?;
        // librdkafka leaves out what it fetched before a position was set anew, but S2 is not to rest on that alone.
        (offset >= *position).then(|| {
            *position = offset + 1;
            partition
        })
    }

    fn reached_end(&mut self, partition: i32) -> Result<(), Gone> {
        let Ok(partition) = usize::try_from(partition) else {
            return Ok(());
        };
        match self.ends.get_mut(partition).and_then(Option::take) {
            Some(Awaited { offset, .. }) => self.send(Item::End { partition, offset }),
            None => Ok(()),
        }
    }

    /// Makes librdkafka report the partition's end again, which then is at `end` or behind it.
    fn look_again(&mut self, partition: usize, end: i64) {
        let Some(position) = self.positions.get(partition) else {
            return;
        };
        // A report is on its way, and looking again would only put it off.
        if self.ends[partition].is_some_and(|awaited| awaited.since.elapsed() < ASK) {
            return;
        }
        // What was fetched and not polled yet is outdated from here on, also an end that was reported before.
        let number = positions::number(partition);
        let offset = Offset::Offset(*position);
        match self.client.seek(&self.place.topic, number, offset, Duration::ZERO) {
            Ok(()) => self.ends[partition] = Some(Awaited::now(end)),
            Err(error) => {
                tracing::debug!(topic = %self.place.topic, partition, %error, "the partition's end is asked for later");
            }
        }
    }

    /// Finds out which positions the log does not hold, and goes on at its beginning there (S12).
    fn find_place(&mut self) -> KafkaResult<Result<(), Gone>> {
        let (topic, count) = (&self.place.topic, self.positions.len());
        let low = positions::low(&self.client, topic, count, ASK)?;
        let high = positions::high(&self.client, topic, count, ASK)?;
        let mut lost = Vec::new();
        for (partition, position) in self.positions.iter_mut().enumerate() {
            if !(low[partition]..=high[partition]).contains(position) {
                lost.push((partition, *position));
                *position = low[partition];
            }
        }
        positions::assign(&self.client, topic, &self.positions)?;
        self.ends = Awaited::all(high);
        if lost.is_empty() {
            return Ok(Ok(()));
        }
        let error = positions::lost_error(&self.place, &lost, &self.positions);
        let moved = lost.into_iter().map(|(partition, _)| (partition, low[partition])).collect();
        Ok(self.send(Item::Lost { moved, error }))
    }

    /// Reads partitions that were added to the topic, from their beginning.
    fn grow(&mut self) -> Result<(), Gone> {
        let starts = match self.added() {
            Ok(starts) if starts.is_empty() => return Ok(()),
            Ok(starts) => starts,
            Err(error) => {
                tracing::debug!(topic = %self.place.topic, %error, "the number of partitions is looked up later");
                return Ok(());
            }
        };
        tracing::info!(topic = %self.place.topic, added = starts.len(), "partitions were added");
        self.send(Item::Grown { starts })
    }

    fn added(&mut self) -> KafkaResult<Vec<i64>> {
        let topic = &self.place.topic;
        let metadata = self.client.fetch_metadata(Some(topic), ASK)?;
        let found = metadata.topics().first().map_or(0, |found| found.partitions().len());
        let known = self.positions.len();
        if found <= known {
            return Ok(Vec::new());
        }
        let mut starts = positions::low(&self.client, topic, found, ASK)?;
        let high = positions::high(&self.client, topic, found, ASK)?;
        starts.drain(..known);
        let mut all = self.positions.clone();
        all.extend(&starts);
        positions::assign(&self.client, topic, &all)?;
        self.positions = all;
        self.ends = Awaited::all(high);
        Ok(starts)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rdkafka::ClientConfig;
    use tokio::sync::mpsc;

    use super::{BATCH_LEFT_OUT, Batch, Item, LONG_POLL, POLL, Place, Poller, QUIET, Shared, patience};
    use crate::context::Context;

    #[test]
    fn it_polls_seldom_once_nothing_is_to_come() {
        let refresh = Duration::from_secs(30);
        assert_eq!(patience(QUIET - Duration::from_millis(1), true, refresh), POLL);
        assert_eq!(patience(QUIET, true, refresh), LONG_POLL);
        // What is not in order is looked after, and new partitions are looked for as often as was asked for.
        assert_eq!(patience(QUIET, false, refresh), POLL);
        assert_eq!(patience(QUIET, true, Duration::from_millis(300)), Duration::from_millis(300));
    }

    #[test]
    fn a_record_that_was_handed_over_is_not_handed_over_again() {
        let client =
            ClientConfig::new().set("group.id", "search").create_with_context(Context::default()).unwrap();
        let (items, _taken) = mpsc::channel(10);
        let mut poller = Poller {
            client: Arc::new(client),
            place: Place::new("backups"),
            items,
            batch: Batch::default(),
            shared: Arc::new(Shared::default()),
            positions: vec![3, 0],
            ends: vec![None, None],
            refresh: Duration::MAX,
        };
        // Gaps are nothing strange; records of partitions that nobody asked for are.
        let mut seen = Vec::new();
        for (partition, offset) in [(0, 2), (0, 3), (1, 0), (0, 3), (0, 5), (0, 4), (2, 0), (-1, 0)] {
            if poller.moves_to(partition, offset).is_some() {
                seen.push((partition, offset));
            }
        }
        assert_eq!(seen, [(0, 3), (1, 0), (0, 5)]);
    }

    #[test]
    fn records_of_others_in_a_row_are_one_item() {
        let mut batch = Batch::default();
        batch.leave_out(0, 4);
        batch.leave_out(0, 6);
        batch.leave_out(1, 2);
        batch.items.push(Item::End { partition: 1, offset: 3 });
        batch.leave_out(1, 5);
        let counted: Vec<_> = batch
            .items
            .iter()
            .filter_map(|item| match item {
                Item::LeftOut { partition, offset, count } => Some((*partition, *offset, *count)),
                _ => None,
            })
            .collect();
        assert_eq!(counted, [(0, 6, 2), (1, 2, 1), (1, 5, 1)]);
        assert!(!batch.is_full());
        (0..BATCH_LEFT_OUT).for_each(|_| batch.leave_out(1, 6));
        assert!(batch.is_full());
    }
}
