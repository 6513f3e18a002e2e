//! The trackers: drivers that perform what the machines in `protocol` decide.

/// The setters that every builder has for its listeners.
macro_rules! listener_setters {
    ($tracker:ty) => {
        /// Adds a listener. Listeners are called in the order in which they were added.
        pub fn listener(mut self, listener: impl $crate::listener::Listener<$tracker>) -> Self {
            self.listeners.list.push($crate::erased::BoxListener::new(listener));
            self
        }

        /// After how long a listener that has not returned shows in [`Health`](crate::Health) and metrics: 30 s unless set.
        pub const fn listener_slow_after(mut self, limit: std::time::Duration) -> Self {
            self.listeners.slow_after = limit;
            self
        }

        /// Adds a closure as a listener; see [`from_fn`](crate::listener::from_fn).
        pub fn on_change<F, O>(self, closure: F) -> Self
        where
            F: Fn(&$crate::listener::Change, &$tracker) -> O + Send + Sync + 'static,
            O: $crate::listener::Outcome,
        {
            self.listener($crate::listener::from_fn(closure))
        }

        /// Adds an async closure as a listener; see [`from_async_fn`](crate::listener::from_async_fn).
        pub fn on_change_async<F, R>(self, closure: F) -> Self
        where
            F: Fn($crate::listener::Change, $tracker) -> R + Send + Sync + 'static,
            R: std::future::Future<Output: $crate::listener::Outcome> + Send,
        {
            self.listener($crate::listener::from_async_fn(closure))
        }
    };
}

/// The steps of a [`BackupTracker`] that takes each of them with its method `call`.
macro_rules! steps_by_call {
    () => {
        async fn startup_complete(&self) -> $crate::error::Result<$crate::transition::BackupTransition> {
            self.call($crate::protocol::primary::Action::StartupComplete).await
        }

        async fn start_backup(&self) -> $crate::error::Result<$crate::transition::BackupTransition> {
            self.call($crate::protocol::primary::Action::StartBackup).await
        }

        async fn finish_backup(&self) -> $crate::error::Result<$crate::transition::BackupTransition> {
            self.call($crate::protocol::primary::Action::FinishBackup).await
        }

        async fn start_restore(&self) -> $crate::error::Result<$crate::transition::BackupTransition> {
            self.call($crate::protocol::primary::Action::StartRestore).await
        }

        async fn finish_restore(&self) -> $crate::error::Result<$crate::transition::BackupTransition> {
            self.call($crate::protocol::primary::Action::FinishRestore).await
        }
    };
}

mod announce;
mod board;
mod connection;
mod counters;
mod dispatch;
mod follow;
mod following;
mod operation;
mod patience;
mod primary;
mod secondary;
mod simple;

use std::future::Future;
use std::sync::Arc;

pub use operation::WorkError;
pub use primary::{PrimaryBackupTracker, PrimaryBuilder};
pub use secondary::{SecondaryBackupTracker, SecondaryBuilder, SecondaryStats};
pub use simple::{SimpleBackupTracker, SimpleBuilder};

use crate::error::{Error, Result};
use crate::state::BackupState;
use crate::transition::BackupTransition;

/// What changes the state of an application. (`BackupTracker` in the Java module.)
///
/// Implemented by [`SimpleBackupTracker`], which keeps the state to itself, and by [`PrimaryBackupTracker`], which announces
/// every step before it takes it. A [`SecondaryBackupTracker`] only follows, so it does not implement this trait.
///
/// | call | allowed in | leads to |
/// |---|---|---|
/// | [`startup_complete`](Self::startup_complete) | every state | Ready |
/// | [`start_backup`](Self::start_backup) | Starting, Ready | BackingUp |
/// | [`finish_backup`](Self::finish_backup) | BackingUp | Ready |
/// | [`start_restore`](Self::start_restore) | Starting, Ready | Restoring |
/// | [`finish_restore`](Self::finish_restore) | Restoring | Ready |
///
/// Each call returns once the step is taken and the tracker's own listeners have returned, with the step as it was
/// announced. A call from inside a listener does not wait for listeners.
///
/// # Errors
///
/// An illegal call changes nothing and announces nothing: [`IllegalTransition`](crate::ErrorKind::IllegalTransition), with
/// both states. Check and change are one atomic step: of two calls at the same time one comes first. After
/// [`close`](Self::close), every call is [`Closed`](crate::ErrorKind::Closed). A primary adds the errors of its sink.
///
/// # Cancel safety
///
/// A call that has begun is carried out, also when its future is dropped; then [`state`](Self::state) tells the outcome.
pub trait BackupTracker: Send + Sync {
    /// The state now. Never waits.
    fn state(&self) -> BackupState;

    /// The application has started, or is to be Ready again whatever it was before.
    fn startup_complete(&self) -> impl Future<Output = Result<BackupTransition>> + Send;

    /// A backup begins.
    fn start_backup(&self) -> impl Future<Output = Result<BackupTransition>> + Send;

    /// The backup has ended.
    fn finish_backup(&self) -> impl Future<Output = Result<BackupTransition>> + Send;

    /// A restore begins.
    fn start_restore(&self) -> impl Future<Output = Result<BackupTransition>> + Send;

    /// The restore has ended.
    fn finish_restore(&self) -> impl Future<Output = Result<BackupTransition>> + Send;

    /// Ends the tracker, after the calls that came before. Nothing is announced: an operation that runs goes on running for
    /// everybody else, until the next primary says Ready. Its gate is shut for good.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

fn checked_application(name: &str) -> Result<Arc<str>> {
    if name.trim().is_empty() {
        return Err(Error::config(
            "application",
            "it is blank; every service of one application uses the same name",
        ));
    }
    Ok(Arc::from(name))
}

/// The current runtime, which must have timers: without them the first wait would panic, long after.
fn runtime() -> Result<tokio::runtime::Handle> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|error| {
        Error::config("runtime", "build the tracker inside a Tokio runtime").with_source(error)
    })?;
    // Tokio has no other way to ask.
    std::panic::catch_unwind(|| drop(tokio::time::sleep(std::time::Duration::ZERO)))
        .map_err(|_panic| Error::config("runtime", "it has no timers; build it with `enable_time`"))?;
    Ok(runtime)
}

/// Milliseconds since the epoch; 0 on a clock that is set before it.
fn now_millis() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
