//! The thread that polls librdkafka's consumer.
//!
//! A thread of its own, because the consumer's destructor blocks, because messages must not be alive then, and because a slow
//! reader must not keep librdkafka's events from being served by anybody. It hands owned items over a bounded channel, and ends
//! when the channel's other end is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backup_tracker::transport::Place;
use backup_tracker::{ErrorKind, Record};
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::sync::mpsc;

use crate::error::{KafkaErrors, code_of, kind_of};
use crate::items::{Awaited, Item, Shared};
use crate::positions::{self, Client};
use crate::record::owned;

const READ: &str = "read";

/// How long a poll waits, and so how long the consumer lives on after its source was dropped.
const POLL: Duration = Duration::from_millis(100);
/// How long a question to the cluster may hold up the polling.
const ASK: Duration = Duration::from_secs(5);
/// How often it is asked, and how often told to the user, whether the brokers are still down.
const OUTAGE_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Poller {
    pub(crate) client: Arc<Client>,
    pub(crate) place: Place,
    pub(crate) items: mpsc::Sender<Item>,
    pub(crate) shared: Arc<Shared>,
    /// What to read next from each partition.
    pub(crate) positions: Vec<i64>,
    pub(crate) ends: Vec<Option<Awaited>>,
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
        if !self.shared.may_report() {
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
        // librdkafka leaves out what it fetched before a position was set anew, but S2 is not to rest on that alone.
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

    use backup_tracker::{Position, Record};
    use rdkafka::ClientConfig;
    use tokio::sync::mpsc;

    use super::{Item, Place, Poller, Shared};
    use crate::context::Context;

    #[test]
    fn a_record_that_was_handed_over_is_not_handed_over_again() {
        let client =
            ClientConfig::new().set("group.id", "search").create_with_context(Context::default()).unwrap();
        let (items, mut taken) = mpsc::channel(10);
        let mut poller = Poller {
            client: Arc::new(client),
            place: Place::new("backups"),
            items,
            shared: Arc::new(Shared::default()),
            positions: vec![3, 0],
            ends: vec![None, None],
            refresh: Duration::MAX,
        };
        // Gaps are nothing strange; records of partitions that nobody asked for are.
        for (partition, offset) in [(0, 2), (0, 3), (1, 0), (0, 3), (0, 5), (0, 4), (2, 0), (-1, 0)] {
            let record = Record::new(Position::Offset(0));
            assert!(poller.hand_over(partition, offset, record).is_ok());
        }
        drop(poller);
        let mut seen = Vec::new();
        while let Some(Item::Record { partition, offset, .. }) = taken.blocking_recv() {
            seen.push((partition, offset));
        }
        assert_eq!(seen, [(0, 3), (1, 0), (0, 5)]);
    }
}
