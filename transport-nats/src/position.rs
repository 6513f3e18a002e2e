//! The groups' positions in a key-value bucket.

use async_nats::header::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::message::StreamMessage;
use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use crate::error::Failure;
use crate::identity::Bookmark;
use crate::link::{Link, understand};
use crate::stream::get;

/// The revision that a key must have for a write to be taken.
const EXPECTED_REVISION: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// Says of a message in a bucket that the key is gone.
const DELETED: &str = "KV-Operation";
/// Says so where the server removed it, because of a limit.
const EXPIRED: &str = "Nats-Marker-Reason";

/// A position as the bucket holds it, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// When the stream was created, in the server's words.
    pub(crate) stream_created: String,
    /// The sequence of the last message that is behind the group.
    pub(crate) sequence: u64,
    /// False for a start that was fixed when the group was new, and from which nobody has committed yet.
    pub(crate) committed: bool,
    /// When the server stored that message, in nanoseconds since 1970. Tells whether it is still the same (S12). Earlier versions
    /// noted none, and there is none before the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<i64>,
    /// To which application the group is bound (S16). Earlier versions noted none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) application: Option<String>,
}

impl Stored {
    pub(crate) fn new(Bookmark { created, sequence, time }: Bookmark, committed: bool) -> Self {
        Self { stream_created: created, sequence, committed, time, application: None }
    }

    pub(crate) fn bookmark(&self) -> Bookmark {
        Bookmark { created: self.stream_created.clone(), sequence: self.sequence, time: self.time }
    }
}

/// A group's key.
#[derive(Debug)]
pub(crate) struct Key {
    /// The bucket's stream.
    stream: String,
    subject: String,
    bucket: String,
    key: String,
}

/// What the bucket holds under a key.
#[derive(Debug)]
pub(crate) struct Held {
    /// None for a key that is not there, or was deleted.
    pub(crate) value: Option<Bytes>,
    /// What a write must expect.
    pub(crate) revision: u64,
}

/// How a write ended that the server has answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done {
        revision: u64,
    },
    /// Somebody else wrote since.
    Conflict,
}

impl Key {
    pub(crate) fn new(bucket: &str, key: String) -> Self {
        Self {
            stream: format!("KV_{bucket}"),
            subject: format!("$KV.{bucket}.{key}"),
            bucket: bucket.to_owned(),
            key,
        }
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The command that makes the group a new one.
    pub(crate) fn delete_command(&self) -> String {
        format!("nats kv del {} {}", self.bucket, self.key)
    }

    /// Reads the key.
    pub(crate) async fn read(&self, link: &Link, deadline: Instant) -> Result<Held, Failure> {
        let question = json!({ "last_by_subj": self.subject });
        let Some(message) = get(link, &self.stream, &question, deadline).await? else {
            return Ok(Held { value: None, revision: 0 });
        };
        let revision = message.sequence;
        let message = StreamMessage::try_from(message).map_err(Failure::Unreadable)?;
        // A key that was deleted or purged, or whose time was over, is a message that says so.
        let deleted = [DELETED, EXPIRED].iter().any(|name| message.headers.get(*name).is_some());
        Ok(Held { value: (!deleted).then_some(message.payload), revision })
    }

    /// Writes the key if it still has this revision; 0: if it is not there.
    pub(crate) async fn write(
        &self,
        link: &Link,
        stored: &Stored,
        revision: u64,
        deadline: Instant,
    ) -> Result<Written, Failure> {
        #[derive(Deserialize)]
        struct Acknowledged {
            seq: u64,
        }
        let value = serde_json::to_vec(stored).map_err(|error| Failure::Unreadable(error.into()))?;
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED_REVISION, revision.to_string());
        headers.insert(EXPECTED_STREAM, &*self.stream);
        let answer = link.request(&self.subject, Some(headers), value.into(), deadline).await?;
        match understand::<Acknowledged>(&answer.payload) {
            Ok(Acknowledged { seq }) => Ok(Written::Done { revision: seq }),
            Err(failure)
                if failure.is(ErrorCode::STREAM_WRONG_LAST_SEQUENCE)
                    || failure.is(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT) =>
            {
                Ok(Written::Conflict)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Understands a value.
    pub(crate) fn parse(
        &self,
        value: &[u8],
        place: &Place,
        operation: &'static str,
    ) -> Result<Stored, Error> {
        serde_json::from_slice(value).map_err(|error| {
            let (bucket, key) = (&self.bucket, &self.key);
            let delete = self.delete_command();
            let message = format!(
                "key `{key}` of bucket `{bucket}` holds no position; what wrote it? `{delete}` makes the group a new one"
            );
            place.error(ErrorKind::Corrupt, operation, message).with_source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_stable() {
        let unbound = Stored {
            stream_created: "2026-01-02T03:04:05.6Z".into(),
            sequence: 42,
            committed: true,
            time: None,
            application: None,
        };
        let bound = Stored { application: Some("shop \"1\"".into()), ..unbound.clone() };
        let marked = Stored { time: Some(1_752_230_923_000_000_001), ..unbound.clone() };
        for (stored, text) in [
            (
                marked,
                r#"{"stream_created":"2026-01-02T03:04:05.6Z","sequence":42,"committed":true,"time":1752230923000000001}"#,
            ),
            // Of versions that knew no time and no application, and of groups that none has claimed.
            (unbound, r#"{"stream_created":"2026-01-02T03:04:05.6Z","sequence":42,"committed":true}"#),
            (
                bound,
                r#"{"stream_created":"2026-01-02T03:04:05.6Z","sequence":42,"committed":true,"application":"shop \"1\""}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&stored).unwrap(), text);
            assert_eq!(serde_json::from_str::<Stored>(text).unwrap(), stored);
        }
    }

    #[test]
    fn a_foreign_value_is_corrupt_and_the_message_says_what_to_do() {
        let key = Key::new("backups_positions", "backups.search".into());
        let place = Place::new("backups").with_group("search");
        let error = key.parse(b"42", &place, "open the source").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains("nats kv del backups_positions backups.search"), "{error}");
    }
}
