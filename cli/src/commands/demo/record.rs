//! The record of a run: everything that happened, in one order. The timeline is drawn from it, and the verdict rests on it
//! alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backup_tracker::{BackupState, BackupTransition};
use tokio::sync::mpsc;

use super::cast::Who;

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Since the run began.
    pub(super) at: Duration,
    pub(super) who: Who,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It starts, in this state; for a secondary, a session begins.
    Opened(BackupState),
    /// A secondary has caught up with the log.
    Synced,
    /// The primary is about to announce this state.
    Announcing(BackupState),
    /// The primary's announcement is durable, and the primary has changed its own state.
    Announced(BackupTransition),
    /// The tracker of a secondary shows this state.
    Shows(BackupState),
    /// The gate of a secondary is shut, and no permit is out.
    Paused,
    /// The listener of a secondary is called.
    Told(Told),
    /// The listener of a secondary has returned.
    ListenerReturned(BackupTransition),
    /// A secondary begins a piece of its work, with a permit in its hand.
    WorkBegan,
    /// A secondary has finished a piece of its work, and still holds the permit.
    WorkEnded,
    /// The primary begins the work of the operation, during which nobody else may work.
    OperationBegan(BackupState),
    /// The primary has finished it.
    OperationEnded(BackupState),
    /// A secondary is gone, as if its process had crashed.
    Killed,
    /// It ends in good order.
    Closed,
}

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) transition: BackupTransition,
    pub(super) replay: bool,
    pub(super) missed: bool,
}

/// Writes the record, from any task.
#[derive(Clone, Debug)]
pub(super) struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    /// Held from the reading of the clock until the entry is in its place, so that the order is that of the times.
    entries: Mutex<mpsc::UnboundedSender<Entry>>,
}

impl Recorder {
    /// A recorder that begins now, and the entries as they are made.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Entry>) {
        let (sender, entries) = mpsc::unbounded_channel();
        (Self(Arc::new(Inner { begun: Instant::now(), entries: Mutex::new(sender) })), entries)
    }

    pub(super) fn add(&self, who: Who, what: What) {
        let entries = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.0.begun.elapsed();
        // Nobody reads any more when the demo ends before its time.
        drop(entries.send(Entry { at, who, what }));
    }
}
