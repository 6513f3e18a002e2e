//! Calls the listeners, in order, on a task of their own, so that neither the state nor the gate waits for them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{Instrument, error};

use crate::erased::BoxListener;
use crate::listener::{Change, reentry};
use crate::metrics::Tally;

#[derive(Debug)]
pub(super) struct Dispatcher {
    queue: Option<mpsc::UnboundedSender<Due>>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Due {
    change: Change,
    done: oneshot::Sender<()>,
}

/// Is ready when the listeners have returned, or never will.
pub(super) type Done = oneshot::Receiver<()>;

impl Dispatcher {
    /// `tracker` makes the handle that the listeners get; `None` when the tracker is gone, and then nobody is called.
    pub(super) fn spawn<T: Send + Sync + 'static>(
        listeners: Vec<BoxListener<T>>,
        tracker: impl Fn() -> Option<T> + Send + 'static,
        failures: Arc<Tally>,
    ) -> Self {
        if listeners.is_empty() {
            return Self { queue: None, task: None };
        }
        let (queue, mut due) = mpsc::unbounded_channel::<Due>();
        let calls = async move {
            while let Some(Due { change, done }) = due.recv().await {
                let Some(tracker) = tracker() else { return };
                for listener in &listeners {
                    call(listener, &change, &tracker, &failures).await;
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

    /// Queues the change. Never waits: a listener may be waiting for the driver meanwhile.
    pub(super) fn notify(&self, change: Change) -> Done {
        let (done, receiver) = oneshot::channel();
        if let Some(queue) = &self.queue
            && queue.send(Due { change, done }).is_err()
        {
            error!("listeners are not called any more: their task has ended");
        }
        receiver
    }

    /// What [`notify`](Self::notify) returns when there is nobody to tell.
    pub(super) fn done() -> Done {
        oneshot::channel().1
    }

    /// Waits until every listener that is due has returned.
    pub(super) async fn finish(self) {
        drop(self.queue);
        if let Some(task) = self.task
            && let Err(end) = task.await
            && !end.is_cancelled()
        {
            error!(error = %end, "the task that calls the listeners ended early");
        }
    }
}

async fn call<T: Sync>(listener: &BoxListener<T>, change: &Change, tracker: &T, failures: &Tally) {
    // Making the future is the listener's code, too.
    let called = AssertUnwindSafe(async { listener.on_change(change, tracker).await });
    let failure = match called.catch_unwind().await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("panicked: {}", panic_message(&*panic)),
    };
    failures.add_one();
    error!(listener = listener.name, transition = %change.transition, failure, "a listener failed");
}

pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Waits for the listeners, unless the caller is one of them.
pub(super) async fn wait_unless_inside(done: Done) {
    if !reentry::inside() {
        // An error means that there are no listeners, or none any more.
        let _no_listeners = done.await;
    }
}
