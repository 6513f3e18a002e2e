//! The stream, as its leader describes it and as it holds messages.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Config, RawMessage};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::error::Failure;
use crate::link::Link;

/// How long is waited for the word that a stream is missing. With a stream, but without its leader, there may be no answer
/// at all until there is one, which takes seconds; and an error that has to be explained should not take so long.
const EXPLANATION: Duration = Duration::from_secs(1);

/// After which time without a word from a replica the leader's word is not enough. Replicas are heard once a second.
const REPLICA_SILENCE: Duration = Duration::from_secs(4);

/// What the server says of a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: Config,
    /// When it was created, in the server's words. Tells a stream from one of the same name that came before.
    pub(crate) created: String,
    pub(crate) state: StreamState,
    /// The JetStream domain that it is in; `None` where there are none.
    pub(crate) domain: Option<String>,
    cluster: Option<Cluster>,
}

#[derive(Debug, Deserialize)]
struct Cluster {
    /// All but the leader.
    #[serde(default)]
    replicas: Vec<Replica>,
}

#[derive(Debug, Deserialize)]
struct Replica {
    #[serde(default)]
    offline: bool,
    /// For how many nanoseconds the leader has not heard it.
    #[serde(default)]
    active: u64,
}

impl Replica {
    fn is_gone(&self) -> bool {
        self.offline || Duration::from_nanos(self.active) > REPLICA_SILENCE
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamState {
    first_seq: u64,
    pub(crate) last_seq: u64,
}

impl StreamInfo {
    pub(crate) async fn get(link: &Link, stream: &str, deadline: Instant) -> Result<Self, Failure> {
        let info: Self = link.ask(&format!("STREAM.INFO.{stream}"), Bytes::new(), deadline).await?;
        info.check_majority()?;
        Ok(info)
    }

    /// A leader goes on answering for up to 20 s after it has lost the other replicas. What is stored meanwhile is stored without it.
    pub(crate) fn check_majority(&self) -> Result<(), Failure> {
        let replicas = self.cluster.as_ref().map_or(&[][..], |cluster| &cluster.replicas);
        let gone = replicas.iter().filter(|replica| replica.is_gone()).count();
        if 2 * gone > replicas.len() {
            return Err(Failure::NoMajority { gone, replicas: replicas.len() + 1 });
        }
        Ok(())
    }

    /// Why nothing answered that belongs to this stream, if the server knows and says so soon: it is missing, or JetStream is
    /// off.
    pub(crate) async fn why_missing(link: &Link, stream: &str, deadline: Instant) -> Option<Failure> {
        let soon = deadline.min(Instant::now() + EXPLANATION);
        // Dropped at its time limit, which so is no reason to connect anew.
        match timeout_at(soon, Self::get(link, stream, deadline)).await {
            Ok(Err(failure @ (Failure::Refused(_) | Failure::NoJetStream(_)))) => Some(failure),
            Err(_) if !link.has_jetstream() => {
                Some(Failure::NoJetStream(link.api(&format!("STREAM.INFO.{stream}"))))
            }
            _ => None,
        }
    }

    /// The position before the first message that the stream still holds, or, when it holds none, before the next one.
    pub(crate) fn before_first(&self) -> u64 {
        self.state.first_seq.saturating_sub(1)
    }
}

/// A message, where it stands in the stream.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) sequence: u64,
    /// When the server stored it, in nanoseconds since 1970; `None` where that cannot be counted so.
    pub(crate) time: Option<i64>,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) payload: Bytes,
}

/// What of a stream is read.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) stream: String,
    /// The subjects.
    pub(crate) filter: String,
}

impl Log {
    pub(crate) async fn info(&self, link: &Link, deadline: Instant) -> Result<StreamInfo, Failure> {
        StreamInfo::get(link, &self.stream, deadline).await
    }

    /// The first message behind this sequence.
    pub(crate) async fn find(
        &self,
        link: &Link,
        behind: u64,
        deadline: Instant,
    ) -> Result<Option<Delivery>, Failure> {
        let question = json!({ "seq": behind + 1, "next_by_subj": self.filter });
        let Some(message) = get(link, &self.stream, &question, deadline).await? else { return Ok(None) };
        let (sequence, time) = (message.sequence, time_of(&message));
        let (headers, payload) = match StreamMessage::try_from(message.clone()) {
            Ok(message) => (Some(message.headers), message.payload),
            // Headers that cannot be parsed are none of ours.
            Err(_) => (None, payload(message)?),
        };
        Ok(Some(Delivery { sequence, time, headers, payload }))
    }

    /// When the message with this sequence was stored; `None` where there is none, any more.
    pub(crate) async fn time_of(
        &self,
        link: &Link,
        sequence: u64,
        deadline: Instant,
    ) -> Result<Option<i64>, Failure> {
        let message = get(link, &self.stream, &json!({ "seq": sequence }), deadline).await?;
        Ok(message.as_ref().and_then(time_of))
    }
}

fn time_of(message: &RawMessage) -> Option<i64> {
    i64::try_from(message.time.unix_timestamp_nanos()).ok()
}

fn payload(message: RawMessage) -> Result<Bytes, Failure> {
    let message = RawMessage { headers: None, ..message };
    StreamMessage::try_from(message).map(|message| message.payload).map_err(Failure::Unreadable)
}

/// Asks a stream's leader for a message. What a replica would answer may be older than what was confirmed.
pub(crate) async fn get(
    link: &Link,
    stream: &str,
    question: &serde_json::Value,
    deadline: Instant,
) -> Result<Option<RawMessage>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        message: RawMessage,
    }
    match link.ask::<Found>(&format!("STREAM.MSG.GET.{stream}"), question.to_string().into(), deadline).await
    {
        Ok(found) => Ok(Some(found.message)),
        Err(failure) if failure.is(ErrorCode::NO_MESSAGE_FOUND) => Ok(None),
        Err(failure) => Err(failure),
    }
}
