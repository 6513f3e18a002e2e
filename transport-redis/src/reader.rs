//! Looks at the stream, and waits for it to change.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::{Result, StartAt};
use redis::{Client, Cmd};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::answer::{self, Looked, Opened, Start};
use crate::config::RedisSourceBuilder;
use crate::entry::EntryId;
use crate::error::RedisErrors;
use crate::link::{Deadline, Link};
use crate::log::{Entry, Found, Mark, View};
use crate::script;

/// How many entries are fetched at once.
const COUNT: usize = 64;
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
        let answer = self.requests.ask(&self.look(EntryId::default(), 0), deadline).await;
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

    pub(crate) fn look(&self, behind: EntryId, count: usize) -> Cmd {
        let (topic, behind, count) = (&self.place.topic, behind.to_string(), count.to_string());
        match &self.group {
            Some(group) => script::run_with(script::FETCH, topic, &[&**group, &behind, &count]),
            None => script::observe(topic, &[behind, count]),
        }
    }

    /// Starts to look for what follows the mark, and to wait until something does.
    pub(crate) fn follow(&self, token: String, mark: Mark) -> Task<Result<Step>> {
        let reader = self.clone();
        Task::start(async move {
            let mut mark = mark;
            loop {
                let command = reader.look(mark.id, COUNT);
                let deadline = Deadline::after(reader.request_timeout);
                let answer = reader.requests.ask(&command, deadline).await;
                let answer = answer.map_err(|failure| reader.place.failure(READ, failure))?;
                let view = match answer::looked(answer).ok_or_else(|| reader.place.strange(READ))? {
                    Looked::View(view) if view.token == token => view,
                    Looked::View(_) | Looked::Missing => return Ok(Step::Lost),
                };
                match view.behind(&mark, COUNT) {
                    Found::Lost => return Ok(Step::Lost),
                    Found::Entries(entries, next) if !entries.is_empty() => {
                        return Ok(Step::Entries(entries, next));
                    }
                    Found::Entries(_, next) => mark = next,
                }
                reader.wait(mark.id).await?;
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

    /// Waits until there is an entry behind this one, or for a while. What the server returns is left aside: the look that
    /// follows tells the same, and the state of the stream with it.
    async fn wait(&self, behind: EntryId) -> Result<()> {
        let mut command = redis::cmd("XREAD");
        let block = BLOCK.as_millis().to_string();
        command.arg("COUNT").arg(1).arg("BLOCK").arg(block);
        command.arg("STREAMS").arg(&self.place.topic).arg(behind.to_string());
        let deadline = Deadline::after(self.request_timeout.saturating_add(BLOCK));
        let answer = self.waiting.ask(&command, deadline).await;
        answer.map(drop).map_err(|failure| self.place.failure(READ, failure))
    }
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
