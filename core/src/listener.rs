//! What is called when the state changes.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::error::{BoxError, Error};
use crate::state::BackupState;
use crate::transition::BackupTransition;

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The step, with the primary's own id and timestamp.
    pub transition: BackupTransition,
    /// Whether it is older than this session: it stood in the log when the tracker began to follow.
    pub replay: bool,
    /// Whether something between the previous step and this one was missed: the step does not begin in the state that was
    /// known before (T5), or the log was lost in between (S12).
    pub missed: bool,
    /// How many steps right before this one were passed over, so that listeners are not told of them (T12): they came and went
    /// while listeners were still busy with an earlier step, or they lead to Ready, and their commit, after which listeners are
    /// called (T2), did not succeed before this one.
    pub passed_over: u64,
}

impl Change {
    /// A step of which there is nothing to remark.
    pub(crate) const fn step(transition: BackupTransition) -> Self {
        Self { transition, replay: false, missed: false, passed_over: 0 }
    }

    /// This one is told in place of an earlier one.
    pub(crate) const fn passes_over(&mut self, earlier: &Self) {
        self.passed_over += earlier.passed_over + 1;
        self.missed |= earlier.missed;
    }
}

/// What a listener of a secondary hears besides steps; see [`Listener::on_notice`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The session begins, before anything was read.
    Begun {
        /// The state in which it begins: Ready if it resumed, Starting otherwise (T4).
        state: BackupState,
        /// Whether it begins at a position that an earlier session committed.
        resumed: bool,
    },
    /// Records were lost under the position, and reading begins again at the earliest record there is (S12). The gate is
    /// shut until the next step of the application, unless the builder chose otherwise (T14).
    Lost {
        /// What the source says.
        error: Error,
    },
    /// The following was ended by [`close`](crate::SecondaryBackupTracker::close). The last call.
    Closed,
    /// A permanent error ended the following, and the gate is shut for good (T9). The last call.
    Failed {
        /// What ended it.
        error: Error,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun { state, .. } => write!(f, "the session begins in {state}"),
            Self::Lost { error } => write!(f, "records were lost: {error}"),
            Self::Closed => f.write_str("the following was closed"),
            Self::Failed { error } => write!(f, "the following failed: {error}"),
        }
    }
}

/// Is called at every step, in order, one at a time.
///
/// `T` is the tracker that calls: [`SimpleBackupTracker`](crate::SimpleBackupTracker),
/// [`PrimaryBackupTracker`](crate::PrimaryBackupTracker) or [`SecondaryBackupTracker`](crate::SecondaryBackupTracker). A
/// listener may call back into it: read the state, ask for a step where the tracker allows one, or close it. No lock is
/// held meanwhile. (`BackupTransitionListener` in the Java module.)
///
/// A struct implements it with a plain `async fn`. For closures there are [`from_fn`] and [`from_async_fn`], and every
/// builder's `on_change` and `on_change_async`.
///
/// A listener that fails or panics is logged and counted, and does not stop the others (T8). One that takes long holds up
/// neither state nor gate, only later calls; it shows in [`Health`](crate::Health) and metrics (T12). While it is busy, up to 64
/// steps of a secondary wait; with more, or where a commit has to come first
/// ([`CommitOrder::CommitFirst`](crate::CommitOrder::CommitFirst)), steps are passed over, and the next change says how many.
pub trait Listener<T>: Send + Sync + 'static {
    /// Is called at every step.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped half-way only when the process ends or the last handle of the tracker is dropped.
    ///
    /// # Errors
    ///
    /// Any; it is logged and counted.
    fn on_change(&self, change: &Change, tracker: &T) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Is called when a secondary's session begins, when it loses records, and when it ends, in order with the steps. Does
    /// nothing unless written. Other trackers do not call it.
    ///
    /// # Cancel safety
    ///
    /// As for [`on_change`](Self::on_change).
    ///
    /// # Errors
    ///
    /// Any; it is logged and counted.
    fn on_notice(&self, notice: &Notice, tracker: &T) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (notice, tracker);
        async { Ok(()) }
    }
}

/// What a closure may return: nothing, or a result.
pub trait Outcome: Send + 'static {
    /// As a result.
    ///
    /// # Errors
    ///
    /// The closure's own.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send + 'static> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// A listener made of a closure. It runs on a thread for blocking work, inside the tracker's `tracing` span, so it may take
/// its time.
pub fn from_fn<T, F, O>(closure: F) -> impl Listener<T>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(&Change, &T) -> O + Send + Sync + 'static,
    O: Outcome,
{
    Blocking { closure: std::sync::Arc::new(closure), tracker: PhantomData::<fn(&T)> }
}

/// A listener made of a closure that returns a future.
pub fn from_async_fn<T, F, R>(closure: F) -> impl Listener<T>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(Change, T) -> R + Send + Sync + 'static,
    R: Future<Output: Outcome> + Send,
{
    Async { closure, tracker: PhantomData::<fn(&T)> }
}

/// A listener made of a closure that hears notices only. It runs on a thread for blocking work, inside the tracker's `tracing`
/// span.
pub fn from_notice_fn<T, F, O>(closure: F) -> impl Listener<T>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(&Notice, &T) -> O + Send + Sync + 'static,
    O: Outcome,
{
    Noticing { closure: std::sync::Arc::new(closure), tracker: PhantomData::<fn(&T)> }
}

struct Blocking<F, T> {
    closure: std::sync::Arc<F>,
    tracker: PhantomData<fn(&T)>,
}

impl<T, F, O> Listener<T> for Blocking<F, T>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(&Change, &T) -> O + Send + Sync + 'static,
    O: Outcome,
{
    async fn on_change(&self, change: &Change, tracker: &T) -> Result<(), BoxError> {
        let (closure, change, tracker) = (self.closure.clone(), change.clone(), tracker.clone());
        blocking(move || closure(&change, &tracker).into_result()).await
    }
}

struct Noticing<F, T> {
    closure: std::sync::Arc<F>,
    tracker: PhantomData<fn(&T)>,
}

impl<T, F, O> Listener<T> for Noticing<F, T>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(&Notice, &T) -> O + Send + Sync + 'static,
    O: Outcome,
{
    async fn on_change(&self, _change: &Change, _tracker: &T) -> Result<(), BoxError> {
        Ok(())
    }

    async fn on_notice(&self, notice: &Notice, tracker: &T) -> Result<(), BoxError> {
        let (closure, notice, tracker) = (self.closure.clone(), notice.clone(), tracker.clone());
        blocking(move || closure(&notice, &tracker).into_result()).await
    }
}

/// Makes a call on a thread for blocking work. It keeps the span, and what [`reentry`] knows.
async fn blocking(call: impl FnOnce() -> Result<(), BoxError> + Send + 'static) -> Result<(), BoxError> {
    let span = tracing::Span::current();
    let call = move || span.in_scope(|| reentry::scope_sync(call));
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(cancelled.into()),
        },
    }
}

struct Async<F, T> {
    closure: F,
    tracker: PhantomData<fn(&T)>,
}

impl<T, F, R> Listener<T> for Async<F, T>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(Change, T) -> R + Send + Sync + 'static,
    R: Future<Output: Outcome> + Send,
{
    async fn on_change(&self, change: &Change, tracker: &T) -> Result<(), BoxError> {
        (self.closure)(change.clone(), tracker.clone()).await.into_result()
    }
}

impl<F, T> fmt::Debug for Blocking<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl<F, T> fmt::Debug for Noticing<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl<F, T> fmt::Debug for Async<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Knows whether the code that runs now was called by a listener's dispatcher: what waits for listeners must not wait for
/// itself.
pub(crate) mod reentry {
    use std::future::Future;

    tokio::task_local!(static INSIDE: ());

    pub(crate) async fn scope<R>(call: impl Future<Output = R>) -> R {
        INSIDE.scope((), call).await
    }

    pub(super) fn scope_sync<R>(call: impl FnOnce() -> R) -> R {
        INSIDE.sync_scope((), call)
    }

    pub(crate) fn inside() -> bool {
        INSIDE.try_with(|()| ()).is_ok()
    }
}
