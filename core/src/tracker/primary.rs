//! The primary: announces every step before it takes it.

mod builder;

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;
use uuid::Uuid;

use super::announce::{Answer, Request};
use super::board::Board;
use super::connection::Connection;
use super::dispatch::{panic_message, wait_unless_inside};
use super::operation::{WorkError, around};
use super::{BackupTracker, now_millis};
use crate::erased::Opener;
use crate::error::{BoxError, Delivery, Error, Result};
use crate::gate::WorkGate;
use crate::health::Health;
use crate::listener::reentry;
use crate::metrics::ListenerMetrics;
use crate::protocol::primary::{Action, Command};
#[cfg(doc)]
use crate::retry::RetryPolicy;
use crate::sink::Sink;
use crate::state::BackupState;
use crate::transition::BackupTransition;

pub use builder::PrimaryBuilder;

/// The service that orchestrates backups and restores, and is the authority on the state of its application. (T7;
/// `KafkaPrimaryBackupTracker` in the Java module.)
///
/// It announces first and changes its own state after: a call returns `Ok` only when the announcement is durable. An
/// announcement that fails for a transient reason is tried again, as the [`RetryPolicy`] says, with the same id. When it is
/// given up, the caller gets the error and the state is unchanged.
///
/// So that nobody stays paused, an announcement of Ready is then *pending*: the tracker announces it before anything else,
/// trying forever in the background. That is
///
/// - the return to Ready, if the beginning of an operation was given up and nobody knows whether it is in the log;
/// - the end itself, if the end of an operation was given up that this tracker had begun. A caller that repeats the call gets
///   `Ok` with the step that was announced, whether it repeats it before or after, until another call is made.
///
/// Each of them names the operation that it ends, and ends no other (F1): when it goes out late, after another primary has
/// begun an operation, secondaries skip it. A [`startup_complete`](BackupTracker::startup_complete) ends whatever runs, so
/// it is never pending; only the end of an operation of this tracker, if one runs, is. Repeat it after an error.
///
/// Cheap to clone; the clones are the same tracker. When the last one is dropped, the calls that have begun are still
/// carried out. Handles that listeners get do not count.
///
/// # How to leave `main`
///
/// Drop the work, then wait for [`close`](BackupTracker::close): it announces the end of dropped work before it returns, or
/// returns an error. Without it the end may be lost: a runtime that is dropped in the middle of a `backup` drops the
/// work *and* the task that would announce its end, and so does `std::process::exit`. Secondaries then stay paused until the next
/// primary calls `startup_complete`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use backup_tracker::{BackupTracker, PrimaryBackupTracker};
/// # let log = backup_tracker_memory::MemoryLog::new("backups")?;
/// # let primary = PrimaryBackupTracker::builder("shop", log.sink()).build()?;
/// # async fn copy_everything() -> std::io::Result<()> { std::future::pending().await }
/// # async fn shutdown() { tokio::task::yield_now().await }
/// tokio::select! {
///     done = primary.backup(copy_everything()) => done?,
///     () = shutdown() => {}
/// }
/// primary.close().await?;
/// # Ok(()) }
/// ```
///
/// For most purposes [`backup`](Self::backup) and [`restore`](Self::restore) are all it takes.
#[derive(Clone)]
pub struct PrimaryBackupTracker {
    application: Arc<str>,
    board: Arc<Board>,
    requests: Requests,
    traceparent: Option<Arc<Traceparent>>,
    listener_metrics: Arc<ListenerMetrics>,
}

type Traceparent = dyn Fn() -> Option<String> + Send + Sync;

/// The way to the driver, which ends when no strong one is left.
#[derive(Clone)]
enum Requests {
    Strong(mpsc::UnboundedSender<Request>),
    Weak(mpsc::WeakUnboundedSender<Request>),
}

type Reply = Result<oneshot::Receiver<Result<Answer>>>;

impl PrimaryBackupTracker {
    /// A primary of `application` that announces through `sink`.
    pub fn builder<S: Sink + 'static>(application: impl Into<String>, sink: S) -> PrimaryBuilder<S> {
        PrimaryBuilder::new(application.into(), Connection::Open(sink))
    }

    /// A primary of `application` whose sink is opened in the background, so that it can be built while the broker is not there
    /// yet.
    ///
    /// `open` is called until it returns a sink, with the back-off of the [`RetryPolicy`] and without an end; until then
    /// [`health`](Self::health) shows why. Calls that are made meanwhile try to open it, too. When they are given up, as the
    /// policy says, nothing was sent ([`Delivery::NotSent`]). An error that is not transient ends the tracker: `health` is
    /// [`Failed`](Health::Failed), and every call returns it.
    ///
    /// An attempt to open may be dropped half-way, when a call is made or the tracker is closed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use backup_tracker::{BackupTracker, PrimaryBackupTracker};
    /// # let log = backup_tracker_memory::MemoryLog::new("backups")?;
    /// let open = move || {
    ///     let log = log.clone();
    ///     async move { Ok(log.sink()) }
    /// };
    /// let primary = PrimaryBackupTracker::builder_with("shop", open).build()?;
    /// primary.startup_complete().await?;
    /// # Ok(()) }
    /// ```
    pub fn builder_with<S, F>(
        application: impl Into<String>,
        open: impl FnMut() -> F + Send + 'static,
    ) -> PrimaryBuilder<S>
    where
        S: Sink + 'static,
        F: Future<Output = Result<S>> + Send + 'static,
    {
        PrimaryBuilder::new(application.into(), Connection::Opening(Opener::new(open)))
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
    /// [`WorkError`] tells the error of the work and the error of an announcement apart. The work's error may be of any type that
    /// can be boxed: an error, a `String`, a `Box<dyn Error + Send + Sync>`, an `anyhow::Error`.
    ///
    /// # Panics
    ///
    /// Only if the work does.
    pub async fn backup<T, E, F>(&self, work: F) -> Result<T, WorkError<T>>
    where
        T: Send,
        E: Into<BoxError> + Send,
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
    pub async fn restore<T, E, F>(&self, work: F) -> Result<T, WorkError<T>>
    where
        T: Send,
        E: Into<BoxError> + Send,
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

    /// Health of the announcer: troubled from a failed attempt until the next one that succeeds; failed once the task that
    /// announces has panicked, its runtime has ended, or it was closed with a pending announcement.
    #[must_use]
    pub fn health(&self) -> Health {
        self.board.status().health()
    }

    /// The gate for the primary's own work: shut while BackingUp or Restoring, and for good after the tracker has ended, also
    /// because its last handle was dropped.
    #[must_use]
    pub fn gate(&self) -> WorkGate {
        self.board.gate()
    }

    /// How many times a listener failed or panicked (T8).
    #[must_use]
    pub fn listener_failures(&self) -> u64 {
        self.listener_metrics.failures.read()
    }

    fn send_request(&self, request: Request) -> Result<()> {
        let requests = match &self.requests {
            Requests::Strong(requests) => Some(requests.clone()),
            Requests::Weak(requests) => requests.upgrade(),
        };
        let sent = requests.is_some_and(|requests| requests.send(request).is_ok());
        if sent { Ok(()) } else { Err(self.why_ended().with_delivery(Delivery::NotSent)) }
    }

    fn why_ended(&self) -> Error {
        self.board.status().ended.and_then(Result::err).unwrap_or_else(|| Error::closed("announce"))
    }

    /// The driver is gone and has not answered. What it was doing with the request nobody knows.
    async fn died(&self) -> Error {
        self.board.wait_for(|status| status.ended.is_some()).await;
        self.why_ended().with_delivery(Delivery::Unknown)
    }

    pub(super) fn request(&self, action: Action, id: Uuid, only_if_running: Option<Uuid>) -> Reply {
        let (reply, answer) = oneshot::channel();
        let command = Command { action, id, now_millis: now_millis(), only_if_running };
        let traceparent = self.traceparent.as_ref().and_then(|current| {
            // An announcement must not fail, nor the end of dropped work abort the process, for want of a trace.
            catch_unwind(AssertUnwindSafe(|| current())).unwrap_or_else(|panic| {
                error!(panic = panic_message(panic), "the source of the trace context panicked");
                None
            })
        });
        self.send_request(Request::Do { command, traceparent, reply })?;
        Ok(answer)
    }

    pub(super) fn request_end(&self, finish: Action, operation: Uuid) -> Reply {
        self.request(finish, Uuid::new_v4(), Some(operation))
    }

    pub(super) async fn answer(&self, reply: Reply) -> Result<BackupTransition> {
        let (transition, listeners) = match reply?.await {
            Ok(answer) => answer?,
            Err(_gone) => return Err(self.died().await),
        };
        if let Some(done) = listeners {
            wait_unless_inside(done).await;
        }
        Ok(transition)
    }

    async fn call(&self, action: Action) -> Result<BackupTransition> {
        self.answer(self.request(action, Uuid::new_v4(), None)).await
    }
}

impl BackupTracker for PrimaryBackupTracker {
    fn state(&self) -> BackupState {
        self.board.state()
    }

    steps_by_call!();

    /// Ends the tracker, after the calls and the ends of dropped work that came before. What is pending is tried once more, for
    /// as long as the [`RetryPolicy`] says. Closing twice is fine: the answer is the same. From inside a listener it returns
    /// without waiting for listeners.
    ///
    /// # Errors
    ///
    /// The error of the sink, if an announcement is still pending: secondaries may stay paused.
    /// [`Internal`](crate::ErrorKind::Internal), if the task that announces has panicked, and
    /// [`Closed`](crate::ErrorKind::Closed), if its runtime has ended before: what was pending then, is.
    async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let taken = self.send_request(Request::Close(reply)).is_ok();
        if reentry::inside() {
            // Elsewhere somebody may wait for this listener: the end of the board does.
            return match answer.await {
                Ok(result) => result,
                Err(_gone) if taken => Err(self.died().await),
                Err(_not_taken) => self.board.status().ended.unwrap_or(Ok(())),
            };
        }
        self.board.wait_for(|status| status.ended.is_some()).await.ended.unwrap_or(Ok(()))
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
