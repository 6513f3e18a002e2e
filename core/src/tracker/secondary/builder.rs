//! What a secondary is built from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{Instrument, info_span};

use super::{Inner, Life, SecondaryBackupTracker};
use crate::error::{Error, ErrorKind, Result};
use crate::listener::{Notice, Outcome, from_notice_fn};
use crate::metrics::{Role, Series, Share};
use crate::protocol::secondary::{CommitOrder, Settings};
use crate::retry::RetryPolicy;
use crate::source::EventSource;
use crate::state::BackupState;
use crate::tracker::board::{Board, EndOfBoard};
use crate::tracker::connection::Connection;
use crate::tracker::counters::Counters;
use crate::tracker::dispatch::{self, Dispatcher, Listeners};
use crate::tracker::follow::Surroundings;
use crate::tracker::following::Following;
use crate::tracker::patience::GiveUp;
use crate::tracker::{checked_application, runtime};

/// Builds a [`SecondaryBackupTracker`].
#[must_use = "a builder does nothing until `build`"]
pub struct SecondaryBuilder<S> {
    application: String,
    connection: Connection<S>,
    listeners: Listeners<SecondaryBackupTracker>,
    retry: RetryPolicy,
    limits: GiveUp,
    settings: Settings,
}

impl<S: EventSource + 'static> SecondaryBuilder<S> {
    pub(super) fn new(application: String, connection: Connection<S>) -> Self {
        Self {
            application,
            connection,
            listeners: Listeners::new(),
            retry: RetryPolicy::new().longest(SecondaryBackupTracker::DEFAULT_LONGEST_WAIT).for_ever(),
            limits: GiveUp::default(),
            settings: Settings {
                order: CommitOrder::CommitFirst,
                shut_while_starting: false,
                open_after_loss: false,
                shut_after_silence: None,
                commit_interval: SecondaryBackupTracker::DEFAULT_COMMIT_INTERVAL,
                keep_alive: SecondaryBackupTracker::DEFAULT_KEEP_ALIVE,
            },
        }
    }

    listener_setters!(SecondaryBackupTracker);

    /// Adds a closure as a listener of notices only; see [`from_notice_fn`](crate::listener::from_notice_fn).
    pub fn on_notice<F, O>(self, closure: F) -> Self
    where
        F: Fn(&Notice, &SecondaryBackupTracker) -> O + Send + Sync + 'static,
        O: Outcome,
    {
        self.listener(from_notice_fn(closure))
    }

    /// Whether the position moves before or after the listeners of Ready: [`CommitOrder::CommitFirst`] unless set (T2).
    pub fn commit_order(mut self, order: CommitOrder) -> Self {
        self.settings.order = order;
        self
    }

    /// Whether the gate is shut while Starting, too: no unless set, so that a service whose primary has never spoken can
    /// work.
    pub fn shut_gate_while_starting(mut self, shut: bool) -> Self {
        self.settings.shut_while_starting = shut;
        self
    }

    /// Whether the gate opens after a loss (S12) although no step has said yet where the application is: no unless set, so that
    /// nobody works through a backup whose beginning was lost (T14). The next step of the application opens or shuts it in
    /// any case.
    pub fn open_gate_after_loss(mut self, open: bool) -> Self {
        self.settings.open_after_loss = open;
        self
    }

    /// Shuts the gate when the source was out of contact for so long, as [`health`](SecondaryBackupTracker::health) shows it,
    /// for services that rather stop than work through a backup of which they cannot hear (T13). It opens again when everything
    /// is read that came to the log meanwhile. Never unless set.
    pub fn shut_gate_after_silence(mut self, limit: Duration) -> Self {
        self.settings.shut_after_silence = Some(limit);
        self
    }

    /// Ends the following when trouble with this [`cause`](Error::cause) has lasted so long: the error that ends it then
    /// has the cause's kind. Trouble is put up with forever unless set, since a permission that was withdrawn, or a topic that is
    /// missing while an operator works on it, may come back. Opening is strict in any case. May be called for several causes.
    pub fn give_up_on(mut self, cause: ErrorKind, after: Duration) -> Self {
        self.limits.set(cause, after);
        self
    }

    /// How the waits between attempts grow: as [`RetryPolicy::new`], to
    /// [`DEFAULT_LONGEST_WAIT`](SecondaryBackupTracker::DEFAULT_LONGEST_WAIT), unless set. It never gives up, whatever the policy
    /// says (T9).
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy.for_ever();
        self
    }

    /// How often the position follows other applications' events while Ready (T3):
    /// [`DEFAULT_COMMIT_INTERVAL`](SecondaryBackupTracker::DEFAULT_COMMIT_INTERVAL) unless set.
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.settings.commit_interval = interval;
        self
    }

    /// How often the position is committed again while Ready and quiet, so that the broker does not forget it. Choose it
    /// below the time for which the broker keeps positions of groups without members (`offsets.retention.minutes` on Kafka);
    /// [`DEFAULT_KEEP_ALIVE`](SecondaryBackupTracker::DEFAULT_KEEP_ALIVE) unless set.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.settings.keep_alive = interval;
        self
    }

    /// The tracker. It follows on the current Tokio runtime from now on, inside the current `tracing` span.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a blank application, for an interval of zero, outside a Tokio runtime, and in one
    /// without timers.
    pub fn build(self) -> Result<SecondaryBackupTracker> {
        let application = checked_application(&self.application)?;
        let Settings { commit_interval, keep_alive, .. } = self.settings;
        for (name, interval) in [("commit interval", commit_interval), ("keep alive", keep_alive)] {
            if interval.is_zero() {
                return Err(Error::config(name, "it is zero; choose at least a millisecond"));
            }
        }
        let runtime = runtime()?;
        let _inside = runtime.enter();
        let _spanned = info_span!("secondary", application = &*application).entered();

        let series = Series::new(application.clone(), Role::Secondary);
        // Where there is a source already, the state in which it begins shows at once (T4).
        let resumed = matches!(&self.connection, Connection::Open(source) if source.resumed());
        let state = if resumed { BackupState::Ready } else { BackupState::Starting };
        let board = Arc::new(Board::new(state, false, false, &series));
        let listener_metrics = dispatch::metrics(&self.listeners, &series);
        let counters = Arc::new(Counters::new(&series, listener_metrics.clone()));
        let closing = watch::Sender::new(false);
        let close = closing.subscribe();
        let inner = Arc::new(Inner {
            application: application.clone(),
            board: board.clone(),
            closing,
            counters: counters.clone(),
        });

        let listeners_inner = inner.clone();
        let dispatcher = Dispatcher::spawn(
            self.listeners,
            move || Some(SecondaryBackupTracker { inner: listeners_inner.clone(), _life: None }),
            board.clone(),
            listener_metrics,
        );
        let calls = dispatcher.abort_handle();
        let around = Surroundings {
            board: board.clone(),
            dispatcher,
            counters,
            backlog: Share::backlog(&series),
            calls: Share::calls_waiting(&series),
            retry: self.retry,
            limits: self.limits,
        };
        let following = Following { connection: self.connection, application, settings: self.settings };
        let run = following.run(around, close, EndOfBoard::new(board, "follow"));
        let following = runtime.spawn(run.in_current_span()).abort_handle();
        // The following first: it is not to see its listeners end before it.
        let tasks = std::iter::once(following).chain(calls).collect();
        Ok(SecondaryBackupTracker { inner, _life: Some(Arc::new(Life(tasks))) })
    }
}

impl<S> fmt::Debug for SecondaryBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondaryBuilder")
            .field("application", &self.application)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
