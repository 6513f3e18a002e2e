//! The secondary: the handle that people hold.

mod builder;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::board::Board;
use super::connection::Connection;
use super::counters::Counters;
use super::dispatch;
use crate::erased::Opener;
use crate::error::{Error, Result};
use crate::gate::WorkGate;
use crate::health::Health;
use crate::listener::reentry;
use crate::source::EventSource;
use crate::state::BackupState;
use crate::transition::BackupTransition;

pub use builder::SecondaryBuilder;

/// A service that follows the state that a primary announces. (`KafkaSecondaryBackupTracker` in the Java module.)
///
/// It follows on a background task from the moment it is built, calls listeners, moves the gate, and moves its durable
/// position only when the application is Ready (T2, T3). So a session that starts after a restart, whenever that was, either
/// begins in Ready or meets the operation that is still running once more, at once.
///
/// It has no methods that change the state: that is the primary's business.
///
/// ```compile_fail,E0599
/// # fn f(secondary: backup_tracker::SecondaryBackupTracker) {
/// use backup_tracker::BackupTracker;
/// secondary.start_backup();
/// # }
/// ```
///
/// Cheap to clone; the clones are the same tracker. When the last one is dropped, following stops at once, nothing is
/// committed, and the gate is shut for good. Handles that listeners get do not count.
///
/// # When things fail
///
/// - *A broker that cannot be reached, or that refuses what it allowed before*: following is tried again forever with back-off, and
///   [`health`](Self::health) shows the error and its [cause](crate::Error::cause). State and gate stay as they are.
///   [`give_up_on`](SecondaryBuilder::give_up_on) sets a limit.
/// - *A permanent error* (a group that another application has claimed, a limit that is over): following ends, the gate is shut for
///   good, [`health`](Self::health) is [`Failed`](Health::Failed), and [`closed`](Self::closed) returns the error (T9).
/// - *Records that are no transitions*, or that the state table forbids: skipped, counted in [`stats`](Self::stats), logged.
#[derive(Clone)]
pub struct SecondaryBackupTracker {
    inner: Arc<Inner>,
    /// None in the handles of listeners.
    _life: Option<Arc<Life>>,
}

#[derive(Debug)]
struct Inner {
    application: Arc<str>,
    board: Arc<Board>,
    closing: watch::Sender<bool>,
    counters: Arc<Counters>,
}

/// Ends the tasks when the last handle goes.
struct Life(Vec<tokio::task::AbortHandle>);

impl Drop for Life {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// What a secondary has counted since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecondaryStats {
    /// Records that the source returned.
    pub received: u64,
    /// Steps of the own application that were applied.
    pub applied: u64,
    /// Records of other applications (T1).
    pub other_application: u64,
    /// Records of the own application about neither a backup nor a restore.
    pub other_action: u64,
    /// Records that could not be understood (T6).
    pub undecodable: u64,
    /// Steps that the state table forbids (T5).
    pub forbidden: u64,
    /// Events that had been applied before (T11).
    pub duplicate: u64,
    /// Steps to Ready that end another operation than the one that runs: of a primary that was cut off while its successor began
    /// one (F1).
    pub other_operation: u64,
    /// Steps before which something was missed (T5).
    pub gaps: u64,
    /// Steps that stood in another partition than the step before them, so that the order of the two is not certain: the primary
    /// spreads its steps, as Java's does on a topic of several partitions, or partitions were added.
    pub partition_changes: u64,
    /// How many times the log was lost under the position (S12).
    pub losses: u64,
    /// Commits that the broker has confirmed.
    pub commits: u64,
    /// Attempts to open, read, commit or count that failed for a reason that may pass.
    pub troubles: u64,
    /// Steps of which listeners were not told because they were busy (T12).
    pub passed_over: u64,
    /// Listeners that failed or panicked (T8).
    pub listener_failures: u64,
}

impl SecondaryBackupTracker {
    /// How often the position follows other applications' events while Ready, unless set: every 5 s (T3).
    pub const DEFAULT_COMMIT_INTERVAL: Duration = Duration::from_secs(5);
    /// How often the position is committed again while Ready and quiet, unless set: every 5 min.
    pub const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(300);

    /// The longest wait between attempts to read, unless set: 1 s, and a random part of up to as much. When a broker is back, a
    /// backup that began meanwhile is seen within 2 s.
    pub const DEFAULT_LONGEST_WAIT: Duration = Duration::from_secs(1);
    /// A listener that has not returned after so long shows in health and metrics, unless set: 30 s.
    pub const DEFAULT_LISTENER_SLOW_AFTER: Duration = dispatch::DEFAULT_SLOW_AFTER;
    /// For how long [`close`](Self::close) waits for listeners: 10 s.
    pub const CLOSE_GRACE: Duration = dispatch::CLOSE_GRACE;

    /// A secondary of `application` that follows `source`.
    pub fn builder<S: EventSource + 'static>(
        application: impl Into<String>,
        source: S,
    ) -> SecondaryBuilder<S> {
        SecondaryBuilder::new(application.into(), Connection::Open(source))
    }

    /// A secondary of `application` that opens its source by itself, for a service that may start before its broker.
    ///
    /// Opening is retried with back-off while its error is [`Unavailable`](crate::ErrorKind::Unavailable), and
    /// [`health`](Self::health) shows it. Until it succeeds the state is Starting and the gate is shut. Any other error ends
    /// the tracker, as it would later.
    ///
    /// ```no_run
    /// # use backup_tracker::{EventSource, Result, SecondaryBackupTracker};
    /// # fn f<S: EventSource + 'static>(open: fn() -> std::future::Ready<Result<S>>) -> Result<()> {
    /// let secondary = SecondaryBackupTracker::builder_with("shop", move || open()).build()?;
    /// # Ok(()) }
    /// ```
    pub fn builder_with<S, F, R>(application: impl Into<String>, open: F) -> SecondaryBuilder<S>
    where
        S: EventSource + 'static,
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = Result<S>> + Send + 'static,
    {
        SecondaryBuilder::new(application.into(), Connection::Opening(Opener::new(open)))
    }

    /// The application that it follows.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.inner.application
    }

    /// The state now. Never waits.
    #[must_use]
    pub fn state(&self) -> BackupState {
        self.inner.board.state()
    }

    /// The states from now on. A slow reader sees the newest and may miss some in between; a listener sees all. It ends when
    /// the following does: [`changed`](watch::Receiver::changed) then returns an error.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BackupState> {
        self.inner.board.watch()
    }

    /// The newest step that was applied in this session.
    #[must_use]
    pub fn last_transition(&self) -> Option<BackupTransition> {
        self.inner.board.status().last
    }

    /// Waits until everything that the log held at opening has been applied (T10).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// What ended the following before that; [`Closed`](crate::ErrorKind::Closed) if it was closed.
    pub async fn synced(&self) -> Result<()> {
        let status = self.inner.board.wait_for(|status| status.synced || status.ended.is_some()).await;
        match status.ended {
            _ if status.synced => Ok(()),
            Some(Err(error)) => Err(error),
            _ => Err(Error::closed("wait until synced")),
        }
    }

    /// Whether everything that the log held at opening has been applied.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.inner.board.status().synced
    }

    /// Whether records were lost and no step of the application has come since, so that nothing is known of it (T14).
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.inner.board.status().lost
    }

    /// The health of the following (T9).
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.board.status().health()
    }

    /// Waits until the health changes to one that fulfils the condition, or fulfils it already.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn health_is(&self, mut condition: impl FnMut(&Health) -> bool + Send) -> Health {
        self.inner.board.wait_for(|status| condition(&status.health())).await.health()
    }

    /// Waits until the following has ended: `Ok` after [`close`](Self::close), the error that ended it otherwise (T9).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// The permanent error that ended the following; [`Closed`](crate::ErrorKind::Closed) if the last handle was dropped or
    /// the runtime ended.
    pub async fn closed(&self) -> Result<()> {
        self.inner.board.wait_for(|status| status.ended.is_some()).await.ended.unwrap_or(Ok(()))
    }

    /// The gate for work: shut until synced, while BackingUp or Restoring (and, if so built, while Starting), and for good
    /// after the following has ended. Then who waits to enter gets what ended it as an error.
    #[must_use]
    pub fn gate(&self) -> WorkGate {
        self.inner.board.gate()
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> SecondaryStats {
        self.inner.counters.read()
    }

    /// Ends the following without committing anything, and returns when it has ended and the listeners that were due have
    /// returned, for which it waits [`CLOSE_GRACE`](Self::CLOSE_GRACE) at most. From inside a listener it returns at once, and the following ends after it. Closing twice is fine.
    ///
    /// # Cancel safety
    ///
    /// Once called, it is carried out, also when the future is dropped.
    ///
    /// # Errors
    ///
    /// The permanent error that had ended the following before; [`Listener`](crate::ErrorKind::Listener) when a listener did
    /// not return in time: then it is given up, and its step is told again after a restart.
    pub fn close(&self) -> impl Future<Output = Result<()>> + Send + '_ {
        self.inner.closing.send_replace(true);
        async {
            if reentry::inside() {
                return Ok(());
            }
            self.closed().await
        }
    }
}

impl fmt::Debug for SecondaryBackupTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondaryBackupTracker")
            .field("application", &self.inner.application)
            .field("state", &self.state())
            .field("synced", &self.is_synced())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
