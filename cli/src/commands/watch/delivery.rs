//! Passes on each transition: to the output, to readers over HTTP, and to the hooks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_tracker::{BackupState, BoxError, Change, Listener, Notice, SecondaryBackupTracker};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::Replay;
use super::feed::Feed;
use super::hook::{Due, Hooks};
use super::report::{Report, Step};

/// The listener. Clones deliver in one order.
#[derive(Clone, Debug)]
pub(super) struct Delivery(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    application: Arc<str>,
    replay: Replay,
    /// Whether the listener of Ready returns only when its hook has ended, and the position waits with it.
    wait_at_ready: bool,
    reports: mpsc::UnboundedSender<Report>,
    feed: Arc<Feed>,
    hooks: Option<Hooks>,
    /// Whoever delivers holds it, so that there is one order for all.
    past: Mutex<Past>,
}

/// How far what the log held before this start has been told.
#[derive(Debug)]
struct Past {
    /// The state of the newest change that came here, or else the one that the session began with.
    state: BackupState,
    newest: Option<Uuid>,
    /// With [`Replay::Last`]: the newest, until it is known that it is the last.
    held: Option<Change>,
    is_over: bool,
    /// Whether a task waits for its end.
    awaited: bool,
}

impl Delivery {
    /// `state` is the one that the session begins with.
    pub(super) fn new(
        application: Arc<str>,
        replay: Replay,
        wait_at_ready: bool,
        state: BackupState,
        reports: mpsc::UnboundedSender<Report>,
        feed: Arc<Feed>,
        hooks: Option<Hooks>,
    ) -> Self {
        let past = Past { state, newest: None, held: None, is_over: false, awaited: false };
        let past = Mutex::new(past);
        Self(Arc::new(Inner { application, replay, wait_at_ready, reports, feed, hooks, past }))
    }

    /// Tells the end of the past also where nothing comes any more.
    pub(super) fn await_end_of_past(&self, tracker: &SecondaryBackupTracker) {
        self.await_end(&mut self.0.past(), tracker);
    }

    fn await_end(&self, past: &mut Past, tracker: &SecondaryBackupTracker) {
        if !std::mem::replace(&mut past.awaited, true) {
            tokio::spawn(self.clone().end_when_synced(tracker.clone()));
        }
    }

    /// The state is published before listeners are told: when the tracker is synced, the last of the past may have come here,
    /// or be on its way. Either this or [`take`](Self::take) finds it.
    async fn end_when_synced(self, tracker: SecondaryBackupTracker) {
        let synced = tracker.synced().await;
        let mut past = self.0.past();
        past.awaited = false;
        if synced.is_ok() {
            self.0.end_past_if_last(&mut past, &tracker);
        }
    }

    /// Delivers what is due because of this change; the hook, if one is due for it.
    fn take(&self, change: &Change, tracker: &SecondaryBackupTracker) -> Option<Due> {
        let inner = &*self.0;
        let mut past = inner.past();
        if change.replay {
            // After a loss of the log another past begins.
            past.is_over &= tracker.is_synced();
            self.await_end(&mut past, tracker);
        } else {
            inner.end_past(&mut past);
        }
        past.state = change.transition.to;
        past.newest = Some(change.transition.id);
        let due = if !change.replay || inner.replay == Replay::All {
            inner.deliver(change)
        } else {
            past.held = (inner.replay == Replay::Last).then(|| change.clone());
            None
        };
        inner.end_past_if_last(&mut past, tracker);
        due
    }
}

impl Inner {
    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_past_if_last(&self, past: &mut Past, tracker: &SecondaryBackupTracker) {
        let last = tracker.last_transition().map(|transition| transition.id);
        if tracker.is_synced() && past.newest == last {
            self.end_past(past);
        }
    }

    fn end_past(&self, past: &mut Past) {
        if let Some(last) = past.held.take() {
            self.deliver(&last);
        }
        if !std::mem::replace(&mut past.is_over, true) {
            // An error means that the program is past printing.
            let _nobody_prints = self
                .reports
                .send(Report::Synced { application: self.application.clone(), state: past.state });
        }
    }

    fn deliver(&self, change: &Change) -> Option<Due> {
        let step = Arc::new(Step::from(change));
        self.feed.publish(step.clone());
        // An error means that the program is past printing.
        let _nobody_prints = self.reports.send(Report::Transition(step.clone()));
        self.hooks.as_ref().map(|hooks| hooks.queue(step))
    }
}

impl Listener<SecondaryBackupTracker> for Delivery {
    async fn on_change(&self, change: &Change, tracker: &SecondaryBackupTracker) -> Result<(), BoxError> {
        let due = self.take(change, tracker);
        if let Some(due) = due
            && self.0.wait_at_ready
            && change.transition.to == BackupState::Ready
        {
            due.ended().await;
        }
        Ok(())
    }

    async fn on_notice(&self, notice: &Notice, _: &SecondaryBackupTracker) -> Result<(), BoxError> {
        if let Notice::Lost { error } = notice {
            let (application, error) = (self.0.application.clone(), error.to_string());
            // An error means that the program is past printing.
            let _nobody_prints = self.0.reports.send(Report::Lost { application, error });
        }
        Ok(())
    }
}
