//! A source, with bounded waits and the oracle's check on every record.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use backup_tracker::{Error, Event, EventSource, Record, Remaining};
use futures_util::future::poll_fn;

use crate::bench::{Clock, Outcome, PAUSE, PROMPT, describe, equal, failure};
use crate::oracle::{Oracle, show};

/// What passes between some polls of a future that is about to be dropped.
const MOMENT: Duration = Duration::from_micros(200);

pub(crate) struct Reader<S> {
    pub(crate) source: S,
    group: String,
    clock: Clock,
}

impl<S: EventSource> Reader<S> {
    pub(crate) fn new(source: S, group: &str, clock: Clock) -> Self {
        Self { source, group: group.to_owned(), clock }
    }

    /// The next answer of the source, whatever it is.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> impl Future<Output = Outcome<Result<Option<Record>, Error>>> + Send {
        let what = format!("an answer of `next` of group `{}`", self.group);
        self.clock.within(what, self.clock.patience, self.source.next())
    }

    /// The next record, which must come.
    #[track_caller]
    pub(crate) fn next(&mut self) -> impl Future<Output = Outcome<Record>> + Send {
        let what = format!("the next record of group `{}`", self.group);
        let ended = failure(&what, "`next` returned None: the source ended");
        let next = self.clock.succeeds(what, self.source.next());
        async move { next.await?.ok_or(ended) }
    }

    /// Reads as many of the events as asked for, in any order that keeps each application's. Returns those that are left.
    pub(crate) async fn take(&mut self, events: &[Event], count: usize) -> Outcome<Vec<Event>> {
        let mut oracle = Oracle::new(events);
        for _ in 0..count {
            let record = self.next().await.map_err(|mut failure| {
                failure.expected += &format!(" ({})", oracle.progress());
                failure
            })?;
            oracle.check(&record)?;
        }
        Ok(oracle.left())
    }

    /// Reads these events, all of them, in any order that keeps each application's.
    pub(crate) async fn expect(&mut self, events: &[Event]) -> Outcome {
        self.take(events, events.len()).await.map(|_| ())
    }

    /// Reads these events, and nothing else comes.
    pub(crate) async fn expect_only(&mut self, events: &[Event]) -> Outcome {
        self.expect(events).await?;
        self.nothing().await
    }

    /// Nothing comes.
    pub(crate) async fn nothing(&mut self) -> Outcome {
        let expected = format!("nothing more for group `{}`", self.group);
        match self.clock.nothing(&expected, self.source.next()).await {
            None => Ok(()),
            Some(Ok(Some(record))) => Err(failure(expected, show(&record))),
            Some(Ok(None)) => Err(failure(expected, "`next` returned None: the source ended")),
            Some(Err(error)) => Err(failure(expected, describe(&error))),
        }
    }

    /// Asks for the next record and gives up after `polls` polls. `None` when it was dropped unfinished.
    pub(crate) async fn next_or_cancel(&mut self, polls: usize) -> Outcome<Option<Record>> {
        match poll_times(self.source.next(), polls).await {
            None => Ok(None),
            Some(Ok(Some(record))) => Ok(Some(record)),
            Some(Ok(None)) => Err(failure("a record or nothing yet", "`next` returned None")),
            Some(Err(error)) => Err(failure("a record or nothing yet", describe(&error))),
        }
    }

    /// As [`next_or_cancel`](Self::next_or_cancel), where an error is no matter.
    pub(crate) async fn next_or_error(&mut self, polls: usize) -> Option<Result<Option<Record>, Error>> {
        poll_times(self.source.next(), polls).await
    }

    /// The next record, without a bound of its own.
    pub(crate) async fn next_unbounded(&mut self) -> Outcome<Option<Record>> {
        let next = self.source.next().await;
        next.map_err(|error| failure("`next` succeeds", describe(&error)))
    }

    /// The next record, which must come, after errors that pass at most.
    pub(crate) async fn next_at_last(&mut self) -> Outcome<Record> {
        let source = &mut self.source;
        let asking = async {
            loop {
                match source.next().await {
                    Ok(Some(record)) => return Ok(record),
                    Ok(None) => {
                        return Err(failure("a record", "`next` returned None: the source ended"));
                    }
                    Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
                    Err(error) => {
                        return Err(failure("a record, or Unavailable for a while", describe(&error)));
                    }
                }
            }
        };
        let what = format!("the next record of group `{}`, the broker being back", self.group);
        self.clock.within(what, self.clock.patience * 2, asking).await?
    }

    /// Commits, which must succeed, after errors that pass at most.
    pub(crate) async fn commit_at_last(&mut self) -> Outcome {
        let source = &mut self.source;
        let asking = async {
            loop {
                match source.commit().await {
                    Ok(()) => return Ok(()),
                    Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
                    Err(error) => {
                        return Err(failure("a commit, or Unavailable for a while", describe(&error)));
                    }
                }
            }
        };
        let what = format!("a commit of group `{}`, the broker being back", self.group);
        self.clock.within(what, self.clock.patience * 2, asking).await?
    }

    /// Whether the session says that it began at a committed position.
    #[track_caller]
    pub(crate) fn resumed(&self, expected: bool) -> Outcome {
        equal(&format!("resumed of group `{}`", self.group), &expected, &self.source.resumed())
    }

    /// Commits, which must succeed.
    #[track_caller]
    pub(crate) fn commit(&mut self) -> impl Future<Output = Outcome> + Send {
        let what = format!("a commit of group `{}`", self.group);
        self.clock.succeeds(what, self.source.commit())
    }

    /// How much remains in each partition, which must be answered.
    #[track_caller]
    pub(crate) fn counts(&mut self) -> impl Future<Output = Outcome<Remaining>> + Send {
        let what = format!("what remains for group `{}`", self.group);
        self.clock.succeeds(what, self.source.remaining())
    }

    /// How much remains, which must be answered.
    #[track_caller]
    pub(crate) fn remaining(&mut self) -> impl Future<Output = Outcome<u64>> + Send {
        let counting = self.counts();
        async { Ok(counting.await?.total()) }
    }

    /// How much remains, which must be answered, after errors that pass at most.
    pub(crate) async fn remaining_at_last(&mut self) -> Outcome<Remaining> {
        let source = &mut self.source;
        let asking = async {
            loop {
                match source.remaining().await {
                    Ok(counts) => return Ok(counts),
                    Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
                    Err(error) => {
                        return Err(failure("a count, or Unavailable for a while", describe(&error)));
                    }
                }
            }
        };
        let what = format!("what remains for group `{}`, the broker being back", self.group);
        self.clock.within(what, self.clock.patience * 2, asking).await?
    }

    /// Closes the source, promptly and, unless the broker is gone, without an error.
    pub(crate) async fn close(self) -> Outcome<Result<(), Error>> {
        let Self { source, clock, .. } = self;
        clock.within("closing the source", PROMPT, source.close()).await
    }
}

/// Polls a future so many times, whether it asked for it or not, with a moment for others in between, and then drops it.
pub(crate) async fn poll_times<T>(future: impl Future<Output = T> + Send, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    for poll in 0..polls {
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Some(output);
        }
        // Most awaits only end when time passes: every few polls, let some pass.
        if poll % 4 == 3 {
            tokio::time::sleep(MOMENT).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
    None
}
