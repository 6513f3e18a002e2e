//! One consumer of the stream, from its creation to the first trouble.
//!
//! The consumer is ephemeral, acknowledges nothing, and is asked for a batch at a time. Everything that arrives waits in
//! the subscription, so that a dropped future loses nothing. On any trouble the reader is thrown away, and a new one
//! begins behind the last record that was returned.

use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tracing::debug;
use uuid::Uuid;

use crate::error::Failure;
use crate::link::{Link, Mark, api};
use crate::stream::{Delivery, Log};

/// How many messages are asked for at once. What was not returned waits in memory.
const BATCH: u64 = 256;
/// How many heartbeats a request lives without a message.
const HEARTBEATS: u32 = 6;
/// After how many heartbeats' time without a word the server counts as gone.
const SILENCE: f64 = 2.5;
/// How often a consumer that was just created is asked again when nothing answers: in a cluster, the word that it is there
/// may come later than the answer to its creation.
const PATIENCE: u32 = 8;
/// The wait before the first of these; each is as much longer.
const PAUSE: Duration = Duration::from_millis(10);
/// How long the server keeps a consumer that nobody asks for anything, besides the life of a request.
const INACTIVE: Duration = Duration::from_secs(60);

/// Why a reader is of no more use.
#[derive(Debug)]
pub(crate) enum End {
    /// The server let the consumer go: it was idle, or its server is no longer the one in charge. Another one will do.
    Gone,
    Failed(Failure),
}

#[derive(Debug)]
pub(crate) struct Reader {
    messages: Subscriber,
    consumer: String,
    inbox: String,
    /// The subject on which messages are asked for.
    ask: String,
    question: Bytes,
    /// The connection that knows the request.
    mark: Mark,
    heartbeat: Duration,
    /// How many messages the last request may still bring.
    outstanding: u64,
    /// When the server was last heard, or asked.
    heard: Instant,
    /// The consumer's own count of the last message.
    counted: u64,
    /// Whether the consumer has ever answered.
    answered: bool,
    /// How often nothing answered at all, and when to ask again.
    unanswered: u32,
    again: Option<Instant>,
}

impl Reader {
    /// Creates a consumer of the log, from this sequence on.
    pub(crate) async fn begin(
        link: &Link,
        Log { stream, filter }: &Log,
        from: u64,
        heartbeat: Duration,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        if !link.is_connected() {
            // As a request would answer, but before anything is queued.
            return Err(Failure::NotConnected(None));
        }
        let mark = link.mark();
        let consumer = format!("backup-tracker-{}", Uuid::new_v4().simple());
        let expires = heartbeat * HEARTBEATS;
        let inbox = link.client.new_inbox();
        let client = |error: async_nats::Error| Failure::Client(error);
        let messages = link.client.subscribe(inbox.clone()).await.map_err(|error| client(error.into()))?;
        let question = json!({
            "stream_name": stream,
            "config": {
                "name": consumer,
                "description": "backup-tracker reads",
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": from.max(1),
                "ack_policy": "none",
                "replay_policy": "instant",
                "filter_subject": filter,
                "inactive_threshold": nanoseconds(expires + INACTIVE),
                "mem_storage": true,
                "num_replicas": 1,
            },
        });
        let what = format!("CONSUMER.CREATE.{stream}.{consumer}.{filter}");
        let _created: Created = link.ask(&what, question.to_string().into(), deadline).await?;
        debug!(stream, consumer, from, "reading");
        let question = json!({
            "batch": BATCH,
            "expires": nanoseconds(expires),
            "idle_heartbeat": nanoseconds(heartbeat),
        });
        Ok(Self {
            messages,
            ask: api(&format!("CONSUMER.MSG.NEXT.{stream}.{consumer}")),
            consumer,
            inbox,
            question: question.to_string().into(),
            mark,
            heartbeat,
            outstanding: 0,
            heard: Instant::now(),
            counted: 0,
            answered: false,
            unanswered: 0,
            again: None,
        })
    }

    pub(crate) fn consumer(&self) -> &str {
        &self.consumer
    }

    /// The next message. Cancel safe. After an error the reader is of no more use.
    pub(crate) async fn next(&mut self, link: &Link) -> Result<Delivery, End> {
        loop {
            if self.outstanding == 0 {
                self.ask(link).await?;
            }
            let silent = self.heard + self.heartbeat.mul_f64(SILENCE);
            let message = tokio::select! {
                biased;
                message = self.messages.next() => message,
                failure = link.broken(self.mark, &self.ask) => return Err(End::Failed(failure)),
                () = sleep_until(silent) => {
                    return Err(End::Failed(Failure::TimedOut(self.heartbeat.mul_f64(SILENCE))));
                }
            };
            let message = message.ok_or(End::Failed(Failure::ConnectionLost))?;
            self.heard = Instant::now();
            let Some(place) = Place::of(&message) else {
                self.status(&message)?;
                continue;
            };
            self.answered = true;
            self.outstanding = self.outstanding.saturating_sub(1);
            if place.counted != self.counted + 1 {
                // Something was lost between the server and here.
                debug!(consumer = self.consumer, "a message is missing; reading anew");
                return Err(End::Gone);
            }
            self.counted = place.counted;
            let Message { headers, payload, .. } = message;
            return Ok(Delivery { sequence: place.sequence, headers, payload });
        }
    }

    async fn ask(&mut self, link: &Link) -> Result<(), End> {
        if !link.is_connected() {
            return Err(End::Failed(Failure::ConnectionLost));
        }
        if let Some(again) = self.again {
            sleep_until(again).await;
            self.again = None;
        }
        let client = &link.client;
        let asked =
            client.publish_with_reply(self.ask.clone(), self.inbox.clone(), self.question.clone()).await;
        asked.map_err(|error| End::Failed(Failure::Client(error.into())))?;
        self.outstanding = BATCH;
        self.heard = Instant::now();
        Ok(())
    }

    /// What the server says instead of a message.
    fn status(&mut self, message: &Message) -> Result<(), End> {
        let text = message.description.as_deref().unwrap_or("no description");
        match message.status {
            Some(StatusCode::IDLE_HEARTBEAT) => {}
            // The request has ended without all of its messages.
            Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => self.outstanding = 0,
            Some(StatusCode::REQUEST_TERMINATED) if text.eq_ignore_ascii_case("batch completed") => {
                self.outstanding = 0;
            }
            Some(StatusCode::NO_RESPONDERS) if !self.answered && self.unanswered < PATIENCE => {
                self.unanswered += 1;
                self.again = Some(Instant::now() + PAUSE * self.unanswered);
                self.outstanding = 0;
                return Ok(());
            }
            // The consumer is deleted, or another server is in charge now. One that never answered is no better than none.
            Some(StatusCode::REQUEST_TERMINATED | StatusCode::NO_RESPONDERS) => {
                debug!(consumer = self.consumer, text, "the consumer is gone");
                let failure = || End::Failed(Failure::NoResponders(self.ask.clone()));
                return Err(if self.answered { End::Gone } else { failure() });
            }
            Some(status) => {
                let error = format!("{status:?}: {text}").into();
                return Err(End::Failed(Failure::Unreadable(error)));
            }
            None => debug!(consumer = self.consumer, "neither a message nor a status; ignored"),
        }
        self.answered = true;
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
struct Created {
    #[serde(rename = "name")]
    _name: String,
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Where a message stands, as its reply subject tells.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    sequence: u64,
    counted: u64,
}

impl Place {
    fn of(message: &Message) -> Option<Self> {
        Self::parse(message.reply.as_ref()?.as_str())
    }

    /// `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<counted>.<time>.<pending>`, since NATS 2.12 with
    /// `<domain>.<account>` before the stream.
    fn parse(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let rest = if tokens.len() >= 9 { tokens.get(5..7)? } else { tokens.get(3..5)? };
        Some(Self { sequence: rest[0].parse().ok()?, counted: rest[1].parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_reply_tell_the_place() {
        let place = Some(Place { sequence: 42, counted: 7 });
        assert_eq!(Place::parse("$JS.ACK.backups.consumer.1.42.7.1752230923000000000.0"), place);
        let long = "$JS.ACK._.hash.backups.consumer.1.42.7.1752230923000000000.0";
        assert_eq!(Place::parse(long), place);
        assert_eq!(Place::parse(&format!("{long}.more")), place);
        assert_eq!(Place::parse("_INBOX.x"), None);
        assert_eq!(Place::parse("$JS.ACK.a.b"), None);
    }
}
