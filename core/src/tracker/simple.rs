//! A tracker that keeps the state to itself.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::{debug, info_span};
use uuid::Uuid;

use super::board::Board;
use super::dispatch::{self, Dispatcher, Done, Listeners, wait_unless_inside};
use super::{BackupTracker, checked_application, now_millis, runtime};
use crate::error::{Error, Result};
use crate::gate::WorkGate;
use crate::listener::{Change, reentry};
use crate::metrics::{ListenerMetrics, Role, Series};
use crate::protocol::View;
use crate::protocol::calls::Call;
use crate::protocol::primary::{Action, Command, Effect, Input, Primary};
use crate::state::BackupState;
use crate::transition::BackupTransition;

/// A tracker that tells nobody but its listeners: for an application of one service, and for unit tests of code that takes
/// any [`BackupTracker`]. (`SimpleBackupTracker` in the Java module, too.)
///
/// Cheap to clone; the clones are the same tracker.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> backup_tracker::Result<()> {
/// use backup_tracker::{BackupState, BackupTracker, SimpleBackupTracker};
///
/// let tracker = SimpleBackupTracker::new("search")?;
/// tracker.startup_complete().await?;
/// tracker.start_backup().await?;
/// assert_eq!(tracker.state(), BackupState::BackingUp);
/// let refused = tracker.start_restore().await.unwrap_err();
/// assert_eq!(refused.states(), Some((BackupState::BackingUp, BackupState::Restoring)));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SimpleBackupTracker(Arc<Inner>);

struct Inner {
    /// Never held while listeners run. Holds the dispatcher, too, so that changes are queued in the order of the steps.
    machine: Mutex<(Primary, Option<Dispatcher>)>,
    application: Arc<str>,
    board: Arc<Board>,
    listener_metrics: Arc<ListenerMetrics>,
}

impl SimpleBackupTracker {
    /// A tracker without listeners, in Starting.
    ///
    /// # Errors
    ///
    /// As for [`SimpleBuilder::build`].
    pub fn new(application: impl Into<String>) -> Result<Self> {
        Self::builder(application).build()
    }

    /// A tracker with listeners.
    pub fn builder(application: impl Into<String>) -> SimpleBuilder {
        SimpleBuilder { application: application.into(), listeners: Listeners::new() }
    }

    /// The states from now on. A slow reader sees the newest and may miss some in between; a listener sees all.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BackupState> {
        self.0.board.watch()
    }

    /// The newest step.
    #[must_use]
    pub fn last_transition(&self) -> Option<BackupTransition> {
        self.0.board.status().last
    }

    /// The gate: shut while BackingUp or Restoring, and for good after [`close`](BackupTracker::close) or when the last handle
    /// is dropped.
    #[must_use]
    pub fn gate(&self) -> WorkGate {
        self.0.board.gate()
    }

    /// How many times a listener failed or panicked (T8).
    #[must_use]
    pub fn listener_failures(&self) -> u64 {
        self.0.listener_metrics.failures.read()
    }

    async fn call(&self, action: Action) -> Result<BackupTransition> {
        let (transition, done) = self.step(action)?;
        wait_unless_inside(done).await;
        Ok(transition)
    }

    fn step(&self, action: Action) -> Result<(BackupTransition, Done)> {
        let id = Uuid::new_v4();
        let command = Command { action, id, now_millis: now_millis(), only_if_running: None };
        let mut guard = self.0.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let (machine, dispatcher) = &mut *guard;
        let dispatcher = dispatcher.as_ref().ok_or_else(|| Error::closed("change the state"))?;
        let mut effects = machine.handle(Input::Command(command));
        if matches!(effects.as_slice(), [Effect::Send(_)]) {
            // There is nobody to tell, so it is told.
            effects = machine.handle(Input::Accepted);
        }
        let mut done = None;
        for effect in effects {
            match effect {
                Effect::Apply(transition) => {
                    self.0.board.stepped(&transition, false);
                    self.0.board.publish(View::after(transition.clone()));
                    done = Some(dispatcher.call(Call::Change(Change::step(transition))));
                }
                Effect::Answer(answer) => {
                    drop(guard);
                    return answer.map(|transition| (transition, done.unwrap_or_else(Dispatcher::done)));
                }
                Effect::Send(_) | Effect::BackOff(_) | Effect::Postpone(..) => {}
            }
        }
        Err(Error::closed("change the state"))
    }
}

impl BackupTracker for SimpleBackupTracker {
    fn state(&self) -> BackupState {
        self.0.board.state()
    }

    steps_by_call!();

    /// Ends the tracker; waits for listeners that are due, except from inside one. Closing twice is fine.
    async fn close(&self) -> Result<()> {
        let dispatcher = self.0.machine.lock().unwrap_or_else(PoisonError::into_inner).1.take();
        if let Some(dispatcher) = dispatcher {
            debug!(application = &*self.0.application, "closed");
            self.0.board.end(Ok(()));
            if !reentry::inside() {
                return dispatcher.finish(&self.0.board).await;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SimpleBackupTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimpleBackupTracker")
            .field("application", &self.0.application)
            .field("state", &self.0.board.state())
            .finish_non_exhaustive()
    }
}

/// Builds a [`SimpleBackupTracker`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SimpleBuilder {
    application: String,
    listeners: Listeners<SimpleBackupTracker>,
}

impl SimpleBuilder {
    listener_setters!(SimpleBackupTracker);

    /// The tracker, in Starting. Listeners run on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a blank application, and outside a Tokio runtime.
    pub fn build(self) -> Result<SimpleBackupTracker> {
        let application = checked_application(&self.application)?;
        let runtime = runtime()?;
        let _inside = runtime.enter();
        let _spanned = info_span!("simple", application = &*application).entered();
        let series = Series::new(application.clone(), Role::Simple);
        let listener_metrics = dispatch::metrics(&self.listeners, &series);
        let board = Arc::new(Board::new(BackupState::Starting, true, true, &series));
        let inner = Arc::new(Inner {
            machine: Mutex::new((Primary::new(application.clone(), BackupState::Starting), None)),
            application,
            board: board.clone(),
            listener_metrics: listener_metrics.clone(),
        });
        let weak = Arc::downgrade(&inner);
        let tracker = move || weak.upgrade().map(SimpleBackupTracker);
        let dispatcher = Dispatcher::spawn(self.listeners, tracker, board, listener_metrics);
        inner.machine.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(dispatcher);
        Ok(SimpleBackupTracker(inner))
    }
}
