//! The thread that polls librdkafka's consumer.
//!
//! A thread of its own, because the consumer's destructor blocks, because messages must not be alive then, and because a slow
//! reader must not keep librdkafka's events from being served by anybody. It hands owned items over a bounded channel, in batches of
//! what librdkafka has at hand, and ends when the channel's other end is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset};
use tokio::sync::mpsc;

use crate::batch::Batch;
use crate::blocking::{Deadline, drop_elsewhere, spawn};
use crate::contact::Contact;
use crate::error::{KafkaErrors, code_of, kind_of};
use crate::group;
use crate::items::{Awaited, Item, Shared};
use crate::link::Link;
use crate::log_check::{self, Checked};
use crate::positions::{self, Client, Progress};
use crate::record::owned;
use crate::renewal::{Make, Renewal, State};
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

    /// Asks whoever is silent, and reports who stays so (S13).
    fn keep_contact(&mut self, client: &Client) -> Result<(), End> {
        let again = if self.outage.is_some() { AGAIN } else { Duration::MAX };
        for partition in self.contact.due(self.now, again) {
            self.look(client, partition);
        }
        let silent = self.contact.silent(self.now);
        match &self.outage {
            None if silent.is_none() => return Ok(()),
            Some(outage) if silent.is_none() && self.contact.all_heard_since(outage.since) => {
                tracing::info!(topic = %self.place.topic, "the leaders of all partitions answer again");
                self.contact_is_back();
                return Ok(());
            }
            _ => {}
        }
        let now = self.now;
        let outage = self.outage.get_or_insert(Outage::begins(now, None));
        if is_due(outage.reported, AGAIN, now) {
            outage.reported = Some(now);
            let error = self.out_of_contact(silent);
            self.report(error)?;
        }
        if let Some(outage) = self.outage.as_mut().filter(|outage| is_due(outage.poked, POKE, now)) {
            outage.poked = Some(now);
            // Returns as soon as a broker is there, so records do not wait for this.
            if let Err(cause) = client.fetch_metadata(Some(&self.place.topic), self.patience()) {
                self.last = Some(cause);
            }
        }
        if silent.is_some() || self.last.as_ref().and_then(code_of).is_some_and(is_refusal) {
            self.renew()?;
        }
        Ok(())
    }

    fn contact_is_back(&mut self) {
        (self.outage, self.last) = (None, None);
        self.give_renewal_up();
    }

    fn give_renewal_up(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            // It may hold a client.
            drop_elsewhere(renewal);
        }
    }

    fn out_of_contact(&self, silent: Option<(usize, Duration)>) -> Error {
        let last = self.last.clone().unwrap_or(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut));
        let error = self.place.in_session(READ, last);
        let Some((partition, silence)) = silent else { return error };
        let message = format!(
            "partition {partition}: its leader has not answered for {} s: {}",
            silence.as_secs(),
            error.message()
        );
        let told = self.place.error(ErrorKind::Unavailable, READ, message);
        match error.cause() {
            Some(cause) => told.with_cause(cause).with_source(error),
            None => told.with_source(error),
        }
    }

    /// Makes a new client beside this one, or puts it in its place when it is ready.
    fn renew(&mut self) -> Result<(), End> {
        match self.renewal.as_ref().map_or(State::Over, Renewal::state) {
            State::Pending => Ok(()),
            State::Ready(ready) => {
                self.renewal = None;
                let (client, checked) = *ready;
                self.replace(client, checked)
            }
            State::Over => {
                let begun = Renewal::begin(&self.make, &self.place, &self.progress, self.contact.time());
                self.renewal = begun
                    .inspect_err(
                        |error| tracing::warn!(%error, "a thread for a new client could not be started"),
                    )
                    .ok();
                Ok(())
            }
        }
    }

    /// Goes on with a new client, which knows where the session was when it was made.
    fn replace(&mut self, client: Client, mut checked: Checked) -> Result<(), End> {
        if checked.progress.len() != self.progress.len() {
            drop_elsewhere(client);
            return Ok(());
        }
        // The old one may have brought records since.
        for (partition, progress) in checked.progress.iter_mut().enumerate() {
            let is_lost = checked.lost.iter().any(|(lost, _)| *lost == partition);
            if !is_lost {
                *progress = self.progress[partition];
            }
        }
        tracing::info!(topic = %self.place.topic, "a new client takes over, because the old one got no answer");
        let client = Arc::new(client);
        self.link.replace(Arc::clone(&client));
        self.contact_is_back();
        self.contact.begin_anew(checked.progress.len(), Instant::now());
        let went_on = self.go_on(&client, checked);
        drop_elsewhere(client);
        went_on.and(Err(End::Renewed))
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

    /// Makes librdkafka report the partition's end again, which then is at `end` or behind it.
    fn look_again(&mut self, client: &Client, partition: usize, end: i64) {
        // A report is on its way, and looking again would only put it off.
        let awaited = self.ends.get(partition).copied().flatten();
        if awaited.is_some_and(|awaited| awaited.since.elapsed() < self.ask()) {
            return;
        }
        if self.look(client, partition) {
            self.ends[partition] = Some(Awaited::now(end));
        }
    }

    /// Reads the partition again from the last record that was read. So its leader has to answer, and what it answers shows whether
    /// the log is still the same.
    fn look(&mut self, client: &Client, partition: usize) -> bool {
        let Some(progress) = self.progress.get(partition) else {
            return false;
        };
        // What was fetched and not polled yet is outdated from here on, also an end that was reported before.
        let offset = Offset::Offset(progress.behind.map_or(progress.next, |seen| seen.offset));
        match client.seek(&self.place.topic, positions::number(partition), offset, Duration::ZERO) {
            Ok(()) => {
                self.expected[partition] = progress.behind;
                self.contact.asked(partition, Instant::now());
                true
            }
            Err(error) => {
                tracing::debug!(topic = %self.place.topic, partition, %error, "the partition is asked later");
                false
            }
        }
    }

    /// How long a question to the cluster may hold up the polling.
    fn ask(&self) -> Duration {
        ASK.min(self.contact.time() / 4)
    }

    /// Finds out what the log does not hold of what was read, and goes on at its beginning there (S12).
    fn find_place(&mut self, client: &Client) -> Result<(), End> {
        let deadline = Deadline::after(self.ask());
        match log_check::check(client, &self.place.topic, &self.progress, deadline) {
            Ok(checked) => {
                // Every leader has answered.
                self.contact.settle();
                self.contact_is_back();
                self.go_on(client, checked)
            }
            Err(cause) => {
                tracing::debug!(topic = %self.place.topic, error = %cause, "what the log holds is not known yet");
                self.last = Some(cause);
                self.misplaced = Some(Instant::now() + AGAIN);
                self.contact.suspect_all();
                if let Err(cause) = positions::assign(client, &self.place.topic, &self.progress) {
                    self.last = Some(cause);
                }
                Ok(())
            }
        }
    }

    /// Reads on from where the check says.
    fn go_on(&mut self, client: &Client, checked: Checked) -> Result<(), End> {
        let Checked { progress, high, lost } = checked;
        if let Err(cause) = positions::assign(client, &self.place.topic, &progress) {
            let error = self.place.in_session(READ, cause);
            self.misplaced = Some(Instant::now() + AGAIN);
            return self.report(error);
        }
        self.misplaced = None;
        self.expected = vec![None; progress.len()];
        self.ends = Awaited::all(high);
        self.progress = progress;
        if lost.is_empty() {
            return Ok(());
        }
        // It looks for what is known to be gone.
        self.give_renewal_up();
        let error = positions::lost_error(&self.place, &lost, &self.progress);
        let moved =
            lost.into_iter().map(|(partition, _)| (partition, self.progress[partition].next)).collect();
        self.send(Item::Lost { moved, error })
    }

    /// Lets the broker keep the group's position, where the source has not stored it for long.
    fn keep_position(&mut self) {
        let is_stored = self.place.group.is_none() || self.shared.take_stored();
        self.quiet_refreshes = if is_stored { 0 } else { self.quiet_refreshes + 1 };
        if self.quiet_refreshes < KEEP {
            return;
        }
        self.quiet_refreshes = 0;
        let (client, place, partitions) = (self.link.client(), self.place.clone(), self.progress.len());
        let keeping = move || {
            if let Err(error) = group::keep(&client, &place, partitions, ASK) {
                tracing::debug!(%error, "the position is kept later");
            }
        };
        if let Err(error) = spawn("position", keeping) {
            tracing::warn!(%error, "a thread to keep the group's position could not be started");
        }
    }

    /// Reads partitions that were added to the topic, from their beginning.
    fn grow(&mut self, client: &Client) -> Result<(), End> {
        let starts = match self.added(client) {
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

    fn added(&mut self, client: &Client) -> KafkaResult<Vec<i64>> {
        let (topic, ask) = (&self.place.topic, self.ask());
        let metadata = client.fetch_metadata(Some(topic), ask)?;
        let found = metadata.topics().first().map_or(0, |found| found.partitions().len());
        let known = self.progress.len();
        if found <= known {
            return Ok(Vec::new());
        }
        let mut starts = positions::low(client, topic, found, ask)?;
        let high = positions::high(client, topic, found, ask)?;
        starts.drain(..known);
        let mut all = self.progress.clone();
        all.extend(starts.iter().copied().map(Progress::at));
        positions::assign(client, topic, &all)?;
        self.expected = vec![None; found];
        self.contact.begin_anew(found, Instant::now());
        self.progress = all;
        self.ends = Awaited::all(high);
        Ok(starts)
    }
}

/// The broker does not let this client in, or not do what it wants: a new client with renewed credentials may fare better.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    kind_of(code) == ErrorKind::Denied
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use backup_tracker::transport::{DEFAULT_CONTACT_TIME, Place};
    use rdkafka::message::OwnedMessage;
    use rdkafka::{ClientConfig, Timestamp};
    use tokio::sync::mpsc;

    use super::{LONG_POLL, POLL, Poller, QUIET, Shared, patience};
    use crate::context::Context;
    use crate::link::Link;
    use crate::positions::{Client, Progress};

    #[test]
    fn it_polls_seldom_once_nothing_is_to_come() {
        let (refresh, contact) = (Duration::from_secs(30), DEFAULT_CONTACT_TIME);
        assert_eq!(patience(QUIET - Duration::from_millis(1), true, refresh, contact), POLL);
        assert_eq!(patience(QUIET, true, refresh, contact), LONG_POLL);
        // What is not in order is looked after, and new partitions are looked for as often as was asked for.
        assert_eq!(patience(QUIET, false, refresh, contact), POLL);
        assert_eq!(patience(QUIET, true, Duration::from_millis(300), contact), Duration::from_millis(300));
        // Nor does silence go unnoticed.
        assert_eq!(patience(QUIET, true, refresh, Duration::from_secs(2)), Duration::from_millis(250));
    }

    fn poller(progress: &[i64]) -> Poller {
        let make = || -> Client {
            ClientConfig::new().set("group.id", "search").create_with_context(Context::default()).unwrap()
        };
        Poller::new(
            (Arc::new(Link::new(Arc::new(make()))), Arc::new(move || Ok(make()))),
            Place::new("backups"),
            mpsc::channel(10).0,
            Arc::new(Shared::default()),
            (progress.iter().copied().map(Progress::at).collect(), vec![0; progress.len()]),
            (DEFAULT_CONTACT_TIME, Duration::MAX),
        )
    }

    fn message(partition: i32, offset: i64, payload: &str) -> OwnedMessage {
        let payload = Some(payload.as_bytes().to_vec());
        OwnedMessage::new(payload, None, "backups".into(), Timestamp::NotAvailable, partition, offset, None)
    }

    #[test]
    fn a_record_that_was_handed_over_is_not_handed_over_again() {
        let mut poller = poller(&[3, 0]);
        // Gaps are nothing strange; records of partitions that nobody asked for are.
        let mut seen = Vec::new();
        for (partition, offset) in [(0, 2), (0, 3), (1, 0), (0, 3), (0, 5), (0, 4), (2, 0), (-1, 0)] {
            if poller.moves_to(&message(partition, offset, "")).is_some() {
                seen.push((partition, offset));
            }
        }
        assert_eq!(seen, [(0, 3), (1, 0), (0, 5)]);
    }

    #[test]
    fn what_comes_after_a_look_counts_only_behind_the_record_that_was_read() {
        let mut poller = poller(&[0]);
        assert!(poller.moves_to(&message(0, 0, "ready")).is_some());
        for (again, same) in [("ready", true), ("another", false)] {
            poller.expected[0] = poller.progress[0].behind;
            assert!(poller.moves_to(&message(0, 0, again)).is_none());
            assert_eq!(poller.misplaced.is_none(), same, "{again}");
        }
        assert!(poller.moves_to(&message(0, 1, "backing up")).is_none());
        assert_eq!(poller.progress[0].next, 1);
    }

    #[test]
    fn what_comes_after_trouble_waits_for_a_look() {
        let mut poller = poller(&[0]);
        poller.contact.suspect_all();
        assert!(poller.moves_to(&message(0, 0, "ready")).is_none());
        assert_eq!(poller.progress, [Progress::at(0)]);
    }
}
