//! Looks at the stream, and waits for it to change.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::{Result, StartAt};
use redis::{Client, Cmd, Value};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::answer::{self, Looked, Opened, Start};
use crate::config::RedisSourceBuilder;
use crate::entry::EntryId;
use crate::error::{Failure, RedisErrors};
use crate::link::{Deadline, Link};
use crate::log::{Entry, Found, Mark, View};
use crate::script;

/// How many entries are fetched at first, and how many at most.
pub(crate) const LEAST_COUNT: usize = 64;
const MOST_COUNT: usize = 1024;
/// How many bytes a fetch may bring if the entries stay as large as the last ones were. Twice as many may wait in memory.
const FETCH_BYTES: usize = 1024 * 1024;
/// How long the server may hold a read that has nothing to return. Then it is asked again, which shows a connection that
/// died in silence.
const BLOCK: Duration = Duration::from_secs(3);
const READ: &str = "read";

/// Cheap to clone, for the tasks that it starts.
#[derive(Clone)]
pub(crate) struct Reader {
    place: Place,
    /// `None` for an observer.
    pub(crate) group: Option<Arc<str>>,
    start: StartAt,
    create: bool,
    request_timeout: Duration,
    /// Answers at once, always.
    pub(crate) requests: Link,
    /// May be held by a read that blocks.
    waiting: Link,
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
    pub(crate) fn new(client: Client, builder: &RedisSourceBuilder, place: Place) -> Self {
        Self {
            place,
            group: builder.group.as_deref().map(Arc::from),
            start: builder.start,
            create: builder.redis.create,
            request_timeout: builder.request_timeout,
            requests: Link::new(client.clone()),
            waiting: Link::new(client),
        }
    }

    /// Finds the group, or creates it. Without a group, only looks.
    pub(crate) async fn open(&self, operation: &'static str, deadline: Deadline) -> Result<Opened> {
        let Some(group) = &self.group else { return self.observe(operation, deadline).await };
        let start = match self.start {
            StartAt::Earliest => "earliest",
            StartAt::Latest => "latest",
        };
        let create = if self.create { "create" } else { "" };
        let token = Uuid::new_v4().simple().to_string();
        let command = script::run_with(script::OPEN, &self.place.topic, &[&**group, start, create, &token]);
        let answer = self.requests.ask(&command, deadline).await;
        let answer = answer.map_err(|failure| self.place.failure(operation, failure))?;
        answer::opened(answer).ok_or_else(|| self.place.strange(operation))
    }

    async fn observe(&self, operation: &'static str, deadline: Deadline) -> Result<Opened> {
        let answer = self.requests.ask(&self.look(), deadline).await;
        let answer = answer.map_err(|failure| self.place.failure(operation, failure))?;
        match answer::looked(answer).ok_or_else(|| self.place.strange(operation))? {
            Looked::Missing => Ok(Opened::Missing),
            Looked::View(View { token, numbers, .. }) => {
                let mark = match self.start {
                    StartAt::Earliest => numbers.earliest(),
                    StartAt::Latest => numbers.latest(),
                };
                Ok(Opened::At(Box::new(Start { lost: false, token, committed: false, mark, numbers })))
            }
        }
    }

    /// The command that looks at the stream.
    pub(crate) fn look(&self) -> Cmd {
        let topic = &self.place.topic;
        match &self.group {
            Some(group) => script::run_with(script::LOOK, topic, &[&**group]),
            None => script::observe(topic),
        }
    }

    /// The commands that look at the stream and read what follows, without a script, which would turn every field into a value
    /// of its own and back. Whether the group is there is asked in a way that costs the same however many groups there are.
    fn read(&self, behind: EntryId, count: usize) -> Vec<Cmd> {
        let topic = &self.place.topic;
        let (mut commands, mut info, mut range) = (Vec::new(), redis::cmd("XINFO"), redis::cmd("XRANGE"));
        if let Some(group) = &self.group {
            let (mut held, mut has) = (redis::cmd("HGET"), redis::cmd("XINFO"));
            held.arg(script::side_key(topic)).arg(format!("group:{group}"));
            has.arg("CONSUMERS").arg(topic).arg(&**group);
            commands.extend([held, has]);
        }
        info.arg("STREAM").arg(topic);
        range.arg(topic).arg(format!("({behind}")).arg("+").arg("COUNT").arg(count);
        commands.extend([info, range]);
        commands
    }

    /// As [`read`](Self::read), more slowly, for a server that takes no transaction.
    async fn read_in_a_script(&self, behind: EntryId, count: usize) -> Result<Vec<Value>, Failure> {
        let topic = &self.place.topic;
        let arguments = |group: &str| [group.to_owned(), behind.to_string(), count.to_string()];
        let command = match &self.group {
            Some(group) => script::run_with(script::FETCH, topic, &arguments(group)),
            None => script::read_only(script::FETCH, topic, &arguments("")),
        };
        let answer = self.requests.ask(&command, Deadline::after(self.request_timeout)).await;
        answer.map(|answers| match answers {
            Value::Array(answers) => answers,
            _ => Vec::new(),
        })
    }

    /// Starts to look for what follows the mark, so many entries at most, and to wait until something does.
    pub(crate) fn follow(&self, token: String, mark: Mark, count: usize) -> Task<Result<Step>> {
        let reader = self.clone();
        Task::start(async move {
            let mut mark = mark;
            let deadline = Deadline::after(reader.request_timeout);
            let commands = reader.read(mark.id, count);
            let mut answer = reader.requests.ask_at_once(None, commands, deadline).await;
            loop {
                let refused = answer.as_ref().is_err_and(Failure::is_out_of_memory);
                if refused {
                    answer = reader.read_in_a_script(mark.id, count).await;
                }
                let answers = match answer {
                    Err(failure) if failure.is_gone() => return Ok(Step::Lost),
                    answer => answer.map_err(|failure| reader.place.failure(READ, failure))?,
                };
                let (view, entries) = answer::view_and_entries(answers, reader.group.is_some())
                    .ok_or_else(|| reader.place.strange(READ))?;
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
                // The next look is with the server when the waiting ends, and costs no way there and back.
                let wait = Some(reader.waiting_behind(mark.id));
                let commands = reader.read(mark.id, count);
                answer = reader.waiting.ask_at_once(wait, commands, reader.waiting_deadline()).await;
            }
        })
    }

    /// Starts to open the group anew after its stream went; when there is no stream, says so at once, or waits for one.
    pub(crate) fn reopen(&self, wait: bool) -> Task<Result<Step>> {
        let reader = self.clone();
        Task::start(async move {
            loop {
                let deadline = Deadline::after(reader.request_timeout);
                match reader.open(READ, deadline).await? {
                    Opened::At(start) => {
                        let Start { token, numbers, .. } = *start;
                        return Ok(Step::Opened { token, earliest: numbers.earliest() });
                    }
                    Opened::Missing if wait => reader.wait(EntryId::default()).await?,
                    Opened::Missing => return Ok(Step::Gone),
                }
            }
        })
    }

    /// Waits until there is an entry behind this one, or for a while.
    async fn wait(&self, behind: EntryId) -> Result<()> {
        let answer = self.waiting.ask(&self.waiting_behind(behind), self.waiting_deadline()).await;
        answer.map(drop).map_err(|failure| self.place.failure(READ, failure))
    }

    /// The command that the server holds until there is an entry behind this one, or for a while. What it returns is left aside:
    /// the look that follows tells the same, and the state of the stream with it.
    fn waiting_behind(&self, behind: EntryId) -> Cmd {
        let mut command = redis::cmd("XREAD");
        let block = BLOCK.as_millis().to_string();
        command.arg("COUNT").arg(1).arg("BLOCK").arg(block);
        command.arg("STREAMS").arg(&self.place.topic).arg(behind.to_string());
        command
    }

    fn waiting_deadline(&self) -> Deadline {
        Deadline::after(self.request_timeout.saturating_add(BLOCK))
    }
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
