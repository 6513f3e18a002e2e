//! The newest transitions for any number of readers, none of which can hold up anything: who is too slow loses some, and is told
//! how many.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use uuid::Uuid;

use super::report::Step;

/// How many transitions a slow reader may lag behind, and how many a reader that returns can ask for.
pub(super) const KEPT: usize = 256;

#[derive(Debug)]
pub(super) struct Feed(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    recent: VecDeque<Arc<Step>>,
    /// None once closed.
    sender: Option<broadcast::Sender<Arc<Step>>>,
}

/// What a new reader gets.
#[derive(Debug)]
pub(super) struct Subscription {
    /// What came after the transition that the reader saw last. `None` if that is not known here (any more).
    pub(super) missed: Option<Vec<Arc<Step>>>,
    pub(super) receiver: broadcast::Receiver<Arc<Step>>,
}

impl Feed {
    pub(super) fn new() -> Self {
        let sender = Some(broadcast::Sender::new(KEPT));
        Self(Mutex::new(Inner { recent: VecDeque::new(), sender }))
    }

    pub(super) fn publish(&self, step: Arc<Step>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.recent.len() == KEPT {
            inner.recent.pop_front();
        }
        inner.recent.push_back(step.clone());
        if let Some(sender) = &inner.sender {
            // An error means that nobody reads now.
            let _nobody = sender.send(step);
        }
    }

    /// A reader of everything from now on, and of what came since `last_seen`; `None` once the feed is closed.
    pub(super) fn subscribe(&self, last_seen: Option<Uuid>) -> Option<Subscription> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = inner.sender.as_ref()?.subscribe();
        let missed = match last_seen {
            None => Some(Vec::new()),
            // From behind: after a loss of the log the same id may come twice.
            Some(id) => inner
                .recent
                .iter()
                .rposition(|step| step.id == id)
                .map(|index| inner.recent.range(index + 1..).cloned().collect()),
        };
        Some(Subscription { missed, receiver })
    }

    /// Ends every reader.
    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sender = None;
    }
}

#[cfg(test)]
mod tests;
