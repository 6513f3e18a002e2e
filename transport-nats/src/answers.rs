//! What JetStream's answers mean.

use async_nats::jetstream::{self, ErrorCode};
use backup_tracker::ErrorKind;

/// The kind of an error and, where that is `Unavailable`, the kind that it would have if it could not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) kind: ErrorKind,
    pub(crate) cause: Option<ErrorKind>,
}

impl Verdict {
    pub(crate) const fn passing(cause: ErrorKind) -> Self {
        Self { kind: ErrorKind::Unavailable, cause: Some(cause) }
    }
}

impl From<ErrorKind> for Verdict {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, cause: None }
    }
}

/// What an answer means while a session is opened, and to a send. In a session that is open everything may pass (S14).
pub(crate) fn verdict(error: &jetstream::Error) -> Verdict {
    type C = ErrorCode;
    match error.error_code() {
        C::STREAM_NOT_FOUND => ErrorKind::NotFound.into(),
        C::STREAM_MESSAGE_EXCEEDS_MAXIMUM => ErrorKind::Rejected.into(),
        // An earlier attempt of the same event has not been decided on by the replicas yet.
        C::STREAM_DUPLICATE_MESSAGE_CONFLICT => ErrorKind::Unavailable.into(),
        // Something is full, of the account or of the server. Somebody makes room, or allows more.
        C::ACCOUNT_RESOURCES_EXCEEDED
        | C::INSUFFICIENT_RESOURCES
        | C::MEMORY_RESOURCES_EXCEEDED
        | C::STORAGE_RESOURCES_EXCEEDED => Verdict::passing(ErrorKind::Config),
        // A cluster that has just come together may not have heard of all its servers. What is true of those that it knows
        // (too few, no space, other tags) is said in other words.
        C::CLUSTER_NO_PEERS if error.to_string().contains("peer offline") => ErrorKind::Unavailable.into(),
        C::STREAM_NOT_MATCH
        | C::STREAM_SUBJECT_OVERLAP
        | C::STREAM_NAME_EXIST
        | C::STREAM_REPLICAS_NOT_SUPPORTED
        | C::CLUSTER_NO_PEERS
        | C::MAXIMUM_CONSUMERS_LIMIT
        | C::MAXIMUM_STREAMS_LIMIT
        | C::JETSTREAM_NOT_ENABLED
        | C::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => ErrorKind::Config.into(),
        _ => match error.code() {
            400 => ErrorKind::Config.into(),
            401 | 403 => ErrorKind::Denied.into(),
            404 => ErrorKind::NotFound.into(),
            // No leader, no space, a full stream that discards what is new: all of that may pass.
            408 | 429 | 500.. => ErrorKind::Unavailable.into(),
            _ => ErrorKind::Internal.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: usize, error_code: u64, why: &str) -> Verdict {
        let text = format!(r#"{{"code":{code},"err_code":{error_code},"description":"{why}"}}"#);
        verdict(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn only_what_time_can_heal_is_transient() {
        for (code, error_code) in [(503, 10008), (409, 10158), (400, 10002), (500, 10047), (429, 10167)] {
            assert!(answer(code, error_code, "why").kind.is_transient(), "{error_code}");
        }
        for (code, error_code) in [(404, 10059), (400, 10065), (503, 10039), (400, 10026)] {
            assert!(!answer(code, error_code, "why").kind.is_transient(), "{error_code}");
        }
    }

    #[test]
    fn too_few_servers_are_a_wrong_setting_and_servers_that_are_away_may_come_back() {
        assert_eq!(answer(400, 10005, "no suitable peers for placement").kind, ErrorKind::Config);
        let away = answer(400, 10005, "no suitable peers for placement, peer offline");
        assert_eq!(away.kind, ErrorKind::Unavailable);
    }
}
