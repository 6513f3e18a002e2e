//! The one error of every crate of the family.

use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

use crate::state::BackupState;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any cause that an error can carry.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What went wrong, in the terms in which a program would react.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong; the message names it. Mend the setting.
    Config,
    /// The topic, stream or bucket does not exist.
    NotFound,
    /// The broker refused the identity or the permission.
    Denied,
    /// The event itself was refused, for example because it is too large.
    Rejected,
    /// The broker cannot be reached or does not answer now. The only transient kind.
    Unavailable,
    /// Another writer took this one's place.
    Fenced,
    /// The log was trimmed, deleted or recreated under the position, or ended (S12).
    Lost,
    /// The broker's or the group's own data cannot be understood.
    Corrupt,
    /// The state table forbids the call; [`Error::states`] names both states.
    IllegalTransition,
    /// The tracker, sink or source was closed before.
    Closed,
    /// A listener did not return in time.
    Listener,
    /// A fault of this library or of the client library.
    Internal,
}

impl ErrorKind {
    /// Whether trying again later can help.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "wrong setting",
            Self::NotFound => "not found",
            Self::Denied => "denied",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
            Self::Fenced => "fenced",
            Self::Lost => "lost",
            Self::Corrupt => "corrupt",
            Self::IllegalTransition => "illegal transition",
            Self::Closed => "closed",
            Self::Listener => "listener",
            Self::Internal => "internal error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a failed send may have reached the log all the same (K3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The event is certainly not in the log.
    NotSent,
    /// The event may be in the log, now or later.
    Unknown,
}

/// What failed, where, and why. Cheap to clone.
///
/// `Display` is one line; the client library's own error is the [`source`](StdError::source).
///
/// ```
/// use backup_tracker::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "open the source", "create the topic first")
///     .with_topic("backups")
///     .with_group("search");
/// assert_eq!(
///     error.to_string(),
///     "open the source: not found: create the topic first (topic `backups`, group `search`)"
/// );
/// assert!(!error.is_transient());
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    cause: Option<ErrorKind>,
    operation: &'static str,
    message: String,
    topic: Option<String>,
    group: Option<String>,
    delivery: Delivery,
    states: Option<(BackupState, BackupState)>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `operation` (a verb phrase such as `send` or `open the source`); the message says what to do.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            cause: None,
            operation,
            message: message.into(),
            topic: None,
            group: None,
            delivery: Delivery::Unknown,
            states: None,
            source: None,
        }))
    }

    /// A [`ErrorKind::Config`] error about one setting, for example `bootstrap servers`.
    pub fn config(setting: &str, message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Config, "configure", format!("{setting}: {message}"))
    }

    /// A call that the state table forbids.
    #[must_use]
    pub fn illegal_transition(from: BackupState, to: BackupState) -> Self {
        let message = format!("the state is {from}, and {to} may not follow it");
        Self::new(ErrorKind::IllegalTransition, "change the state", message)
            .map(|inner| inner.states = Some((from, to)))
            .with_delivery(Delivery::NotSent)
    }

    /// A call on something that was closed before.
    #[must_use]
    pub fn closed(operation: &'static str) -> Self {
        Self::new(ErrorKind::Closed, operation, "it was closed before").with_delivery(Delivery::NotSent)
    }

    /// An operation of the operating system that failed: [`Denied`](ErrorKind::Denied) where a permission is missing,
    /// [`Corrupt`](ErrorKind::Corrupt) where data cannot be understood, [`Internal`](ErrorKind::Internal) for an error that
    /// did not come from the system ([`io::ErrorKind::Other`]), and [`Unavailable`](ErrorKind::Unavailable) for all else:
    /// what is missing, full or unreachable may be mended while a tracker tries again.
    #[must_use]
    pub fn io(operation: &'static str, cause: io::Error) -> Self {
        let kind = match cause.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Corrupt,
            io::ErrorKind::Other => ErrorKind::Internal,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, operation, cause.to_string()).with_source(cause)
    }

    fn map(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The error with the kind that it would have if it could not pass: a permission that is withdrawn while a session
    /// is open is [`Unavailable`](ErrorKind::Unavailable) because of [`Denied`](ErrorKind::Denied).
    ///
    /// ```
    /// use backup_tracker::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Unavailable, "read", "not authorized").with_cause(ErrorKind::Denied);
    /// assert_eq!(error.to_string(), "read: unavailable (denied): not authorized");
    /// assert!(error.is_transient());
    /// ```
    #[must_use]
    pub fn with_cause(self, cause: ErrorKind) -> Self {
        self.map(|inner| inner.cause = Some(cause))
    }

    /// The error as one that may pass: [`Unavailable`](ErrorKind::Unavailable), because of the kind that it had. For what is
    /// permanent when a session is opened, and may come back while it is open.
    ///
    /// ```
    /// use backup_tracker::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::NotFound, "read", "no such stream").into_transient();
    /// assert_eq!((error.kind(), error.cause()), (ErrorKind::Unavailable, Some(ErrorKind::NotFound)));
    /// ```
    #[must_use]
    pub fn into_transient(self) -> Self {
        if self.is_transient() {
            return self;
        }
        self.map(|inner| inner.cause = Some(std::mem::replace(&mut inner.kind, ErrorKind::Unavailable)))
    }

    /// An error that passes as the one that does not: of the kind of its cause.
    pub(crate) fn into_permanent(self) -> Self {
        self.map(|inner| inner.kind = inner.cause.take().unwrap_or(inner.kind))
    }

    /// The error with the topic (stream, log) that it is about.
    #[must_use]
    pub fn with_topic(self, topic: impl Into<String>) -> Self {
        self.map(|inner| inner.topic = Some(topic.into()))
    }

    /// The error with the group that it is about.
    #[must_use]
    pub fn with_group(self, group: impl Into<String>) -> Self {
        self.map(|inner| inner.group = Some(group.into()))
    }

    /// The error with what is known of the event that was sent (K3). [`Delivery::Unknown`] unless said.
    #[must_use]
    pub fn with_delivery(self, delivery: Delivery) -> Self {
        self.map(|inner| inner.delivery = delivery)
    }

    /// The error with its cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        let source: Arc<dyn StdError + Send + Sync> = Arc::from(source.into());
        self.map(|inner| inner.source = Some(source))
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// For an error that passes: the kind that it would have if it could not, where known.
    #[must_use]
    pub fn cause(&self) -> Option<ErrorKind> {
        self.0.cause
    }

    /// Whether trying again later can help: true for [`ErrorKind::Unavailable`] only.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The message alone, without operation, kind and place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The topic (stream, log), where known.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.0.topic.as_deref()
    }

    /// The group, where known.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.0.group.as_deref()
    }

    /// For an error of a send: whether the event may be in the log (K3).
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// For [`ErrorKind::IllegalTransition`]: the state, and the state that was asked for.
    #[must_use]
    pub fn states(&self) -> Option<(BackupState, BackupState)> {
        self.0.states
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, cause, operation, message, topic, group, .. } = &*self.0;
        write!(f, "{operation}: {kind}")?;
        if let Some(cause) = cause {
            write!(f, " ({cause})")?;
        }
        write!(f, ": {message}")?;
        match (topic, group) {
            (Some(topic), Some(group)) => write!(f, " (topic `{topic}`, group `{group}`)"),
            (Some(topic), None) => write!(f, " (topic `{topic}`)"),
            (None, Some(group)) => write!(f, " (group `{group}`)"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, cause, operation, message, topic, group, delivery, states, source } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", kind);
        if let Some(cause) = cause {
            debug.field("cause", cause);
        }
        debug.field("operation", operation).field("message", message);
        for (name, value) in [("topic", topic), ("group", group)] {
            if let Some(value) = value {
                debug.field(name, value);
            }
        }
        debug.field("delivery", delivery);
        if let Some(states) = states {
            debug.field("states", states);
        }
        if let Some(source) = source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
