//! How the errors of Redis and of its client become core's.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::{Delivery, Error, ErrorKind};
use redis::{ErrorKind as RedisKind, RedisError};

use crate::shell::command_line;

/// The errors of Redis and of its client, with their place.
pub(crate) trait RedisErrors {
    /// There is no stream.
    fn missing(&self, operation: &'static str) -> Error;

    /// An answer of the server that no version of it should give.
    fn strange(&self, operation: &'static str) -> Error;

    /// The error of a request that failed while a sink or a source was opened, or of a send: what is wrong is said as what it
    /// is.
    fn failure(&self, operation: &'static str, failure: Failure) -> Error;

    /// The error of a request that failed in a session. Whatever the server answers, it may answer something else tomorrow
    /// (S14): the error passes, with the kind that it would have at opening as its cause.
    fn trouble(&self, operation: &'static str, failure: Failure) -> Error {
        self.failure(operation, failure).into_transient()
    }
}

impl RedisErrors for Place {
    fn missing(&self, operation: &'static str) -> Error {
        let create = command_line(&["XGROUP", "CREATE", &self.topic, "backup-tracker", "0", "MKSTREAM"]);
        let message = format!(
            "there is no such stream; let the first sink or group create it (`create_stream()`, `--create-topic`), or do it by \
             hand: `{create}`"
        );
        self.error(ErrorKind::NotFound, operation, message).with_delivery(Delivery::NotSent)
    }

    fn strange(&self, operation: &'static str) -> Error {
        let message = "the server's answer cannot be understood; it must be Redis 7.0 or later";
        self.error(ErrorKind::Corrupt, operation, message)
    }

    fn failure(&self, operation: &'static str, failure: Failure) -> Error {
        let delivery = failure.delivery();
        let at = failure.unreached.map(|server| format!(" (at {server})")).unwrap_or_default();
        let error = match failure.cause {
            Cause::Timeout(time) => {
                let what = if failure.asked { "answer" } else { "take a connection" };
                let message = format!("the server{at} did not {what} within {time:?}");
                self.error(ErrorKind::Unavailable, operation, message)
            }
            Cause::Redis(cause) => {
                let kind = kind_of(&cause);
                let message = format!("{}{at}: {cause}", advice(kind, &cause));
                self.error(kind, operation, message).with_source(cause)
            }
            Cause::Own(cause) => {
                self.error(cause.kind(), operation, cause.message().to_owned()).with_source(cause)
            }
            Cause::Stale(reason) => {
                let message = format!("the server is a replica, and {reason}");
                self.error(ErrorKind::Unavailable, operation, message)
            }
            Cause::Strange => self.strange(operation),
            Cause::Missing => self.missing(operation),
        };
        error.with_delivery(delivery)
    }
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether it was given to a connection, after which it may reach the server at any time.
    asked: bool,
    cause: Cause,
    /// The server to which no connection could be made, `host:port`.
    unreached: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Cause {
    Redis(RedisError),
    Timeout(Duration),
    /// A setting or a secret cannot be used.
    Own(Error),
    /// The server is a replica that does not hear of what comes.
    Stale(String),
    /// No answer that a script gives.
    Strange,
    /// There is no stream.
    Missing,
}

impl Failure {
    pub(crate) const fn new(asked: bool, cause: Cause) -> Self {
        Self { asked, cause, unreached: None }
    }

    pub(crate) const fn strange() -> Self {
        Self::new(true, Cause::Strange)
    }

    pub(crate) const fn missing() -> Self {
        Self::new(true, Cause::Missing)
    }

    /// To which server no connection could be made.
    pub(crate) fn to(self, server: Option<String>) -> Self {
        Self { unreached: server, ..self }
    }

    fn answer(&self) -> Option<&RedisError> {
        match &self.cause {
            Cause::Redis(cause) if is_answer(cause) => Some(cause),
            _ => None,
        }
    }

    fn is_code(&self, code: &str) -> bool {
        self.answer().is_some_and(|cause| cause.code() == Some(code))
    }

    /// A setting that is wrong, whatever the server says.
    pub(crate) fn setting(self) -> Result<Error, Self> {
        match self.cause {
            Cause::Own(error) if error.kind() == ErrorKind::Config => Ok(error),
            _ => Err(self),
        }
    }

    /// What is known of the request (K3). Each is one command, or one script that writes at its end, so that an error in
    /// the server's answer means that nothing was written.
    pub(crate) fn delivery(&self) -> Delivery {
        let refused = self.answer().is_some() || matches!(self.cause, Cause::Missing);
        if self.asked && !refused { Delivery::Unknown } else { Delivery::NotSent }
    }

    /// Whether the server answers that there is no such stream, or no such group of it.
    pub(crate) fn is_gone(&self) -> bool {
        self.answer().is_some_and(is_missing)
    }

    /// Whether the server has no memory left, so that it takes no transaction, not even one that only reads.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.is_code("OOM")
    }

    /// Whether the server knows the user, and a permission is missing.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.answer().is_some_and(is_forbidden)
    }

    /// The node of a cluster that has the stream, `host:port`, when this one has not.
    pub(crate) fn moved_to(&self) -> Option<&str> {
        let cause = self.answer().filter(|cause| cause.code() == Some("MOVED"))?;
        cause.detail()?.split(' ').nth(1)
    }

    /// Whether this connection is of no more use: it is broken, or the answer may be for its user, its server or its address, and
    /// what another one says may be better. It costs little, because what follows is a wait anyway.
    pub(crate) fn wants_another_connection(&self) -> bool {
        !self.is_gone() && !self.is_out_of_memory() && !matches!(self.cause, Cause::Missing)
    }

    /// Whether this connection is broken.
    pub(crate) fn is_broken(&self) -> bool {
        match &self.cause {
            Cause::Redis(cause) => !is_answer(cause),
            _ => true,
        }
    }
}

fn is_answer(cause: &RedisError) -> bool {
    matches!(cause.kind(), RedisKind::Server(_) | RedisKind::Extension)
}

fn is_missing(cause: &RedisError) -> bool {
    cause.code() == Some("NOGROUP") || cause.detail().is_some_and(|detail| detail.contains("no such key"))
}

fn kind_of(cause: &RedisError) -> ErrorKind {
    match cause.kind() {
        RedisKind::AuthenticationFailed => ErrorKind::Denied,
        RedisKind::Io if is_tls(cause) => ErrorKind::Config,
        RedisKind::Io => ErrorKind::Unavailable,
        RedisKind::Server(_) | RedisKind::Extension => kind_of_answer(cause),
        // What answers there does not speak the protocol.
        RedisKind::Parse | RedisKind::InvalidClientConfig | RedisKind::RESP3NotSupported => ErrorKind::Config,
        _ => ErrorKind::Internal,
    }
}

fn kind_of_answer(cause: &RedisError) -> ErrorKind {
    let text = cause.detail().unwrap_or_default();
    match cause.code().unwrap_or_default() {
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => ErrorKind::Denied,
        // A transaction whose end is refused is refused with the reason.
        "EXECABORT" if text.contains("NOPERM") => ErrorKind::Denied,
        // `TOOOLD` is what this crate's scripts say.
        "WRONGTYPE" | "CROSSSLOT" | "NOPROTO" | "TOOOLD" => ErrorKind::Config,
        // `OOM`, `MISCONF` and `NOREPLICAS` refuse a write until somebody makes room, repairs the disk or brings a replica. `MOVED`
        // was followed, and the node there knows no better.
        "LOADING" | "MASTERDOWN" | "READONLY" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" | "UNKILLABLE"
        | "OOM" | "MISCONF" | "NOREPLICAS" | "UNBLOCKED" | "INPROG" | "MOVED" | "ASK" => {
            ErrorKind::Unavailable
        }
        _ if is_missing(cause) => ErrorKind::NotFound,
        "ERR" => match text {
            // What a script says for a user who may run scripts, but not the command or the key in it.
            _ if is_forbidden(cause) => ErrorKind::Denied,
            _ if text.contains("max number of clients") => ErrorKind::Unavailable,
            _ if text.contains("unknown command") || text.contains("Unknown Redis command") => {
                ErrorKind::Config
            }
            _ if text.contains("DB index") => ErrorKind::Config,
            _ => ErrorKind::Internal,
        },
        _ => ErrorKind::Internal,
    }
}

/// Whether the server knows the user, and a command or a key is missing in its rules.
fn is_forbidden(cause: &RedisError) -> bool {
    let text = cause.detail().unwrap_or_default();
    cause.code() == Some("NOPERM")
        || ["NOPERM", "ACL failure", "can't run this command"].iter().any(|words| text.contains(words))
}

/// Whether the two sides could not agree on TLS, for example on the certificate.
fn is_tls(cause: &RedisError) -> bool {
    // The client library keeps the cause of its own error in a shared box.
    let shared = cause.source().and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    let error = shared.and_then(|shared| shared.downcast_ref::<io::Error>());
    error.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

fn advice(kind: ErrorKind, cause: &RedisError) -> &'static str {
    match (kind, cause.code()) {
        (ErrorKind::Denied, _) if is_forbidden(cause) => {
            "the user may not do this; add it to the user's ACL rules"
        }
        (ErrorKind::Denied, _) => "the server does not let this user in; check user and password",
        (ErrorKind::Config, Some("CROSSSLOT")) => {
            "on a cluster, stream and hash must be in one slot; give the topic a hash tag, such as `{backups}`"
        }
        (ErrorKind::Config, _) => "the server does not take this; check address, key and settings",
        (ErrorKind::Unavailable, Some("MOVED" | "ASK")) => {
            "the nodes of the cluster do not agree on who has the stream"
        }
        (ErrorKind::Unavailable, _) => "the server cannot serve now",
        _ => "the server or the client library failed",
    }
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    fn place() -> Place {
        Place::new("backups").with_group("search")
    }

    fn answer(code: &str, text: &str) -> RedisError {
        make_extension_error(code.into(), Some(text.into()))
    }

    #[test]
    fn a_handshake_that_fails_is_a_setting() {
        let cause = RedisError::from(io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate"));
        assert_eq!(kind_of(&cause), ErrorKind::Config);
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(kind_of(&refused).is_transient());
    }

    #[test]
    fn the_message_names_topic_and_group_and_keeps_the_cause() {
        let failure = || Failure::new(true, Cause::Redis(answer("NOPERM", "no")));
        let error = place().failure("commit", failure());
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.topic(), Some("backups"));
        assert_eq!(error.group(), Some("search"));
        assert!(error.source().is_some());
        let error = place().trouble("commit", failure());
        assert_eq!((error.kind(), error.cause()), (ErrorKind::Unavailable, Some(ErrorKind::Denied)));
    }

    #[test]
    fn a_missing_permission_is_told_from_a_wrong_password() {
        let message = |code, text| {
            let failure = Failure::new(true, Cause::Redis(answer(code, text)));
            place().failure("commit", failure).message().to_owned()
        };
        assert!(message("NOPERM", "no").contains("ACL rules"));
        assert!(message("ERR", "ACL failure in script").contains("ACL rules"));
        for code in ["WRONGPASS", "NOAUTH"] {
            assert!(message(code, "").contains("check user and password"));
        }
    }

    #[test]
    fn only_a_request_that_was_not_made_or_was_refused_is_not_sent() {
        let broken = || Cause::Redis(io::Error::from(io::ErrorKind::BrokenPipe).into());
        let late = || Cause::Timeout(Duration::from_secs(1));
        let delivery = |asked, cause| Failure::new(asked, cause).delivery();
        assert_eq!(delivery(false, broken()), Delivery::NotSent);
        assert_eq!(delivery(false, late()), Delivery::NotSent);
        assert_eq!(delivery(true, broken()), Delivery::Unknown);
        assert_eq!(delivery(true, late()), Delivery::Unknown);
        assert_eq!(delivery(true, Cause::Redis(answer("OOM", ""))), Delivery::NotSent);
        assert_eq!(delivery(true, Cause::Strange), Delivery::Unknown);
    }

    #[test]
    fn whoever_is_refused_tries_another_connection() {
        let wants = |asked, cause| Failure::new(asked, Cause::Redis(cause)).wants_another_connection();
        for code in ["READONLY", "MASTERDOWN", "LOADING", "NOPERM", "NOAUTH", "WHATEVER"] {
            assert!(wants(true, answer(code, "")), "{code}");
        }
        for code in ["NOGROUP", "OOM"] {
            assert!(!wants(true, answer(code, "")), "{code}");
        }
        assert!(wants(true, io::Error::from(io::ErrorKind::BrokenPipe).into()));
    }

    #[test]
    fn a_cluster_says_who_has_the_stream() {
        let moved = |code, text| {
            let failure = Failure::new(true, Cause::Redis(answer(code, text)));
            failure.moved_to().map(str::to_owned)
        };
        assert_eq!(moved("MOVED", "3999 10.0.0.7:6381").as_deref(), Some("10.0.0.7:6381"));
        assert_eq!(moved("MOVED", "3999"), None);
        assert_eq!(moved("ASK", "3999 10.0.0.7:6381"), None);
    }
}
