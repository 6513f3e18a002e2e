//! The primary's background task: performs what its machine decides.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::board::{Board, EndOfBoard};
use super::connection::Connection;
use super::dispatch::{Dispatcher, Done, panic_message};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::event::Header;
use crate::listener::Change;
use crate::metrics::AnnouncerMetrics;
use crate::protocol::View;
use crate::protocol::calls::Call;
use crate::protocol::primary::{Command, Effect, Input, Primary};
use crate::retry::{RetryPolicy, Waits};
use crate::sink::Sink;
use crate::transition::BackupTransition;
use crate::wire::{self, WireFormat};

pub(super) enum Request {
    Do { command: Command, traceparent: Option<String>, reply: oneshot::Sender<Result<Answer>> },
    Close(oneshot::Sender<Result<()>>),
}

pub(super) type Answer = (BackupTransition, Option<Done>);

pub(super) struct Announcer<S> {
    pub(super) machine: Primary,
    pub(super) connection: Connection<S>,
    /// The sink's own unless set.
    pub(super) wire_format: Option<WireFormat>,
    /// Goes with every announcement, behind what the library writes by itself.
    pub(super) headers: Vec<Header>,
    pub(super) retry: RetryPolicy,
    pub(super) board: Arc<Board>,
    pub(super) dispatcher: Dispatcher,
    pub(super) metrics: AnnouncerMetrics,
    /// Why the sink cannot be opened, now or later.
    pub(super) failure: Option<Error>,
}

impl<S: Sink> Announcer<S> {
    /// Ends the board with what became of the driver: its callers wait for that.
    pub(super) async fn run(self, requests: mpsc::UnboundedReceiver<Request>, end: EndOfBoard) {
        let result = AssertUnwindSafe(self.serve(requests)).catch_unwind().await.unwrap_or_else(|panic| {
            let message = format!("the task that announces panicked: {}", panic_message(panic));
            Err(Error::new(ErrorKind::Internal, "announce", message))
        });
        end.with(result.clone());
        // Last: what logs may be what panicked.
        if let Err(error) = result {
            error!(%error, "the primary has ended, and not in good order");
        }
    }

    async fn serve(mut self, mut requests: mpsc::UnboundedReceiver<Request>) -> Result<()> {
        let mut until_announced = self.retry.for_ever().waits();
        let mut wait = if self.connection.is_open() { until_announced.next() } else { Some(Duration::ZERO) };
        let close = loop {
            let pause = wait.filter(|_| self.machine.pending().is_some() || !self.connection.is_open());
            // Made also where nobody waits: a runtime without timers shows at once.
            let pausing = sleep(pause.unwrap_or_default());
            tokio::select! {
                biased;
                request = requests.recv() => match request {
                    Some(Request::Do { command, traceparent, reply }) => {
                        let waits = self.retry.waits();
                        self.process(Input::Command(command), waits, traceparent, Some(reply)).await;
                    }
                    Some(Request::Close(reply)) => break Some(reply),
                    None => break None,
                },
                opened = async { pausing.await; self.connection.open().await.map(drop) }, if pause.is_some() => {
                    match opened {
                        Ok(()) if self.machine.pending().is_some() => {
                            // A single attempt, so that callers need not wait long behind it.
                            let once = self.retry.give_up_after(Duration::ZERO).waits();
                            self.process(Input::Idle, once, None, None).await;
                        }
                        Ok(()) => self.board.healthy(),
                        Err(error) => {
                            warn!(%error, "the sink cannot be opened");
                            self.not_opened(&error);
                        }
                    }
                    wait = until_announced.next();
                }
            }
            if self.failure.is_some() {
                break None;
            }
            if self.machine.pending().is_none() && self.connection.is_open() {
                until_announced = self.retry.for_ever().waits();
                wait = until_announced.next();
            }
        };
        requests.close();
        let result = match self.failure.take() {
            Some(error) => Err(error),
            None => self.end().await,
        };
        self.metrics.owes(false);
        if let Some(reply) = close {
            // The closer may have gone.
            drop(reply.send(result.clone()));
        }
        while let Some(request) = requests.recv().await {
            let closed = || result.as_ref().err().cloned().unwrap_or_else(|| Error::closed("announce"));
            match request {
                Request::Do { reply, .. } => {
                    drop(reply.send(Err(closed().with_delivery(Delivery::NotSent))));
                }
                Request::Close(reply) => drop(reply.send(result.clone())),
            }
        }
        self.board.end_gate(&Ok(()));
        if let Err(error) = self.dispatcher.finish(&self.board).await {
            warn!(%error, "the primary is closed all the same");
        }
        if let Err(error) = self.connection.close().await {
            warn!(%error, "closing the sink failed");
        }
        debug!("the primary is closed");
        result
    }

    /// The pending announcement gets a last chance.
    async fn end(&mut self) -> Result<()> {
        let waits = self.retry.waits();
        self.process(Input::Idle, waits, None, None).await;
        if self.machine.state().is_operation() {
            warn!(state = %self.machine.state(), "the primary ends in the middle of an operation; the next one must say Ready");
        }
        let Some(pending) = self.machine.pending() else { return Ok(()) };
        error!(%pending, "the primary ends with a pending announcement; secondaries may stay paused");
        let error = self.board.status().health().error().cloned();
        Err(error.unwrap_or_else(|| Error::closed("announce what is pending")))
    }

    async fn process(
        &mut self,
        input: Input,
        mut waits: Waits,
        traceparent: Option<String>,
        mut reply: Option<oneshot::Sender<Result<Answer>>>,
    ) {
        let mut listeners = None;
        let mut effects = VecDeque::from(self.machine.handle(input));
        while let Some(effect) = effects.pop_front() {
            let next = match effect {
                Effect::Send(transition) => self.send(&transition, traceparent.as_deref()).await,
                Effect::BackOff(error) => match waits.next() {
                    Some(wait) => {
                        warn!(%error, ?wait, "an announcement failed and will be tried again");
                        sleep(wait).await;
                        Input::Retry
                    }
                    None => Input::GiveUp,
                },
                Effect::Apply(transition) => {
                    listeners = Some(self.apply(transition));
                    continue;
                }
                Effect::Answer(answer) => {
                    if let Err(error) = &answer {
                        warn!(%error, "a step was refused or could not be announced");
                    }
                    if let Some(reply) = reply.take() {
                        // The caller may have gone.
                        drop(reply.send(answer.map(|transition| (transition, listeners.take()))));
                    }
                    continue;
                }
                Effect::Postpone(transition, error) => {
                    error!(%transition, %error, "given up; the return to Ready is pending and is announced in the background");
                    continue;
                }
            };
            effects.extend(self.machine.handle(next));
            self.metrics.owes(self.machine.pending().is_some());
        }
    }

    async fn send(&mut self, transition: &BackupTransition, traceparent: Option<&str>) -> Input {
        let sink = match self.connection.open().await {
            Ok(sink) => sink,
            Err(error) => {
                self.metrics.send_failed(&error);
                self.not_opened(&error);
                return Input::Failed(error);
            }
        };
        let mut event = wire::encode(transition, self.wire_format.unwrap_or_else(|| sink.wire_format()));
        if let Some(traceparent) = traceparent {
            event = event.header("traceparent", traceparent.to_owned());
        }
        event.headers.extend(self.headers.iter().cloned());
        match sink.send(&event).await {
            Ok(()) => {
                self.metrics.sent(transition);
                self.board.healthy();
                Input::Accepted
            }
            Err(error) => {
                self.metrics.send_failed(&error);
                self.board.troubled(error.clone());
                Input::Failed(error)
            }
        }
    }

    fn not_opened(&mut self, error: &Error) {
        if error.is_transient() {
            self.board.troubled(error.clone());
        } else {
            self.failure = Some(error.clone());
        }
    }

    fn apply(&self, transition: BackupTransition) -> Done {
        info!(id = %transition.id, from = %transition.from, to = %transition.to, "announced");
        self.board.stepped(&transition, false);
        self.board.publish(View::after(transition.clone()));
        self.dispatcher.call(Call::Change(Change::step(transition)))
    }
}
