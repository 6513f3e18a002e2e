//! What is called when the state changes.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::error::BoxError;
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
/// A listener that fails or panics is logged and counted, and does not stop the others (T8).
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

/// A listener made of a closure. It runs on a thread for blocking work, so it may take its time.
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
        let call = move || reentry::scope_sync(|| closure(&change, &tracker).into_result());
        match tokio::task::spawn_blocking(call).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(cancelled.into()),
            },
        }
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
