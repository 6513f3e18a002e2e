//! Looks at the stream, and waits for it to change.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use backup_tracker::StartAt;
use backup_tracker::transport::Place;
use redis::{Cmd, Value};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::answer::{self, Looked, Opened, Start};
use crate::config::RedisSourceBuilder;
use crate::contact::{self, Times};
use crate::entry::EntryId;
use crate::error::{Cause, Failure};
use crate::link::{Deadline, Link};
use crate::log::{Entry, Found, Mark};
use crate::script;

/// How many entries are fetched at first, and how many at most.
pub(crate) const LEAST_COUNT: usize = 64;
const MOST_COUNT: usize = 1024;
/// How many bytes a fetch may bring if the entries stay as large as the last ones were. Twice as many may wait in memory.
const FETCH_BYTES: usize = 1024 * 1024;

/// Cheap to clone, for the tasks that it starts.
#[derive(Clone)]
pub(crate) struct Reader {
    place: Place,
    /// `None` for an observer.
    pub(crate) group: Option<Arc<str>>,
    start: StartAt,
    create: bool,
    pub(crate) times: Times,
    /// Answers at once, always.
    pub(crate) requests: Link,
    /// May be held by a read that blocks.
    waiting: Link,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Whether the last thing heard was that the stream is there, and what is in it.
    in_contact: AtomicBool,
    /// Whether the user may not ask what the server is.
    may_not_ask: AtomicBool,
}

/// What a look at the stream came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// These entries, and the mark where the next look begins.
    Entries(Vec<Entry>, Mark),
    /// Entries behind the mark are gone, or the group is.
    Lost,
    /// The group is there, perhaps again, and this is before the earliest entry.
    Opened { token: String, earliest: Mark },
    /// There is no stream.
    Gone,
}

impl Reader {
    pub(crate) fn new(builder: &RedisSourceBuilder, place: Place) -> Self {
        let link = || Link::new(builder.redis.access.clone());
        Self {
            place,
            group: builder.group.as_deref().map(Arc::from),
            start: builder.start,
            create: builder.redis.create,
            times: Times::new(builder.contact_time, builder.request_timeout),
            requests: link(),
            waiting: link(),
            shared: Arc::default(),
        }
    }

    /// Finds the group, or creates it. Without a group, only looks.
    pub(crate) async fn open(&self, deadline: Deadline) -> Result<Opened, Failure> {
        let Some(group) = &self.group else { return self.observe(deadline).await };
        let start = match self.start {
            StartAt::Earliest => "earliest",
            StartAt::Latest => "latest",
        };
        let create = if self.create { "create" } else { "" };
        let token = Uuid::new_v4().simple().to_string();
        let command = script::run_with(script::OPEN, &self.place.topic, &[&**group, start, create, &token]);
        let answer = self.requests.ask(&command, deadline).await?;
        answer::opened(answer).ok_or_else(Failure::strange)
    }

    async fn observe(&self, deadline: Deadline) -> Result<Opened, Failure> {
        match self.look(None, deadline).await? {
            Looked::Missing => Ok(Opened::Missing),
            Looked::View(view, _) => {
                let mark = match self.start {
                    StartAt::Earliest => view.numbers.earliest(),
                    StartAt::Latest => view.numbers.latest(),
                };
                let start =
                    Start { lost: false, token: view.token, committed: false, mark, numbers: view.numbers };
                Ok(Opened::At(Box::new(start)))
            }
            Looked::Stale => Err(Failure::strange()),
        }
    }

    /// Looks at the stream, and at what stands at a place.
    pub(crate) async fn look(&self, at: Option<EntryId>, deadline: Deadline) -> Result<Looked, Failure> {
        let topic = &self.place.topic;
        let at = at.map(|id| id.to_string()).unwrap_or_default();
        let command = match &self.group {
            Some(group) => script::run_with(script::LOOK, topic, &[&**group, &at]),
            None => script::observe(topic, &at),
        };
        let answer = self.requests.ask(&command, deadline).await?;
        answer::looked(answer).ok_or_else(Failure::strange)
    }

    /// The commands that look at the stream and read from a place on, without a script, which would turn every field into a value
    /// of its own and back. Whether the group is there is asked in a way that costs the same however many groups there are.
    fn read(&self, from: EntryId, count: usize) -> Vec<Cmd> {
        let topic = &self.place.topic;
        let (mut commands, mut info, mut range) = (Vec::new(), redis::cmd("XINFO"), redis::cmd("XRANGE"));
        if let Some(group) = &self.group {
            let (mut held, mut has) = (redis::cmd("HGET"), redis::cmd("XINFO"));
            held.arg(script::side_key(topic)).arg(format!("group:{group}"));
            has.arg("CONSUMERS").arg(topic).arg(&**group);
            commands.extend([held, has]);
        }
        info.arg("STREAM").arg(topic);
        range.arg(topic).arg(from.to_string()).arg("+").arg("COUNT").arg(with_its_own(count));
        commands.extend([info, range]);
        commands
    }

    /// As [`read`](Self::read), more slowly, for a server that takes no transaction.
    async fn read_in_a_script(&self, from: EntryId, count: usize) -> Result<Vec<Value>, Failure> {
        let topic = &self.place.topic;
        let arguments = |group: &str| [group.to_owned(), from.to_string(), with_its_own(count).to_string()];
        let command = match &self.group {
            Some(group) => script::run_with(script::FETCH, topic, &arguments(group)),
            None => script::read_only(script::FETCH, topic, &arguments("")),
        };
        match self.requests.ask(&command, Deadline::after(self.times.look)).await? {
            Value::Array(answers) => Ok(answers),
            _ => Err(Failure::strange()),
        }
    }

    /// Starts to look for what follows the mark, so many entries at most, and to wait until something does.
    pub(crate) fn follow(&self, token: String, mark: Mark, count: usize) -> Task<Result<Step, Failure>> {
        let reader = self.clone();
        Task::start(async move {
            let step = reader.following(token, mark, count).await;
            step.inspect_err(|failure| reader.fails(failure))
        })
    }

    async fn following(&self, token: String, mut mark: Mark, count: usize) -> Result<Step, Failure> {
        let deadline = Deadline::after(self.times.look);
        let mut answer = self.requests.ask_at_once(None, self.read(mark.id, count), deadline).await;
        let mut waited = false;
        loop {
            if answer.as_ref().is_err_and(Failure::is_out_of_memory) {
                answer = self.read_in_a_script(mark.id, count).await;
            }
            let answers = match answer {
                Err(failure) if failure.is_gone() => return Ok(Step::Lost),
                answer => answer?,
            };
            let (view, entries) =
                answer::view_and_entries(answers, self.group.is_some()).ok_or_else(Failure::strange)?;
            if view.token != token {
                return Ok(Step::Lost);
            }
            match view.behind(entries, &mark, count) {
                Found::Lost => return Ok(Step::Lost),
                Found::Entries(entries, next) if !entries.is_empty() => {
                    return Ok(Step::Entries(entries, next));
                }
                Found::Entries(_, next) => mark = next,
            }
            // Not with each record: what is on its way when it is asked comes later for it.
            if waited || !self.is_in_contact() {
                self.check_replica().await?;
            }
            self.hears(true);
            waited = true;
            // The next look is with the server when the waiting ends, and costs no way there and back.
            let wait = Some(self.waiting_behind(mark.id));
            let commands = self.read(mark.id, count);
            answer = self.waiting.ask_at_once(wait, commands, Deadline::after(self.times.waiting)).await;
        }
    }

    /// Starts to open the group anew after its stream went; when there is no stream, says so at once, or waits for one.
    pub(crate) fn reopen(&self, wait: bool) -> Task<Result<Step, Failure>> {
        let reader = self.clone();
        Task::start(async move {
            let step = reader.reopening(wait).await;
            step.inspect_err(|failure| reader.fails(failure))
        })
    }

    async fn reopening(&self, wait: bool) -> Result<Step, Failure> {
        loop {
            match self.open(Deadline::after(self.times.look)).await? {
                Opened::At(start) => {
                    let Start { token, numbers, .. } = *start;
                    self.hears(true);
                    return Ok(Step::Opened { token, earliest: numbers.earliest() });
                }
                Opened::Missing if wait => {
                    self.hears(false);
                    let command = self.waiting_behind(EntryId::default());
                    self.waiting.ask(&command, Deadline::after(self.times.waiting)).await?;
                }
                Opened::Missing => {
                    self.hears(false);
                    return Ok(Step::Gone);
                }
            }
        }
    }

    /// The command that the server holds until there is an entry behind this one, or for a while. What it returns is left aside:
    /// the look that follows shows the same, and the state of the stream with it.
    fn waiting_behind(&self, behind: EntryId) -> Cmd {
        let mut command = redis::cmd("XREAD");
        let block = self.times.block.as_millis().max(1).to_string();
        command.arg("COUNT").arg(1).arg("BLOCK").arg(block);
        command.arg("STREAMS").arg(&self.place.topic).arg(behind.to_string());
        command
    }

    /// A replica answers whether or not it still hears of anything.
    async fn check_replica(&self) -> Result<(), Failure> {
        if self.shared.may_not_ask.load(Ordering::Relaxed) {
            return Ok(());
        }
        let deadline = Deadline::after(self.times.look);
        match self.requests.probe(&contact::question(), deadline).await {
            Ok(answer) => match contact::stale(answer, self.times.silence) {
                Some(reason) => Err(Failure::new(true, Cause::Stale(reason))),
                None => Ok(()),
            },
            Err(failure) if failure.is_broken() => Err(failure),
            // Not every user may.
            Err(_) => {
                self.shared.may_not_ask.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// What swallowed one connection has probably swallowed the other as well, and nobody has found out yet: both are made anew,
    /// so that what works again is found at once.
    fn fails(&self, failure: &Failure) {
        self.hears(false);
        if failure.is_broken() {
            self.requests.give_up_any();
            self.waiting.give_up_any();
        }
    }

    fn hears(&self, all_is_well: bool) {
        self.shared.in_contact.store(all_is_well, Ordering::Relaxed);
    }

    /// Whether the last thing heard was that all is well.
    pub(crate) fn is_in_contact(&self) -> bool {
        self.shared.in_contact.load(Ordering::Relaxed)
    }
}

/// So many, and the one at the mark.
const fn with_its_own(count: usize) -> usize {
    count + 1
}

/// How many entries to fetch when so many came last, with so many bytes together.
pub(crate) fn next_count(entries: usize, bytes: usize) -> usize {
    let each = bytes / entries.max(1);
    (FETCH_BYTES / each.max(1)).clamp(LEAST_COUNT, MOST_COUNT)
}

/// A task that ends when this is dropped.
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn start(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

/// `None`: the runtime has stopped it.
impl<T> Future for Task<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(context)).ok())
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
