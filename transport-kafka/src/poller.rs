//! The thread that polls librdkafka's consumer.
//!
//! A thread of its own, because the consumer's destructor blocks, because messages must not be alive then, and because a slow
//! reader must not keep librdkafka's events from being served by anybody. It hands owned items over a bounded channel, and ends
//! when the channel's other end is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backup_tracker::{Error, ErrorKind, Header, Position, Record};
use bytes::Bytes;
use rdkafka::Message;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::error::{Place, code_of, kind_of};
use crate::positions::{self, Client};

const READ: &str = "read";

/// How long a poll waits, and so how long the consumer lives on after its source was dropped.
const POLL: Duration = Duration::from_millis(100);
/// How long a question to the cluster may hold up the polling.
const ASK: Duration = Duration::from_secs(5);
/// How often it is asked, and how often told to the user, whether the brokers are still down.
const OUTAGE_INTERVAL: Duration = Duration::from_secs(1);

/// What the poller hands over, in order.
#[derive(Debug)]
pub(crate) enum Item {
    Record {
        partition: usize,
        offset: i64,
        record: Record,
    },
    /// There is nothing below this offset that was not handed over.
    End {
        partition: usize,
        offset: i64,
    },
    /// Reading goes on at these positions, because the log does not hold the earlier ones.
    Lost {
        moved: Vec<(usize, i64)>,
        error: Error,
    },
    /// Partitions were added, and are read from these positions.
    Grown {
        starts: Vec<i64>,
    },
    /// Something that librdkafka does not heal in silence.
    Failed(Error),
}

/// What source and poller tell each other beside the channel.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// An error waits in the channel. One is enough: an outage must not fill it.
    reported: AtomicBool,
    /// Ends of partitions of which the source wants to know whether records come before them.
    questions: Mutex<Vec<(usize, i64)>>,
}

impl Shared {
    pub(crate) fn error_was_taken(&self) {
        self.reported.store(false, Ordering::Release);
    }

    pub(crate) fn ask(&self, partition: usize, end: i64) {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).push((partition, end));
    }

    fn take_questions(&self) -> Vec<(usize, i64)> {
        std::mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) struct Poller {
    pub(crate) client: Arc<Client>,
    pub(crate) place: Place,
    pub(crate) items: mpsc::Sender<Item>,
    pub(crate) shared: Arc<Shared>,
    /// What to read next from each partition.
    pub(crate) positions: Vec<i64>,
    /// The offset that each partition's end is known to have reached, until librdkafka reports the end: everything below it
    /// was handed over then, also where the last offsets hold no record (markers of transactions, gaps of compaction).
    pub(crate) ends: Vec<Option<i64>>,
    pub(crate) refresh: Duration,
}

/// The source is gone.
struct Gone;

impl Poller {
    pub(crate) fn run(mut self) {
        let mut refreshed = Instant::now();
        let mut down: Option<Instant> = None;
        let mut misplaced = false;
        while !self.items.is_closed() {
            for (partition, end) in self.shared.take_questions() {
                self.look_again(partition, end);
            }
            let step = match self.client.poll(POLL).map(|polled| polled.map(owned)) {
                None => Ok(()),
                Some(Ok((partition, offset, record))) => self.hand_over(partition, offset, record),
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
                    // librdkafka tries again by itself, and says so when no broker is left.
                    Some(code) if kind_of(code) == ErrorKind::Unavailable => Ok(()),
                    _ => self.report(cause),
                },
            };
            if step.is_err() {
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
            } else if refreshed.elapsed() >= self.refresh {
                refreshed = Instant::now();
                if self.grow().is_err() {
                    return;
                }
            }
        }
    }

    fn send(&self, item: Item) -> Result<(), Gone> {
        self.items.blocking_send(item).map_err(|_| Gone)
    }

    fn report(&self, cause: KafkaError) -> Result<(), Gone> {
        let error = self.place.kafka(READ, cause);
        if self.shared.reported.swap(true, Ordering::AcqRel) {
            tracing::debug!(%error, "another error, while the last one was not taken yet");
            return Ok(());
        }
        self.send(Item::Failed(error))
    }

    fn hand_over(&mut self, partition: i32, offset: i64, record: Record) -> Result<(), Gone> {
        let Ok(partition) = usize::try_from(partition) else {
            return Ok(());
        };
        let Some(position) = self.positions.get_mut(partition) else {
            return Ok(());
        };
        // Fetched before the position was set anew, and fetched again after.
        if offset < *position {
            return Ok(());
        }
        *position = offset + 1;
        self.send(Item::Record { partition, offset, record })
    }

    fn reached_end(&mut self, partition: i32) -> Result<(), Gone> {
        let Ok(partition) = usize::try_from(partition) else {
            return Ok(());
        };
        match self.ends.get_mut(partition).and_then(Option::take) {
            Some(offset) => self.send(Item::End { partition, offset }),
            None => Ok(()),
        }
    }

    /// Makes librdkafka report the partition's end again, which then is at `end` or behind it.
    fn look_again(&mut self, partition: usize, end: i64) {
        let Some(position) = self.positions.get(partition) else {
            return;
        };
        // What was fetched and not polled yet is outdated from here on, also an end that was reported before.
        let number = positions::number(partition);
        let offset = Offset::Offset(*position);
        match self.client.seek(&self.place.topic, number, offset, Duration::ZERO) {
            Ok(()) => self.ends[partition] = Some(end),
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
        self.ends = high.into_iter().map(Some).collect();
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
        self.ends = high.into_iter().map(Some).collect();
        Ok(starts)
    }
}

/// The message without its tie to the consumer.
fn owned(message: BorrowedMessage<'_>) -> (i32, i64, Record) {
    let (partition, offset) = (message.partition(), message.offset());
    let position = Position::Partition {
        // Neither is negative in a message that was fetched.
        partition: u32::try_from(partition).unwrap_or_default(),
        offset: u64::try_from(offset).unwrap_or_default(),
    };
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| Header::new(header.key, Bytes::copy_from_slice(header.value.unwrap_or_default())))
            .collect()
    });
    let record = Record::new(position)
        .key(message.key().and_then(uuid_of))
        .headers(headers)
        .payload(message.payload().map(Bytes::copy_from_slice));
    (partition, offset, record)
}

/// The UUID in a key of 36 characters, as Java's serializer writes it too; the other spellings are somebody else's keys.
fn uuid_of(key: &[u8]) -> Option<Uuid> {
    if key.len() != uuid::fmt::Hyphenated::LENGTH {
        return None;
    }
    Uuid::try_parse_ascii(key).ok()
}
