//! The primary: announces every step before it takes it.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use tracing::{Instrument, debug, error, info, info_span, warn};
use uuid::Uuid;

use super::board::Board;
use super::dispatch::{Dispatcher, Done, wait_unless_inside};
use super::operation::{WorkError, around};
use super::{BackupTracker, checked_application, now_millis, runtime};
use crate::erased::BoxListener;
use crate::error::{Error, Result};
use crate::gate::WorkGate;
use crate::health::Health;
use crate::listener::{Change, Listener, Outcome, from_async_fn, from_fn, reentry};
use crate::protocol::primary::{Action, Command, Effect, Input, Primary};
use crate::retry::{RetryPolicy, Waits};
use crate::sink::Sink;
use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::{self, WireFormat};

/// The service that orchestrates backups and restores, and is the authority on the state of its application. (T7;
/// `PrimaryBackupTracker` in the Java module, too.)
///
/// It announces first and changes its own state after: a call returns `Ok` only when the announcement is durable. An
/// announcement that fails for a transient reason is tried again, as the [`RetryPolicy`] says, with the same id. When it is
/// given up, the caller gets the error and the state is unchanged; and if nobody knows whether the announcement is in the
/// log, the tracker *owes* the way back to Ready: it announces it before anything else, trying for ever in the background,
/// so that nobody stays paused.
///
/// Cheap to clone; the clones are the same tracker. When the last one is dropped, the calls that have begun are still
/// carried out. Handles that listeners get do not count.
///
/// For most purposes [`backup`](Self::backup) and [`restore`](Self::restore) are all it takes.
#[derive(Clone)]
pub struct PrimaryBackupTracker {
    application: Arc<str>,
    board: Arc<Board>,
    requests: Requests,
    traceparent: Option<Arc<Traceparent>>,
    listener_failures: Arc<AtomicU64>,
}

type Traceparent = dyn Fn() -> Option<String> + Send + Sync;

/// The way to the driver, which ends when no strong one is left.
#[derive(Clone)]
enum Requests {
    Strong(mpsc::UnboundedSender<Request>),
    Weak(mpsc::WeakUnboundedSender<Request>),
}

enum Request {
    Do { command: Command, traceparent: Option<String>, reply: oneshot::Sender<Result<Answer>> },
    Close(oneshot::Sender<Result<()>>),
}

type Answer = (BackupTransition, Option<Done>);
type Reply = Result<oneshot::Receiver<Result<Answer>>>;

impl PrimaryBackupTracker {
    /// A primary of `application` that announces through `sink`.
    pub fn builder<S: Sink + 'static>(application: impl Into<String>, sink: S) -> PrimaryBuilder<S> {
        PrimaryBuilder {
            application: application.into(),
            sink,
            wire_format: None,
            retry: RetryPolicy::new(),
            listeners: Vec::new(),
            traceparent: None,
        }
    }

    /// Announces that a backup begins, runs `work`, and announces that it has ended, in every case: when the work returns a
    /// value or an error, when it panics (the panic goes on afterwards), and when the caller drops the future half-way (the
    /// end is announced in the background).
    ///
    /// The end of this backup is announced, and of no other: if somebody else ended it meanwhile, that is an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work, and the end is announced.
    ///
    /// # Errors
    ///
    /// [`WorkError`] tells the error of the work and the error of an announcement apart.
    ///
    /// # Panics
    ///
    /// Only if the work does.
    pub async fn backup<T, E, F>(&self, work: F) -> Result<T, WorkError<T, E>>
    where
        T: Send,
        E: fmt::Debug + Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        around(self, Action::StartBackup, Action::FinishBackup, work).await
    }

    /// As [`backup`](Self::backup), for a restore.
    ///
    /// # Cancel safety
    ///
    /// As for [`backup`](Self::backup).
    ///
    /// # Errors
    ///
    /// As for [`backup`](Self::backup).
    ///
    /// # Panics
    ///
    /// Only if the work does.
    pub async fn restore<T, E, F>(&self, work: F) -> Result<T, WorkError<T, E>>
    where
        T: Send,
        E: fmt::Debug + Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        around(self, Action::StartRestore, Action::FinishRestore, work).await
    }

    /// The application that it speaks for.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// The states from now on. A slow reader sees the newest and may miss some in between; a listener sees all.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BackupState> {
        self.board.watch()
    }

    /// The newest step that was announced.
    #[must_use]
    pub fn last_transition(&self) -> Option<BackupTransition> {
        self.board.status().last
    }

    /// How the announcing fares: troubled while an announcement is tried again or owed.
    #[must_use]
    pub fn health(&self) -> Health {
        self.board.status().health
    }

    /// The gate for the primary's own work: shut while BackingUp or Restoring.
    #[must_use]
    pub fn gate(&self) -> WorkGate {
        self.board.gate().clone()
    }

    /// How many times a listener failed or panicked (T8).
    #[must_use]
    pub fn listener_failures(&self) -> u64 {
        self.listener_failures.load(Ordering::Relaxed)
    }

    fn send_request(&self, request: Request) -> Result<()> {
        let requests = match &self.requests {
            Requests::Strong(requests) => Some(requests.clone()),
            Requests::Weak(requests) => requests.upgrade(),
        };
        let sent = requests.is_some_and(|requests| requests.send(request).is_ok());
        if sent { Ok(()) } else { Err(Error::closed("announce")) }
    }

    pub(super) fn request(
        &self,
        action: Action,
        id: Uuid,
        only_if_running: Option<Uuid>,
        insist: bool,
    ) -> Reply {
        let (reply, answer) = oneshot::channel();
        let command = Command { action, id, now_millis: now_millis(), only_if_running, insist };
        let traceparent = self.traceparent.as_ref().and_then(|current| current());
        self.send_request(Request::Do { command, traceparent, reply })?;
        Ok(answer)
    }

    pub(super) fn request_end(&self, finish: Action, operation: Uuid) -> Reply {
        self.request(finish, Uuid::new_v4(), Some(operation), true)
    }

    pub(super) async fn answer(&self, reply: Reply) -> Result<BackupTransition> {
        let answer = reply?.await.unwrap_or_else(|_gone| Err(Error::closed("announce")));
        let (transition, listeners) = answer?;
        if let Some(done) = listeners {
            wait_unless_inside(done).await;
        }
        Ok(transition)
    }

    async fn call(&self, action: Action) -> Result<BackupTransition> {
        self.answer(self.request(action, Uuid::new_v4(), None, false)).await
    }
}

impl BackupTracker for PrimaryBackupTracker {
    fn state(&self) -> BackupState {
        self.board.state()
    }

    async fn startup_complete(&self) -> Result<BackupTransition> {
        self.call(Action::StartupComplete).await
    }

    async fn start_backup(&self) -> Result<BackupTransition> {
        self.call(Action::StartBackup).await
    }

    async fn finish_backup(&self) -> Result<BackupTransition> {
        self.call(Action::FinishBackup).await
    }

    async fn start_restore(&self) -> Result<BackupTransition> {
        self.call(Action::StartRestore).await
    }

    async fn finish_restore(&self) -> Result<BackupTransition> {
        self.call(Action::FinishRestore).await
    }

    /// Ends the tracker. What is owed is tried once more, for as long as the [`RetryPolicy`] says; if it stays owed, that is
    /// the error. Closing twice is fine. From inside a listener it returns without waiting for listeners.
    async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if self.send_request(Request::Close(reply)).is_err() && reentry::inside() {
            return Ok(());
        }
        let inside = reentry::inside();
        let result = answer.await;
        if !inside {
            self.board.wait_for(|status| status.ended.is_some()).await;
        }
        result.unwrap_or(Ok(()))
    }
}

impl fmt::Debug for PrimaryBackupTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrimaryBackupTracker")
            .field("application", &self.application)
            .field("state", &self.board.state())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

/// Builds a [`PrimaryBackupTracker`].
#[must_use = "a builder does nothing until `build`"]
pub struct PrimaryBuilder<S> {
    application: String,
    sink: S,
    wire_format: Option<WireFormat>,
    retry: RetryPolicy,
    listeners: Vec<BoxListener<PrimaryBackupTracker>>,
    traceparent: Option<Arc<Traceparent>>,
}

impl<S: Sink + 'static> PrimaryBuilder<S> {
    /// How transitions are written: the sink's default unless set.
    pub fn wire_format(mut self, format: WireFormat) -> Self {
        self.wire_format = Some(format);
        self
    }

    /// For how long a failed announcement is tried again: [`RetryPolicy::new`] unless set.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Adds a listener. Listeners are called in the order in which they were added.
    pub fn listener(mut self, listener: impl Listener<PrimaryBackupTracker>) -> Self {
        self.listeners.push(BoxListener::new(listener));
        self
    }

    /// Adds a closure as a listener; see [`from_fn`].
    pub fn on_change<F, O>(self, closure: F) -> Self
    where
        F: Fn(&Change, &PrimaryBackupTracker) -> O + Send + Sync + 'static,
        O: Outcome,
    {
        self.listener(from_fn(closure))
    }

    /// Adds an async closure as a listener; see [`from_async_fn`].
    pub fn on_change_async<F, R>(self, closure: F) -> Self
    where
        F: Fn(Change, PrimaryBackupTracker) -> R + Send + Sync + 'static,
        R: Future<Output: Outcome> + Send,
    {
        self.listener(from_async_fn(closure))
    }

    /// Where the W3C trace context of a call comes from, as the value of a `traceparent` header. Asked in the caller's task;
    /// without an answer the header is left out.
    pub fn traceparent(mut self, current: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.traceparent = Some(Arc::new(current));
        self
    }

    /// The tracker, in Starting. Its driver runs on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a blank application, and outside a Tokio runtime.
    pub fn build(self) -> Result<PrimaryBackupTracker> {
        let application = checked_application(&self.application)?;
        let runtime = runtime()?;
        let _inside = runtime.enter();
        let span = info_span!("primary", application = &*application);
        let _spanned = span.enter();

        let (strong, requests) = mpsc::unbounded_channel();
        let tracker = PrimaryBackupTracker {
            application: application.clone(),
            board: Arc::new(Board::new(BackupState::Starting, true, true)),
            requests: Requests::Strong(strong.clone()),
            traceparent: self.traceparent,
            listener_failures: Arc::default(),
        };
        let weak = PrimaryBackupTracker { requests: Requests::Weak(strong.downgrade()), ..tracker.clone() };
        let failures = tracker.listener_failures.clone();
        let driver = Driver {
            machine: Primary::new(application),
            wire_format: self.wire_format.unwrap_or_else(|| self.sink.wire_format()),
            sink: self.sink,
            retry: self.retry,
            board: tracker.board.clone(),
            dispatcher: Dispatcher::spawn(self.listeners, move || Some(weak.clone()), failures),
        };
        runtime.spawn(driver.run(requests).in_current_span());
        Ok(tracker)
    }
}

impl<S> fmt::Debug for PrimaryBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrimaryBuilder").field("application", &self.application).finish_non_exhaustive()
    }
}

struct Driver<S> {
    machine: Primary,
    sink: S,
    wire_format: WireFormat,
    retry: RetryPolicy,
    board: Arc<Board>,
    dispatcher: Dispatcher,
}

/// Ends the board however the driver ends, also with its runtime.
struct EndOfBoard(Arc<Board>);

impl Drop for EndOfBoard {
    fn drop(&mut self) {
        self.0.end(Ok(()));
    }
}

impl<S: Sink> Driver<S> {
    async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let _end = EndOfBoard(self.board.clone());
        let mut until_paid = self.retry.for_ever().waits();
        let mut wait = until_paid.next();
        let close = loop {
            let pause = wait.filter(|_| self.machine.owes().is_some());
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
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {
                    // A single attempt, so that callers need not wait long behind it.
                    let once = self.retry.give_up_after(std::time::Duration::ZERO).waits();
                    self.process(Input::Idle, once, None, None).await;
                    wait = until_paid.next();
                }
            }
            if self.machine.owes().is_none() {
                until_paid = self.retry.for_ever().waits();
                wait = until_paid.next();
            }
        };
        requests.close();
        let result = self.end().await;
        if let Some(reply) = close {
            // The closer may have gone.
            drop(reply.send(result));
        }
        while let Some(request) = requests.recv().await {
            match request {
                Request::Do { reply, .. } => drop(reply.send(Err(Error::closed("announce")))),
                Request::Close(reply) => drop(reply.send(Ok(()))),
            }
        }
        self.dispatcher.finish().await;
        if let Err(error) = self.sink.close().await {
            warn!(%error, "closing the sink failed");
        }
        debug!("the primary is closed");
    }

    /// What is owed gets a last chance.
    async fn end(&mut self) -> Result<()> {
        let waits = self.retry.waits();
        self.process(Input::Idle, waits, None, None).await;
        if self.machine.state().is_operation() {
            warn!(state = %self.machine.state(), "the primary ends in the middle of an operation; the next one must say Ready");
        }
        let Some(owed) = self.machine.owes() else { return Ok(()) };
        error!(%owed, "the primary ends and still owes an announcement; secondaries may stay paused");
        let error = self.board.status().health.error().cloned();
        Err(error.unwrap_or_else(|| Error::closed("announce what is owed")))
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
                Effect::Owe(transition, error) => {
                    error!(%transition, %error, "nobody knows what the log holds: the way back to Ready is owed");
                    continue;
                }
            };
            effects.extend(self.machine.handle(next));
        }
    }

    async fn send(&mut self, transition: &BackupTransition, traceparent: Option<&str>) -> Input {
        let mut event = wire::encode(transition, self.wire_format);
        if let Some(traceparent) = traceparent {
            event = event.header("traceparent", traceparent.to_owned());
        }
        match self.sink.send(&event).await {
            Ok(()) => {
                self.board.healthy();
                Input::Accepted
            }
            Err(error) => {
                self.board.troubled(error.clone());
                Input::Failed(error)
            }
        }
    }

    fn apply(&self, transition: BackupTransition) -> Done {
        info!(id = %transition.id, from = %transition.from, to = %transition.to, "announced");
        let state = transition.to;
        self.board.publish(state, Some(transition.clone()), true, !state.is_operation());
        self.dispatcher.notify(Change { transition, replay: false, missed: false })
    }
}
