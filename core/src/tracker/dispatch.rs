//! Calls the listeners, in order, on a task of their own, so that neither the state nor the gate waits for them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, error, warn};

use super::board::Board;
use crate::erased::BoxListener;
use crate::error::{Error, ErrorKind, Result};
use crate::listener::reentry;
use crate::metrics::{ListenerMetrics, Series};
use crate::protocol::calls::Call;

/// A listener that has not returned after so long shows in health and metrics.
pub(super) const DEFAULT_SLOW_AFTER: Duration = Duration::from_secs(30);
/// How long closing waits for listeners.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(10);

/// What a builder collects about listeners.
#[derive(Debug)]
pub(super) struct Listeners<T> {
    pub(super) list: Vec<BoxListener<T>>,
    pub(super) slow_after: Duration,
}

impl<T> Listeners<T> {
    pub(super) const fn new() -> Self {
        Self { list: Vec::new(), slow_after: DEFAULT_SLOW_AFTER }
    }
}

#[derive(Debug)]
pub(super) struct Dispatcher {
    queue: Option<mpsc::UnboundedSender<Due>>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Due {
    call: Call,
    done: oneshot::Sender<()>,
}

/// Is ready when the listeners have returned, or never will.
pub(super) type Done = oneshot::Receiver<()>;

impl Dispatcher {
    /// `tracker` makes the handle that the listeners get; `None` when the tracker is gone, and then nobody is called.
    pub(super) fn spawn<T: Send + Sync + 'static>(
        listeners: Listeners<T>,
        tracker: impl Fn() -> Option<T> + Send + 'static,
        board: Arc<Board>,
        metrics: Arc<ListenerMetrics>,
    ) -> Self {
        if listeners.list.is_empty() {
            return Self { queue: None, task: None };
        }
        let (queue, mut due) = mpsc::unbounded_channel::<Due>();
        let caller = Caller { slow_after: listeners.slow_after, board, metrics };
        let calls = async move {
            while let Some(Due { call, done }) = due.recv().await {
                let Some(tracker) = tracker() else { return };
                for listener in &listeners.list {
                    caller.call(listener, &call, &tracker).await;
                }
                let _nobody_waits = done.send(());
            }
        };
        let task = tokio::spawn(reentry::scope(calls).in_current_span());
        Self { queue: Some(queue), task: Some(task) }
    }

    pub(super) fn abort_handle(&self) -> Option<tokio::task::AbortHandle> {
        self.task.as_ref().map(JoinHandle::abort_handle)
    }

    pub(super) const fn has_listeners(&self) -> bool {
        self.queue.is_some()
    }

    /// Queues the call. Never waits: a listener may be waiting for the driver meanwhile.
    pub(super) fn call(&self, call: Call) -> Done {
        let (done, receiver) = oneshot::channel();
        if let Some(queue) = &self.queue
            && queue.send(Due { call, done }).is_err()
        {
            error!("listeners are not called any more: their task has ended");
        }
        receiver
    }

    /// What [`call`](Self::call) returns when there is nobody to tell.
    pub(super) fn done() -> Done {
        oneshot::channel().1
    }

    /// Waits until every listener that is due has returned, for [`CLOSE_GRACE`] at most.
    pub(super) async fn finish(self, board: &Board) -> Result<()> {
        drop(self.queue);
        let Some(mut task) = self.task else { return Ok(()) };
        match timeout(CLOSE_GRACE, &mut task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(end)) if end.is_cancelled() => Ok(()),
            Ok(Err(end)) => Err(Error::new(ErrorKind::Internal, "call listeners", end.to_string())),
            Err(_elapsed) => {
                task.abort();
                let listener = board.busy_listener().unwrap_or("a listener");
                let message = format!("`{listener}` did not return within {CLOSE_GRACE:?} and was given up");
                Err(Error::new(ErrorKind::Listener, "close", message))
            }
        }
    }
}

/// Makes calls, one at a time, and shows those that take long.
struct Caller {
    slow_after: Duration,
    board: Arc<Board>,
    metrics: Arc<ListenerMetrics>,
}

impl Caller {
    async fn call<T: Sync>(&self, listener: &BoxListener<T>, call: &Call, tracker: &T) {
        let name = listener.name;
        let since = SystemTime::now();
        self.board.listener_is_busy(Some(name));
        // Making the future, dropping it, and showing its error are the listener's code, too.
        let called = async { listener.call(call, tracker).await.map_err(|error| error.to_string()) };
        let mut called = pin!(AssertUnwindSafe(called).catch_unwind());
        let outcome = tokio::select! {
            biased;
            outcome = &mut called => outcome,
            () = sleep(self.slow_after) => {
                warn!(listener = name, slow_after = ?self.slow_after, "a listener has not returned; later calls wait for it");
                let _shown = Slow::show(self, name, since);
                called.await
            }
        };
        self.board.listener_is_busy(None);
        let failure = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panic) => format!("panicked: {}", panic_message(panic)),
        };
        self.metrics.failures.add_one();
        error!(listener = name, %call, failure, "a listener failed");
    }
}

/// Shows that a listener is slow, for as long as it lives.
struct Slow<'a> {
    caller: &'a Caller,
    name: &'static str,
}

impl<'a> Slow<'a> {
    fn show(caller: &'a Caller, name: &'static str, since: SystemTime) -> Self {
        caller.board.slow_listener(Some((name, since)));
        caller.metrics.slow_since(name, since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        Self { caller, name }
    }
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        self.caller.metrics.slow_since(self.name, Duration::ZERO);
        self.caller.board.slow_listener(None);
    }
}

/// What a panic says. What it carries may panic when it is dropped.
pub(super) fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(another);
    }
    message
}

/// Waits for the listeners, unless the caller is one of them.
pub(super) async fn wait_unless_inside(done: Done) {
    if !reentry::inside() {
        // An error means that there are no listeners, or none any more.
        let _no_listeners = done.await;
    }
}

/// The metrics of listeners with these names.
pub(super) fn metrics<T>(listeners: &Listeners<T>, series: &Series) -> Arc<ListenerMetrics> {
    Arc::new(ListenerMetrics::new(series, listeners.list.iter().map(|listener| listener.name)))
}
