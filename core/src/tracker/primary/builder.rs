//! What a primary is built from.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::{Instrument, info_span};

use super::{PrimaryBackupTracker, Requests, Traceparent};
use crate::error::{Error, Result};
use crate::event::Header;
use crate::metrics::{AnnouncerMetrics, Role, Series};
use crate::protocol::primary::Primary;
use crate::retry::RetryPolicy;
use crate::sink::Sink;
use crate::state::BackupState;
#[cfg(doc)]
use crate::tracker::BackupTracker;
use crate::tracker::announce::Announcer;
use crate::tracker::board::{Board, EndOfBoard};
use crate::tracker::connection::Connection;
use crate::tracker::dispatch::{self, Dispatcher, Listeners};
use crate::tracker::{checked_application, runtime};
use crate::wire::{OPERATION_HEADER, WireFormat};

/// Builds a [`PrimaryBackupTracker`].
#[must_use = "a builder does nothing until `build`"]
pub struct PrimaryBuilder<S> {
    application: String,
    connection: Connection<S>,
    state: BackupState,
    wire_format: Option<WireFormat>,
    headers: Vec<Header>,
    retry: RetryPolicy,
    listeners: Listeners<PrimaryBackupTracker>,
    traceparent: Option<Arc<Traceparent>>,
}

impl<S> PrimaryBuilder<S> {
    pub(super) const fn new(application: String, connection: Connection<S>) -> Self {
        Self {
            application,
            connection,
            state: BackupState::Starting,
            wire_format: None,
            headers: Vec::new(),
            retry: RetryPolicy::new(),
            listeners: Listeners::new(),
            traceparent: None,
        }
    }
}

impl<S: Sink + 'static> PrimaryBuilder<S> {
    /// How transitions are written: the sink's default unless set.
    pub fn wire_format(mut self, format: WireFormat) -> Self {
        self.wire_format = Some(format);
        self
    }

    /// The state to begin in: Starting unless set. For a process that takes up where another one left off and knows, from the
    /// log's last word, in which state that was: secondaries find their own state in its first announcement.
    /// [`startup_complete`](BackupTracker::startup_complete) leads to Ready from each.
    pub fn state(mut self, state: BackupState) -> Self {
        self.state = state;
        self
    }

    /// A header that goes with every announcement, in addition to `content-type`, `traceparent` and `backup-tracker-operation`,
    /// which are the library's own.
    /// May be called several times. Readers ignore headers that they do not know, those in Java all of them.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// For how long a failed announcement is tried again: [`RetryPolicy::new`] unless set.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    listener_setters!(PrimaryBackupTracker);

    /// Where the W3C trace context of a call comes from, as the value of a `traceparent` header. Asked in the caller's task;
    /// without an answer the header is left out.
    pub fn traceparent(mut self, current: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.traceparent = Some(Arc::new(current));
        self
    }

    /// The tracker, in Starting or in the state that was set. It announces on the current Tokio runtime, inside the current
    /// `tracing` span.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a blank application, for a header whose name is blank or the library's own, and
    /// outside a Tokio runtime.
    pub fn build(self) -> Result<PrimaryBackupTracker> {
        let application = checked_application(&self.application)?;
        self.headers.iter().try_for_each(check_header)?;
        let runtime = runtime()?;
        let _inside = runtime.enter();
        let span = info_span!("primary", application = &*application);
        let _spanned = span.enter();

        let series = Series::new(application.clone(), Role::Primary);
        let (strong, requests) = mpsc::unbounded_channel();
        let tracker = PrimaryBackupTracker {
            application: application.clone(),
            board: Arc::new(Board::new(self.state, true, !self.state.is_operation(), &series)),
            requests: Requests::Strong(strong.clone()),
            traceparent: self.traceparent,
            listener_metrics: dispatch::metrics(&self.listeners, &series),
        };
        let weak = PrimaryBackupTracker { requests: Requests::Weak(strong.downgrade()), ..tracker.clone() };
        let (board, listener_metrics) = (tracker.board.clone(), tracker.listener_metrics.clone());
        let announcer = Announcer {
            machine: Primary::new(application, self.state),
            wire_format: self.wire_format,
            headers: self.headers,
            connection: self.connection,
            failure: None,
            retry: self.retry,
            board: tracker.board.clone(),
            dispatcher: Dispatcher::spawn(
                self.listeners,
                move || Some(weak.clone()),
                board,
                listener_metrics,
            ),
            metrics: AnnouncerMetrics::new(&series),
        };
        let end = EndOfBoard::new(tracker.board.clone(), "announce");
        runtime.spawn(announcer.run(requests, end).in_current_span());
        Ok(tracker)
    }
}

fn check_header(header: &Header) -> Result<()> {
    let name = header.name.trim();
    if name.is_empty() {
        return Err(Error::config("header", "its name is blank; give it one"));
    }
    if ["content-type", "traceparent", OPERATION_HEADER].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        let message = format!("the library writes `{name}` by itself; choose another name");
        return Err(Error::config("header", message));
    }
    Ok(())
}

impl<S> fmt::Debug for PrimaryBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrimaryBuilder").field("application", &self.application).finish_non_exhaustive()
    }
}
