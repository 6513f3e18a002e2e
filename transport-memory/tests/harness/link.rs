//! A connection for a transport that has none, which can hang: with requests that do not arrive, or with answers that do not.

use std::time::Duration;

use backup_tracker::{Delivery, Error, ErrorKind, Event, EventSource, Record, Remaining, Result, Sink};
use backup_tracker_conformance::DELAY;
use tokio::sync::watch;
use tokio::time::Instant;

use super::profile::CONTACT_TIME;

/// After how long a request without an answer fails.
const LIMIT: Duration = Duration::from_millis(150);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// Requests do not arrive.
    BlackHole,
    /// Requests arrive, answers do not.
    LostAnswers,
    /// Both arrive, later.
    Slow,
    /// Both arrive, and records do not: another broker than those that answer would bring them.
    Deaf,
    /// The user has no permissions.
    Denied,
    /// The log is away.
    Away,
}

impl State {
    const fn lets_requests_through(self) -> bool {
        !matches!(self, Self::BlackHole)
    }

    const fn lets_answers_through(self) -> bool {
        !matches!(self, Self::BlackHole | Self::LostAnswers)
    }

    const fn lets_records_through(self) -> bool {
        matches!(self, Self::Up | Self::Slow)
    }

    /// As what the broker refuses everything.
    const fn refuses(self) -> Option<ErrorKind> {
        match self {
            Self::Denied => Some(ErrorKind::Denied),
            Self::Away => Some(ErrorKind::NotFound),
            _ => None,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Link(watch::Sender<(State, Instant)>);

impl Link {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new((State::Up, Instant::now())))
    }

    pub(crate) fn set(&self, state: State) {
        self.0.send_replace((state, Instant::now()));
    }

    /// Opens something behind this link.
    pub(crate) async fn open<T>(&self, open: impl FnOnce() -> Result<T> + Send) -> Result<Linked<T>> {
        // Opening is strict.
        let strictly = |error: Error| match error.cause() {
            Some(kind) => Error::new(kind, "open", error.message()),
            None => error,
        };
        self.request("open").await.map_err(strictly)?;
        Ok(Linked { inner: open()?, link: self.clone() })
    }

    /// Waits until a request arrives, but not for ever.
    async fn request(&self, operation: &'static str) -> Result<()> {
        self.wait(operation, State::lets_requests_through).await
    }

    /// Waits until an answer arrives, but not for ever.
    async fn answer(&self, operation: &'static str) -> Result<()> {
        self.wait(operation, State::lets_answers_through).await
    }

    async fn wait(&self, operation: &'static str, passes: fn(State) -> bool) -> Result<()> {
        let mut states = self.0.subscribe();
        let arrives = async { states.wait_for(|(state, _)| passes(*state)).await.map(|found| found.0) };
        match tokio::time::timeout(LIMIT, arrives).await {
            Ok(Ok(State::Slow)) => tokio::time::sleep(DELAY).await,
            Ok(Ok(state)) => return state.refuses().map_or(Ok(()), |kind| Err(refused(kind, operation))),
            Ok(Err(_)) => {}
            Err(_) => {
                let error = Error::new(ErrorKind::Unavailable, operation, "no answer in time");
                return Err(error.with_delivery(Delivery::Unknown));
            }
        }
        Ok(())
    }
}

fn refused(kind: ErrorKind, operation: &'static str) -> Error {
    let error = Error::new(kind, operation, "the broker refuses it");
    error.with_delivery(Delivery::NotSent).into_transient()
}

/// A sink or a source behind a link.
pub(crate) struct Linked<T> {
    inner: T,
    link: Link,
}

impl<S: Sink> Sink for Linked<S> {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.link.request("send").await?;
        let sent = self.inner.send(event).await;
        self.link.answer("send").await?;
        sent
    }

    async fn close(self) -> Result<()> {
        self.inner.close().await
    }
}

impl<S: EventSource> EventSource for Linked<S> {
    async fn next(&mut self) -> Result<Option<Record>> {
        let mut states = self.link.0.subscribe();
        loop {
            let (state, since) = *states.borrow_and_update();
            if let Some(kind) = state.refuses() {
                return Err(refused(kind, "read"));
            }
            if !state.lets_records_through() {
                // What comes by meanwhile is still there afterwards.
                if tokio::time::timeout_at(since + CONTACT_TIME, states.changed()).await.is_err() {
                    return Err(Error::new(ErrorKind::Unavailable, "read", "out of contact"));
                }
                continue;
            }
            if state == State::Slow {
                tokio::time::sleep(DELAY).await;
            }
            tokio::select! {
                biased;
                _ = states.changed() => {}
                next = self.inner.next() => return next,
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        self.link.request("commit").await?;
        let committed = self.inner.commit().await;
        self.link.answer("commit").await?;
        committed
    }

    fn resumed(&self) -> bool {
        self.inner.resumed()
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        self.link.answer("ask how much remains").await?;
        self.inner.remaining().await
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        self.link.answer("bind the group").await?;
        self.inner.claim(application).await
    }

    async fn close(self) -> Result<()> {
        self.inner.close().await
    }
}
