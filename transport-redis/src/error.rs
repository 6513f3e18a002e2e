//! How the errors of Redis and of its client become core's.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::{Delivery, Error, ErrorKind};
use redis::{ErrorKind as RedisKind, RedisError};

/// The errors of Redis and of its client, with their place.
pub(crate) trait RedisErrors {
    /// There is no stream.
    fn missing(&self, operation: &'static str) -> Error;

    /// An answer of the server that no version of it should give.
    fn strange(&self, operation: &'static str) -> Error;

    /// The error of a request that failed.
    fn failure(&self, operation: &'static str, failure: Failure) -> Error;
}

impl RedisErrors for Place {
    fn missing(&self, operation: &'static str) -> Error {
        let message = "there is no such stream; create it (`XGROUP CREATE <stream> <group> $ MKSTREAM`), \
                       or ask for it with `create_stream()`";
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
                self.error(kind, operation, format!("{}{at}: {cause}", advice(kind))).with_source(cause)
            }
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
}

impl Failure {
    pub(crate) const fn new(asked: bool, cause: Cause) -> Self {
        Self { asked, cause, unreached: None }
    }

    /// To which server no connection could be made.
    pub(crate) fn to(self, server: String) -> Self {
        Self { unreached: Some(server), ..self }
    }

    /// What is known of the request (K3). Each is one command, or one script that writes at its end, so that an error in
    /// the server's answer means that nothing was written.
    pub(crate) fn delivery(&self) -> Delivery {
        let answered = matches!(&self.cause, Cause::Redis(cause) if is_answer(cause));
        if self.asked && !answered { Delivery::Unknown } else { Delivery::NotSent }
    }

    /// Whether the server answers that there is no such stream, or no such group of it.
    pub(crate) fn is_gone(&self) -> bool {
        let Cause::Redis(cause) = &self.cause else { return false };
        is_answer(cause)
            && (cause.code() == Some("NOGROUP")
                || cause.detail().is_some_and(|detail| detail.contains("no such key")))
    }

    /// Whether the server has no memory left, so that it takes no transaction, not even one that only reads.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        matches!(&self.cause, Cause::Redis(cause) if is_answer(cause) && cause.code() == Some("OOM"))
    }

    /// Whether another connection may fare better: this one is broken, or leads to a server that cannot serve.
    pub(crate) fn wants_another_connection(&self) -> bool {
        match &self.cause {
            Cause::Redis(cause) => !is_answer(cause) || kind_of(cause).is_transient(),
            Cause::Timeout(_) => true,
        }
    }
}

fn is_answer(cause: &RedisError) -> bool {
    matches!(cause.kind(), RedisKind::Server(_) | RedisKind::Extension)
}

pub(crate) fn kind_of(cause: &RedisError) -> ErrorKind {
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
        "WRONGTYPE" | "MOVED" | "ASK" | "CROSSSLOT" | "NOPROTO" | "TOOOLD" => ErrorKind::Config,
        // `OOM`, `MISCONF` and `NOREPLICAS` refuse a write until somebody makes room, mends the disk or brings a replica.
        "LOADING" | "MASTERDOWN" | "READONLY" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" | "OOM" | "MISCONF"
        | "NOREPLICAS" | "UNBLOCKED" | "INPROG" => ErrorKind::Unavailable,
        "ERR" => match text {
            // What a script says for a user who may run scripts, but not the command or the key in it.
            _ if text.contains("ACL failure") || text.contains("can't run this command") => ErrorKind::Denied,
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

/// Whether the two sides could not agree on TLS, for example on the certificate: no time heals that.
fn is_tls(cause: &RedisError) -> bool {
    // The client library keeps the cause of its own error in a shared box.
    let shared = cause.source().and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    let error = shared.and_then(|shared| shared.downcast_ref::<io::Error>());
    error.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

const fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Denied => "the server refuses this user; check the password and its ACL",
        ErrorKind::Config => "the server does not take this; check address, key and settings",
        ErrorKind::Unavailable => "the server cannot serve now",
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
    fn only_what_time_can_heal_is_transient() {
        for code in ["LOADING", "READONLY", "OOM", "MISCONF", "NOREPLICAS"] {
            assert!(kind_of(&answer(code, "")).is_transient(), "{code}");
        }
        for code in ["TOOOLD", "WRONGTYPE", "NOAUTH", "NOPERM", "WRONGPASS", "ERR"] {
            assert!(!kind_of(&answer(code, "")).is_transient(), "{code}");
        }
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(kind_of(&refused).is_transient());
    }

    #[test]
    fn a_handshake_that_fails_is_a_setting() {
        let cause = RedisError::from(io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate"));
        assert_eq!(kind_of(&cause), ErrorKind::Config);
    }

    #[test]
    fn the_message_names_topic_and_group_and_keeps_the_cause() {
        let failure = Failure::new(true, Cause::Redis(answer("NOPERM", "no")));
        let error = place().failure("commit", failure);
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.topic(), Some("backups"));
        assert_eq!(error.group(), Some("search"));
        assert!(error.source().is_some());
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
    }

    #[test]
    fn a_connection_to_a_server_that_cannot_serve_is_given_up() {
        let wants = |asked, cause| Failure::new(asked, Cause::Redis(cause)).wants_another_connection();
        for code in ["READONLY", "MASTERDOWN", "LOADING"] {
            assert!(wants(true, answer(code, "")), "{code}");
        }
        for code in ["NOPERM", "WRONGTYPE"] {
            assert!(!wants(true, answer(code, "")), "{code}");
        }
        assert!(wants(true, io::Error::from(io::ErrorKind::BrokenPipe).into()));
    }
}
