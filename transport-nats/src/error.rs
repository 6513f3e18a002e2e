//! How the client's and the server's errors become core's.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::{self, ErrorCode};
use async_nats::{ConnectError, ConnectErrorKind, ServerAddr};
use backup_tracker::transport::Place;
use backup_tracker::{BoxError, Delivery, Error, ErrorKind};

use crate::answers::{self, Verdict};
use crate::signals::Trouble;

/// The errors of the client and the server, with their place.
pub(crate) trait NatsErrors {
    /// The error of an operation whose exchange with the server failed.
    fn failure(&self, operation: &'static str, failure: Failure) -> Error;

    /// As [`failure`](Self::failure), of a session that is open: whatever the server answers may pass (S14).
    fn in_session(&self, operation: &'static str, failure: Failure) -> Error {
        self.failure(operation, failure).into_transient()
    }

    /// The error of a connection that could not be made to any of these servers.
    fn connect(&self, operation: &'static str, servers: &[ServerAddr], cause: ConnectError) -> Error;
}

impl NatsErrors for Place {
    fn failure(&self, operation: &'static str, failure: Failure) -> Error {
        let Verdict { kind, cause } = failure.verdict();
        let error = self.error(kind, operation, failure.to_string()).with_delivery(failure.delivery());
        let error = match cause {
            Some(cause) => error.with_cause(cause),
            None => error,
        };
        match failure {
            Failure::Refused(cause) => error.with_source(cause),
            Failure::Client(cause) | Failure::Unreadable(cause) => error.with_source(cause),
            _ => error,
        }
    }

    fn connect(&self, operation: &'static str, servers: &[ServerAddr], cause: ConnectError) -> Error {
        let (kind, message) = match cause.kind() {
            ConnectErrorKind::ServerParse => (ErrorKind::Config, "a server's address is wrong"),
            ConnectErrorKind::AuthorizationViolation => {
                (ErrorKind::Denied, "the server refuses the credentials")
            }
            ConnectErrorKind::Authentication => {
                (ErrorKind::Denied, "the credentials cannot be used to sign in")
            }
            ConnectErrorKind::Tls => (ErrorKind::Config, "TLS cannot be set up"),
            // The client says of a certificate that it does not trust no more than of a broken cable.
            _ if is_certificate(&cause) => (ErrorKind::Config, "the server's certificate is not accepted"),
            _ => (ErrorKind::Unavailable, "no server can be reached"),
        };
        let servers = addresses(servers);
        self.error(kind, operation, format!("{message} (at {servers}): {cause}")).with_source(cause)
    }
}

/// As people write them, without the password that an address may hold.
pub(crate) fn addresses(servers: &[ServerAddr]) -> String {
    let servers: Vec<_> =
        servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect();
    servers.join(", ")
}

fn is_certificate(error: &ConnectError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("certificate") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What went wrong between a request and its answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no connection, and nothing was written.
    NotConnected(Option<Trouble>),
    /// The connection ended while an answer was awaited.
    ConnectionLost,
    /// No answer in this time.
    TimedOut(Duration),
    /// Nobody listens on this subject: there is no such stream or consumer, or it has no leader now.
    NoResponders(String),
    /// Nobody listens on this subject of JetStream's own.
    NoJetStream(String),
    /// The stream's leader does not hear most of the replicas.
    NoMajority { gone: usize, replicas: usize },
    /// Another stream than ours has stored the message.
    Elsewhere(String),
    /// The server does not let this user publish to the subject.
    DeniedPublish(String),
    /// The server does not let this user receive on its inbox, so that no answer can come.
    DeniedInbox(String),
    /// JetStream's own answer.
    Refused(jetstream::Error),
    /// The client library failed.
    Client(BoxError),
    /// The answer is not what the protocol says.
    Unreadable(BoxError),
}

impl Failure {
    pub(crate) fn is(&self, code: ErrorCode) -> bool {
        matches!(self, Self::Refused(error) if error.error_code() == code)
    }

    /// What it is when a session is opened, and of a send.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::NotConnected(trouble) => Verdict {
                kind: ErrorKind::Unavailable,
                cause: trouble.as_ref().and_then(|trouble| trouble.cause),
            },
            Self::ConnectionLost | Self::TimedOut(_) | Self::NoResponders(_) | Self::NoMajority { .. } => {
                ErrorKind::Unavailable.into()
            }
            // Switched off, or on a leaf node that is not connected now.
            Self::NoJetStream(_) => Verdict::passing(ErrorKind::Config),
            Self::Elsewhere(_) => ErrorKind::Config.into(),
            Self::DeniedPublish(_) | Self::DeniedInbox(_) => ErrorKind::Denied.into(),
            Self::Refused(error) => answers::verdict(error),
            Self::Client(_) => ErrorKind::Internal.into(),
            Self::Unreadable(_) => ErrorKind::Corrupt.into(),
        }
    }

    /// Whether it may pass, also for a session that is being opened.
    pub(crate) fn is_transient(&self) -> bool {
        self.verdict().kind.is_transient()
    }

    /// What it says of a message that was to be stored (K3).
    pub(crate) fn delivery(&self) -> Delivery {
        match self {
            // The server refuses before it stores. With a 5xx, replicas may yet agree on the message, and so they may on an
            // earlier attempt that is under way.
            Self::Refused(error)
                if error.code() >= 500
                    || error.error_code() == ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT =>
            {
                Delivery::Unknown
            }
            Self::NotConnected(_)
            | Self::NoResponders(_)
            | Self::NoJetStream(_)
            | Self::DeniedPublish(_)
            | Self::Refused(_) => Delivery::NotSent,
            Self::ConnectionLost
            | Self::NoMajority { .. }
            | Self::Elsewhere(_)
            | Self::TimedOut(_)
            | Self::DeniedInbox(_)
            | Self::Client(_)
            | Self::Unreadable(_) => Delivery::Unknown,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(None) => f.write_str("there is no connection to a server now"),
            Self::NotConnected(Some(Trouble { why, .. })) => {
                write!(f, "there is no connection to a server now: {why}")
            }
            Self::ConnectionLost => f.write_str("the connection to the server ended"),
            Self::TimedOut(after) => write!(f, "the server did not answer within {after:?}"),
            Self::NoResponders(subject) => {
                write!(f, "nothing answers on `{subject}` now: no stream, or one without a leader")
            }
            Self::NoJetStream(subject) => write!(
                f,
                "nothing answers on `{subject}` now: JetStream is switched off, or its domain or API prefix is another one"
            ),
            Self::NoMajority { gone, replicas } => {
                write!(f, "the stream's leader does not hear {gone} of its {replicas} servers now")
            }
            Self::Elsewhere(why) => f.write_str(why),
            Self::DeniedPublish(subject) => {
                write!(f, "this user may not publish to `{subject}`; allow it in the server's permissions")
            }
            Self::DeniedInbox(subject) => {
                write!(f, "this user may not subscribe to `{subject}`; allow it, or set an inbox prefix")
            }
            Self::Refused(error) => write!(f, "the server says: {error}"),
            Self::Client(error) => write!(f, "the client library failed: {error}"),
            Self::Unreadable(error) => write!(f, "the server's answer cannot be understood: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: usize, error_code: u64) -> Failure {
        let text = format!(r#"{{"code":{code},"err_code":{error_code},"description":"why"}}"#);
        Failure::Refused(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn an_event_is_not_sent_only_where_that_is_certain() {
        for failure in [refused(400, 10060), Failure::NotConnected(None), Failure::NoResponders("a".into())] {
            assert_eq!(failure.delivery(), Delivery::NotSent, "{failure}");
        }
        for failure in [
            refused(503, 10077),
            refused(409, 10158),
            Failure::ConnectionLost,
            Failure::TimedOut(Duration::from_secs(1)),
            Failure::DeniedInbox("_INBOX.>".into()),
        ] {
            assert_eq!(failure.delivery(), Delivery::Unknown, "{failure}");
        }
    }

    #[test]
    fn the_message_names_topic_and_group_and_keeps_the_cause() {
        let place = Place::new("backups").with_group("search");
        let error = place.failure("commit", refused(404, 10059));
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = place.in_session("commit", refused(404, 10059));
        assert_eq!((error.kind(), error.cause()), (ErrorKind::Unavailable, Some(ErrorKind::NotFound)));
        assert_eq!((error.topic(), error.group()), (Some("backups"), Some("search")));
        assert!(std::error::Error::source(&error).is_some());
    }
}
