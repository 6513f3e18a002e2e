//! The thread that polls librdkafka's consumer.
//!
//! A thread of its own, because the consumer's destructor blocks, because messages must not be alive then, and because a slow
//! reader must not keep librdkafka's events from being served by anybody. It hands owned items over a bounded channel, in batches of
//! what librdkafka has at hand, and ends when the channel's other end is dropped.

mod keeping_contact;
mod places;

use std::sync::Arc;
use std::time::{Duration, Instant};

use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind};
use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use tokio::sync::mpsc;

use crate::batch::Batch;
use crate::blocking::drop_elsewhere;
use crate::contact::Contact;
use crate::error::{KafkaErrors, code_of, kind_of};
use crate::items::{Awaited, Item, Shared};
use crate::link::Link;
use crate::positions::{Client, Progress};
use crate::record::owned;
use crate::renewal::{Make, Renewal};
use crate::seen::Seen;

const READ: &str = "read";

/// How long a poll waits for the next event, and so how long the consumer lives on after its source was dropped.
const POLL: Duration = Duration::from_millis(100);
/// The same once nothing has come for [`QUIET`]: polling ten times a second is a third of what a silent source costs otherwise. An
/// event ends the wait at once.
const LONG_POLL: Duration = Duration::from_secs(1);
/// When nothing is about to come any more: what the log held has been read, and questions about its end are answered.
const QUIET: Duration = Duration::from_secs(5);
/// How long a question to the cluster may hold up the polling at most.
const ASK: Duration = Duration::from_secs(5);
/// In trouble: how often it is reported, the partitions are asked, and the log's bounds are looked for.
const AGAIN: Duration = Duration::from_secs(1);
/// In trouble: how often a broker is asked about the topic, because librdkafka would wait longer.
const POKE: Duration = Duration::from_millis(250);
/// After how many looks for new partitions a position is stored again that nobody has moved meanwhile.
const KEEP: u32 = 20;
/// A reader that holds up the poller for longer than this makes silence meaningless.
const HELD_UP: Duration = Duration::from_millis(100);

pub(crate) struct Poller {
    pub(crate) link: Arc<Link>,
    pub(crate) make: Make,
    pub(crate) place: Place,
    pub(crate) items: mpsc::Sender<Vec<Item>>,
    pub(crate) batch: Batch,
    pub(crate) shared: Arc<Shared>,
    pub(crate) progress: Vec<Progress>,
    pub(crate) ends: Vec<Option<Awaited>>,
    pub(crate) contact: Contact,
    pub(crate) refresh: Duration,
    /// In each partition, the record that must come next, because it was asked for: the last one that was read.
    expected: Vec<Option<Seen>>,
    /// The time when polling last waited: records that were at hand then need no clock each.
    now: Instant,
    /// When records last came.
    active: Instant,
    refreshed: Instant,
    /// When to find out what the log holds, because it may not hold what was read.
    misplaced: Option<Instant>,
    outage: Option<Outage>,
    /// What librdkafka last reported.
    last: Option<KafkaError>,
    renewal: Option<Renewal>,
    /// How often partitions were looked for since the group's position was stored.
    quiet_refreshes: u32,
}

/// Contact is lost: with every broker, or with one that leads a partition.
struct Outage {
    since: Instant,
    /// `None` before the first report.
    reported: Option<Instant>,
    poked: Option<Instant>,
}

impl Outage {
    const fn begins(since: Instant, reported: Option<Instant>) -> Self {
        Self { since, reported, poked: None }
    }
}

/// Whether it is time to do again what was done then, every so often.
fn is_due(done: Option<Instant>, interval: Duration, now: Instant) -> bool {
    done.is_none_or(|done| now.saturating_duration_since(done) >= interval)
}

/// Why a client is not polled any more.
enum End {
    /// The source is gone.
    Gone,
    /// There is a new one.
    Renewed,
}

/// How long the next poll waits, so long after the last record.
fn patience(silence: Duration, in_order: bool, refresh: Duration, contact: Duration) -> Duration {
    let wait = if in_order && silence >= QUIET { LONG_POLL.min(refresh) } else { POLL };
    wait.min(contact / 8)
}

impl Poller {
    pub(crate) fn new(
        (link, make): (Arc<Link>, Make),
        place: Place,
        items: mpsc::Sender<Vec<Item>>,
        shared: Arc<Shared>,
        (progress, ends): (Vec<Progress>, Vec<i64>),
        (contact, refresh): (Duration, Duration),
    ) -> Self {
        let (now, partitions) = (Instant::now(), progress.len());
        Self {
            link,
            make,
            place,
            items,
            batch: Batch::default(),
            shared,
            ends: Awaited::all(ends),
            contact: Contact::new(contact, partitions, now),
            refresh,
            expected: vec![None; partitions],
            progress,
            now,
            active: now,
            refreshed: now,
            misplaced: None,
            outage: None,
            last: None,
            renewal: None,
            quiet_refreshes: 0,
        }
    }

    pub(crate) fn run(mut self) {
        loop {
            let client = self.link.client();
            let end = self.serve(&client);
            drop_elsewhere(client);
            if let Err(End::Gone) = end {
                return;
            }
        }
    }

    /// Polls this client. Never returns without an error.
    fn serve(&mut self, client: &Client) -> Result<(), End> {
        loop {
            // Not with each record.
            let waits = self.batch.is_empty();
            if waits {
                self.between_batches(client)?;
            }
            // What is at hand goes together; nothing that is at hand waits for more.
            let wait = if waits { self.patience() } else { Duration::ZERO };
            let polled = client.poll(wait);
            if waits {
                self.now = Instant::now();
            }
            match polled {
                None => self.flush()?,
                Some(Ok(message)) => {
                    // Without a wait for the channel: the message must not be alive then.
                    self.take(&message);
                    drop(message);
                    if self.batch.is_full() {
                        self.flush()?;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => self.reached_end(partition)?,
                Some(Err(cause)) => self.met(cause)?,
            }
            if self.misplaced.is_some() || self.outage.is_some() {
                self.flush()?;
            }
        }
    }

    fn patience(&self) -> Duration {
        let in_order = self.outage.is_none() && self.misplaced.is_none();
        patience(self.active.elapsed(), in_order, self.refresh, self.contact.time())
    }

    fn between_batches(&mut self, client: &Client) -> Result<(), End> {
        if self.items.is_closed() {
            return Err(End::Gone);
        }
        for (partition, end) in self.shared.take_questions() {
            self.active = Instant::now();
            self.look_again(client, partition, end);
        }
        if self.misplaced.is_some_and(|when| when <= Instant::now()) {
            self.find_place(client)?;
        }
        self.keep_contact(client)?;
        if self.outage.is_none() && self.refreshed.elapsed() >= self.refresh {
            self.refreshed = Instant::now();
            self.keep_position();
            self.grow(client)?;
        }
        Ok(())
    }

    /// Hands over at once, behind what was taken before.
    fn send(&mut self, item: Item) -> Result<(), End> {
        self.batch.push(item);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), End> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        self.items.blocking_send(self.batch.take()).map_err(|_| End::Gone)?;
        if begun.elapsed() >= HELD_UP {
            self.contact.excuse(Instant::now());
        }
        Ok(())
    }

    /// What librdkafka reports beside records. Most of it librdkafka gets over by itself.
    fn met(&mut self, cause: KafkaError) -> Result<(), End> {
        let code = code_of(&cause);
        match code {
            Some(
                RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::LogTruncation,
            ) => {
                self.misplaced.get_or_insert_with(Instant::now);
                return Ok(());
            }
            // It may not ask for an observer's group, which is none.
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) if self.place.group.is_none() => return Ok(()),
            _ => {}
        }
        self.contact.suspect_all();
        self.last = Some(cause.clone());
        if let Some(code) = code {
            if code == RDKafkaErrorCode::AllBrokersDown || is_refusal(code) {
                let now = Instant::now();
                self.outage.get_or_insert(Outage::begins(now, Some(now)));
            } else if kind_of(code) == ErrorKind::Unavailable {
                return Ok(());
            }
        }
        let error = self.place.in_session(READ, cause);
        self.report(error)
    }

    fn report(&mut self, error: Error) -> Result<(), End> {
        if !self.shared.may_report() {
            tracing::debug!(%error, "another error, while the last one was not taken yet");
            return Ok(());
        }
        self.send(Item::Failed(error))
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let payload = message.payload();
        let Some((partition, seen)) = self.moves_to(message) else {
            return;
        };
        self.active = self.now;
        let others = self.shared.others.get();
        if others.zip(payload).is_some_and(|(others, payload)| others.wrote(payload)) {
            self.batch.leave_out(partition, seen);
        } else {
            self.batch.push_record(partition, seen, owned(message));
        }
    }

    /// The partition, if this message of it was not handed over before. If so, it counts as handed over.
    fn moves_to(&mut self, message: &impl Message) -> Option<(usize, Seen)> {
        let partition = usize::try_from(message.partition()).ok()?;
        let seen = Seen::of(message);
        let progress = self.progress.get_mut(partition)?;
        // It was fetched before the trouble, or behind it: whether from the same log, a look will show.
        if self.contact.is_suspect(partition) {
            return None;
        }
        if let Some(expected) = self.expected[partition] {
            if seen.offset < expected.offset {
                return None;
            }
            if seen != expected {
                tracing::debug!(topic = %self.place.topic, partition, ?expected, ?seen, "another record stands there");
                self.misplaced.get_or_insert_with(Instant::now);
                return None;
            }
            self.expected[partition] = None;
        }
        self.contact.heard(partition, self.now);
        // librdkafka leaves out what it fetched before a position was set anew, but S2 is not to rest on that alone.
        (seen.offset >= progress.next).then(|| {
            *progress = Progress { next: seen.offset + 1, behind: Some(seen) };
            (partition, seen)
        })
    }

    fn reached_end(&mut self, partition: i32) -> Result<(), End> {
        let Ok(partition) = usize::try_from(partition) else {
            return Ok(());
        };
        // The log ends before a record that was read.
        if self.expected.get(partition).is_some_and(Option::is_some) {
            self.misplaced.get_or_insert_with(Instant::now);
            return Ok(());
        }
        if !self.contact.is_suspect(partition) {
            self.contact.heard(partition, self.now);
        }
        match self.ends.get_mut(partition).and_then(Option::take) {
            Some(Awaited { offset, .. }) => self.send(Item::End { partition, offset }),
            None => Ok(()),
        }
    }
}

/// The broker does not let this client in, or not do what it wants: a new client with renewed credentials may fare better.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    kind_of(code) == ErrorKind::Denied
}

#[cfg(test)]
mod tests;
