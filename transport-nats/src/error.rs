//! How the client's and the server's errors become core's.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::{self, ErrorCode};
use async_nats::{ConnectError, ConnectErrorKind, ServerAddr};
use backup_tracker::transport::Place;
use backup_tracker::{BoxError, Delivery, Error, ErrorKind};

/// The errors of the client and the server, with their place.
pub(crate) trait NatsErrors {
    /// The error of an operation whose exchange with the server failed.
    fn failure(&self, operation: &'static str, failure: Failure) -> Error;

    /// As [`failure`](Self::failure), of a session that is open: a stream that is deleted may be created again.
    fn in_session(&self, operation: &'static str, failure: Failure) -> Error {
        let may_come_back = failure.is(ErrorCode::STREAM_NOT_FOUND);
        let error = self.failure(operation, failure);
        if may_come_back { error.into_transient() } else { error }
    }

    /// The error of a connection that could not be made to any of these servers.
    fn connect(&self, operation: &'static str, servers: &[ServerAddr], cause: ConnectError) -> Error;
}

impl NatsErrors for Place {
    fn failure(&self, operation: &'static str, failure: Failure) -> Error {
        let error =
            self.error(failure.kind(), operation, failure.to_string()).with_delivery(failure.delivery());
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
    NotConnected(Option<String>),
    /// The connection ended while an answer was awaited.
    ConnectionLost,
    /// No answer in this time.
    TimedOut(Duration),
    /// Nobody listens on this subject: there is no such stream or consumer, or it has no leader now.
    NoResponders(String),
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

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NotConnected(_) | Self::ConnectionLost | Self::TimedOut(_) | Self::NoResponders(_) => {
                ErrorKind::Unavailable
            }
            Self::DeniedPublish(_) | Self::DeniedInbox(_) => ErrorKind::Denied,
            Self::Refused(error) => kind_of(error),
            Self::Client(_) => ErrorKind::Internal,
            Self::Unreadable(_) => ErrorKind::Corrupt,
        }
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
            Self::NotConnected(_) | Self::NoResponders(_) | Self::DeniedPublish(_) | Self::Refused(_) => {
                Delivery::NotSent
            }
            Self::ConnectionLost
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
            Self::NotConnected(Some(why)) => write!(f, "there is no connection to a server now: {why}"),
            Self::ConnectionLost => f.write_str("the connection to the server ended"),
            Self::TimedOut(after) => write!(f, "the server did not answer within {after:?}"),
            Self::NoResponders(subject) => {
                write!(f, "nothing answers on `{subject}` now: no stream, or one without a leader")
            }
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

fn kind_of(error: &jetstream::Error) -> ErrorKind {
    type C = ErrorCode;
    match error.error_code() {
        C::STREAM_NOT_FOUND => ErrorKind::NotFound,
        C::STREAM_MESSAGE_EXCEEDS_MAXIMUM => ErrorKind::Rejected,
        // An earlier attempt of the same event has not been decided on by the replicas yet.
        C::STREAM_DUPLICATE_MESSAGE_CONFLICT => ErrorKind::Unavailable,
        // A cluster that has just come together may not have heard of all its servers. What is true of those that it knows
        // (too few, no space, other tags) is said in other words.
        C::CLUSTER_NO_PEERS if error.to_string().contains("peer offline") => ErrorKind::Unavailable,
        C::STREAM_NOT_MATCH
        | C::STREAM_SUBJECT_OVERLAP
        | C::STREAM_NAME_EXIST
        | C::STREAM_REPLICAS_NOT_SUPPORTED
        | C::CLUSTER_NO_PEERS
        | C::MAXIMUM_CONSUMERS_LIMIT
        | C::JETSTREAM_NOT_ENABLED
        | C::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => ErrorKind::Config,
        _ => match error.code() {
            400 => ErrorKind::Config,
            401 | 403 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            // No leader, no space, a full stream that discards what is new: all of that may pass.
            408 | 429 | 500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: usize, error_code: u64) -> Failure {
        refused_because(code, error_code, "why")
    }

    fn refused_because(code: usize, error_code: u64, why: &str) -> Failure {
        let text = format!(r#"{{"code":{code},"err_code":{error_code},"description":"{why}"}}"#);
        Failure::Refused(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn only_what_time_can_heal_is_transient() {
        for failure in
            [Failure::ConnectionLost, Failure::NotConnected(None), refused(503, 10008), refused(409, 10158)]
        {
            assert!(failure.kind().is_transient(), "{failure}");
        }
        for failure in [refused(404, 10059), refused(400, 10065), Failure::DeniedPublish("a.b".into())] {
            assert!(!failure.kind().is_transient(), "{failure}");
        }
    }

    #[test]
    fn too_few_servers_are_a_wrong_setting_and_servers_that_are_away_may_come_back() {
        let few = refused_because(400, 10005, "no suitable peers for placement");
        assert_eq!(few.kind(), ErrorKind::Config);
        let away = refused_because(400, 10005, "no suitable peers for placement, peer offline");
        assert_eq!(away.kind(), ErrorKind::Unavailable);
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
        assert_eq!((error.topic(), error.group()), (Some("backups"), Some("search")));
        assert!(std::error::Error::source(&error).is_some());
    }
}
