//! The reading half.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backup_tracker::transport::Place;
use backup_tracker::wire::Others;
use backup_tracker::{Error, ErrorKind, EventSource, Record, Remaining, Result};
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use tokio::sync::mpsc;

use crate::admin;
use crate::blocking::{Deadline, Worker, on_a_thread, spawn};
use crate::config::{Kafka, KafkaSourceBuilder, NO_GROUP};
use crate::context::Context;
use crate::error::KafkaErrors;
use crate::group::{self, CLAIM, COMMIT, Group};
use crate::items::{Item, Shared};
use crate::link::Link;
use crate::log_check;
use crate::mark::Owner;
use crate::poller::Poller;
use crate::positions::{self, Client, Plan, Progress, as_ours};
use crate::record;
use crate::renewal::Make;
use crate::seen::Seen;

const OPEN: &str = "open the source";
const REMAINING: &str = "count what remains";

/// How many batches wait between librdkafka and the reader. librdkafka keeps more records by itself.
const BUFFER: usize = 8;

/// For how long a partition's end may be ahead of the reader, and nothing come, before it is looked at closely. That costs a new
/// fetch.
const SUSPICIOUS: Duration = Duration::from_millis(100);

/// What the source relies on, so that a user's value would break its promises.
const RESERVED: [&str; 5] = [
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
];

/// Reads the topic from the group's position, or without a group. Made by [`KafkaSourceBuilder::open`].
///
/// The crate's documentation says what it guarantees.
pub struct KafkaSource {
    place: Place,
    request_timeout: Duration,
    resumed: bool,
    /// In each partition, what `next` has returned.
    progress: Vec<Progress>,
    /// What is left of the batch that was taken from the channel last.
    batch: std::vec::IntoIter<Item>,
    /// An item that was taken from the batch and is not due yet.
    waiting: Option<Item>,
    lost: Option<Error>,
    group: Group,
    /// In each partition, what `next` and the end were when the one began to be short of the other.
    suspects: Vec<Option<((i64, i64), Instant)>>,
    items: mpsc::Receiver<Vec<Item>>,
    shared: Arc<Shared>,
    requests: Worker<Arc<Link>>,
}

impl KafkaSource {
    pub(crate) async fn open(builder: &KafkaSourceBuilder, place: &Place, created: bool) -> Result<Self> {
        for name in RESERVED {
            if builder.kafka.properties.contains(name) {
                return Err(Error::config(name, "this crate sets it, and relies on it"));
            }
        }
        let deadline = Deadline::after(builder.kafka.open_timeout);
        let builder = builder.clone();
        let opening = on_a_thread(place, OPEN, move |place| open(builder, place, deadline, created));
        deadline.bound(place, OPEN, opening).await
    }

    /// Takes an item into account, and gives what `next` has to return for it.
    fn accept(&mut self, item: Item) -> Option<Result<Option<Record>>> {
        match item {
            Item::Record { partition, seen, record } => {
                self.moves_behind(partition, seen)?;
                Some(Ok(Some(record)))
            }
            Item::LeftOut { partition, seen, count } => {
                self.moves_behind(partition, seen)?;
                Some(Ok(Some(Record::left_out(record::position(partition, seen.offset), count))))
            }
            Item::End { partition, offset } => {
                let progress = self.progress.get_mut(partition)?;
                progress.next = offset.max(progress.next);
                None
            }
            Item::Grown { starts } => {
                self.progress.extend(starts.into_iter().map(Progress::at));
                self.group.held.resize(self.progress.len(), false);
                None
            }
            Item::Lost { moved, error } => {
                for (partition, offset) in moved {
                    *self.progress.get_mut(partition)? = Progress::at(offset);
                    self.group.begin_anew(partition);
                }
                // What was not read at all cannot be a place in a log that is gone.
                for partition in
                    (0..self.progress.len()).filter(|partition| self.progress[*partition].next == 0)
                {
                    self.group.begin_anew(partition);
                }
                self.resumed = false;
                Some(Err(error))
            }
            Item::Failed(error) => {
                self.shared.error_was_taken();
                Some(Err(error))
            }
        }
    }

    fn moves_behind(&mut self, partition: usize, seen: Seen) -> Option<()> {
        *self.progress.get_mut(partition)? = Progress { next: seen.offset + 1, behind: Some(seen) };
        Some(())
    }

    /// Takes into account what has arrived and is nothing that `next` would return.
    fn accept_what_is_silent(&mut self) {
        while self.waiting.is_none() && self.lost.is_none() {
            match self.arrived() {
                Some(item @ (Item::Record { .. } | Item::LeftOut { .. } | Item::Failed(_))) => {
                    self.waiting = Some(item);
                }
                Some(item) => {
                    if let Some(Err(error)) = self.accept(item) {
                        self.lost = Some(error);
                    }
                }
                None => return,
            }
        }
    }

    /// The next item, if there is one already.
    fn arrived(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.batch.next() {
                return Some(item);
            }
            self.batch = self.items.try_recv().ok()?.into_iter();
        }
    }
}

impl EventSource for KafkaSource {
    async fn next(&mut self) -> Result<Option<Record>> {
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        loop {
            let Some(item) = self.waiting.take().or_else(|| self.batch.next()) else {
                let batch = self.items.recv().await.ok_or_else(|| {
                    self.place.error(ErrorKind::Internal, "read", "the polling thread has ended")
                })?;
                self.batch = batch.into_iter();
                continue;
            };
            if let Some(outcome) = self.accept(item) {
                return outcome;
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        // While a loss is still to be told, nothing that was read is in the log any more.
        if self.place.group.is_none() || self.lost.is_some() {
            return Ok(());
        }
        let (progress, group, timeout) = (self.progress.clone(), self.group.clone(), self.request_timeout);
        let work = move |link: &Arc<Link>, place: &Place| {
            group::commit(&link.client(), place, &progress, &group, timeout)
        };
        let written = self.requests.run(&self.place, COMMIT, timeout, work).await?;
        self.shared.position_was_stored();
        self.group.wrote(&self.place, &written);
        Ok(())
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        if self.place.group.is_none() {
            return Ok(());
        }
        let owner = Owner::of(application);
        let (claimed, partitions, timeout) = (owner.clone(), self.progress.len(), self.request_timeout);
        let work = move |link: &Arc<Link>, place: &Place| {
            group::claim(&link.client(), place, partitions, &claimed, timeout)
        };
        self.requests.run(&self.place, CLAIM, timeout, work).await?;
        self.group.owner = Some(owner);
        Ok(())
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    fn leave_out(&mut self, others: Others) {
        if self.shared.others.set(others).is_err() {
            tracing::debug!("others' records are left out already; the second time counts for nothing");
        }
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        self.accept_what_is_silent();
        let (count, timeout) = (self.progress.len(), self.request_timeout);
        let work = move |link: &Arc<Link>, place: &Place| {
            let high = positions::high(&link.client(), &place.topic, count, timeout);
            high.map_err(|cause| place.in_session(REMAINING, cause))
        };
        let high = self.requests.run(&self.place, REMAINING, timeout, work).await?;
        self.accept_what_is_silent();
        let nothing_waits = self.waiting.is_none() && self.lost.is_none();
        self.suspects.resize(self.progress.len(), None);
        let mut remaining = vec![0; self.progress.len()];
        for (partition, high) in high.into_iter().enumerate() {
            // Not negative where it is positive.
            let next = self.progress[partition].next;
            let beyond = u64::try_from(high - next).unwrap_or(0);
            remaining[partition] = beyond;
            let suspect = (beyond > 0 && nothing_waits).then_some((next, high));
            match (suspect, self.suspects[partition]) {
                (None, _) => self.suspects[partition] = None,
                // Either a record is on its way, or there is none, and only the partition's end can tell.
                (Some(place), Some((before, since))) if place == before => {
                    if since.elapsed() >= SUSPICIOUS {
                        self.shared.ask(partition, high);
                    }
                }
                (Some(place), _) => self.suspects[partition] = Some((place, Instant::now())),
            }
        }
        Ok(Remaining::in_partitions(remaining))
    }
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource")
            .field("topic", &self.place.topic)
            .field("group", &self.place.group)
            .field("resumed", &self.resumed)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

fn client_config(kafka: &Kafka, group: &str) -> Result<ClientConfig> {
    kafka.client_config_with(&[
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        ("fetch.error.backoff.ms", "100"),
        // An event counts once it is acknowledged. A transaction that somebody leaves open would hide everything behind it.
        ("isolation.level", "read_uncommitted"),
        // A broker answers one request of a connection after the other, so that what is asked of it waits behind a fetch that
        // waits for records: half a second with librdkafka's default. Records are sent as soon as there are some in any case.
        ("fetch.wait.max.ms", "100"),
        // No group is joined. librdkafka also holds a commit back for as long while the group's coordinator is away.
        ("session.timeout.ms", "6000"),
    ])
}

/// A client for this source, with the credentials as they are now.
fn client(builder: &KafkaSourceBuilder, place: &Place, context: Context) -> Result<Client> {
    let config = client_config(&builder.kafka, builder.group.as_deref().unwrap_or(NO_GROUP))?;
    as_ours(place, OPEN, config.create_with_context(context))
}

fn context(builder: &KafkaSourceBuilder) -> Context {
    let context = if builder.group.is_none() { Context::for_observer() } else { Context::default() };
    context.with_tokens(builder.kafka.tokens.clone())
}

fn open(
    builder: KafkaSourceBuilder,
    place: &Place,
    deadline: Deadline,
    created: bool,
) -> Result<KafkaSource> {
    let context = context(&builder);
    let observes = builder.group.is_none();
    let client: Client = client(&builder, place, context.clone())?;
    let topic = &*place.topic;
    let serve = || positions::serve(&client);
    let found = admin::partitions(client.client(), &context, place, OPEN, deadline, created, serve)?;
    let count = found.len();
    // A new topic's leaders, and a new group's coordinator, may need a moment. Opening has its time for that.
    let patiently = |ask: &dyn Fn(Duration) -> KafkaResult<Vec<i64>>| {
        deadline.patiently(|left| as_ours(place, OPEN, ask(left)))
    };
    let stored = if observes {
        vec![None; count]
    } else {
        positions::stored(&client, &context, place, OPEN, count, deadline)?
    };
    // The position first: it is never behind an end that is asked for later.
    let low = patiently(&|left| positions::low(&client, topic, count, left))?;
    let high = patiently(&|left| positions::high(&client, topic, count, left))?;
    let Plan { mut progress, resumed, is_new, mut lost } =
        positions::plan(&stored, &low, &high, builder.start);
    if is_new && !observes {
        deadline.patiently(|_| as_ours(place, OPEN, positions::fix_start(&client, topic, &progress)))?;
    }
    // Whoever reads for a group has shown by now that it may; an observer has not.
    let different = log_check::compare(&client, topic, &mut progress, &low, observes, deadline);
    for partition in as_ours(place, OPEN, different)? {
        lost.push((partition, progress[partition].next));
        progress[partition] = Progress::at(low[partition]);
    }
    as_ours(place, OPEN, positions::assign(&client, topic, &progress))?;

    let mut held: Vec<bool> = stored.iter().map(|stored| is_new || stored.is_some()).collect();
    for (partition, _) in &lost {
        held[*partition] = false;
    }
    let error = (!lost.is_empty()).then(|| positions::lost_error(place, &lost, &progress));
    let link = Arc::new(Link::new(Arc::new(client)));
    let shared = Arc::new(Shared::default());
    let (sender, items) = mpsc::channel(BUFFER);
    let times = (builder.contact_time, builder.partition_refresh);
    let request_timeout = builder.request_timeout;
    let make: Make = {
        let place = place.clone();
        Arc::new(move || self::client(&builder, &place, self::context(&builder)))
    };
    let poller = Poller::new(
        (Arc::clone(&link), make),
        place.clone(),
        sender,
        Arc::clone(&shared),
        (progress.clone(), high),
        times,
    );
    let thread = |cause: std::io::Error| {
        place.error(ErrorKind::Internal, OPEN, "a thread could not be started").with_source(cause)
    };
    let requests = Worker::start(link).map_err(thread)?;
    spawn("poller", move || poller.run()).map_err(thread)?;
    Ok(KafkaSource {
        request_timeout,
        resumed: resumed && lost.is_empty(),
        group: Group::holding(held),
        suspects: vec![None; progress.len()],
        progress,
        batch: Vec::new().into_iter(),
        waiting: None,
        lost: error,
        items,
        shared,
        requests,
        place: place.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::mocking::MockCluster;

    use crate::Kafka;
    use crate::positions::Progress;

    #[tokio::test]
    async fn a_partitions_end_is_reported_again_when_it_is_asked_for() {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("backups", 2, 1).unwrap();
        let kafka = Kafka::new(mock.bootstrap_servers(), "backups").property("fetch.wait.max.ms", "10");
        let mut source = kafka.source("search").open().await.unwrap();
        // The mock writes no markers, so that the end is only said to be so far on: it is the report that counts.
        for end in [3, 7] {
            let reported = async {
                while source.progress[1].next < end {
                    source.shared.ask(1, end);
                    source.accept_what_is_silent();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), reported).await.unwrap();
            assert_eq!(source.progress, [0, end].map(Progress::at));
        }
    }
}
