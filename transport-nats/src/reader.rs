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

use crate::contact::{Contact, Due};
use crate::error::Failure;
use crate::link::{Link, Mark, understand};
use crate::stream::{Delivery, Log, StreamInfo};

/// How many messages are asked for at once. What was not returned waits in memory.
const BATCH: u64 = 256;
/// How many contact times a request lives without a message.
const CONTACT_TIMES: u32 = 2;
/// How often a consumer that was just created is asked again when nothing answers: in a cluster, the word that it is there
/// may come later than the answer to its creation.
const PATIENCE: u32 = 8;
/// The wait before the first of these; each is as much longer.
const PAUSE: Duration = Duration::from_millis(10);
/// How long the server keeps a consumer that nobody asks for anything, besides the life of a request.
const INACTIVE: Duration = Duration::from_secs(60);

/// A consumer that ends sooner, without a message, is not replaced at once: that would go on forever.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// Why a reader is of no more use.
#[derive(Debug)]
pub(crate) enum End {
    /// The server let the consumer go: it was idle, or its server is no longer the one in charge. Another one will do.
    Gone,
    /// The server let the consumer go before it brought anything, so that another one may fare no better.
    Useless(String),
    Failed(Failure),
}

/// What came.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Delivery),
    /// What the stream's leader says of itself while nothing comes.
    Leader(Box<StreamInfo>),
}

/// How a consumer is to be.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) log: &'a Log,
    /// The first sequence.
    pub(crate) from: u64,
    pub(crate) contact_time: Duration,
    /// How long the stream lets its consumers be idle at most; `None` without a limit.
    pub(crate) longest_idle: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Reader {
    messages: Subscriber,
    consumer: String,
    /// Where the consumer answers, and where the stream's leader does.
    inbox: String,
    leaders_inbox: String,
    /// The subject on which messages are asked for.
    ask: String,
    question: Bytes,
    /// How many messages that asks for.
    batch: u64,
    /// The subject on which the leader is asked.
    ask_leader: String,
    /// The connection that knows the request.
    mark: Mark,
    contact: Contact,
    begun: Instant,
    /// How many messages the last request may still bring.
    outstanding: u64,
    /// The consumer's own count of the last message.
    counted: u64,
    /// Whether the consumer has ever answered.
    answered: bool,
    /// How often nothing answered at all, and when to ask again.
    unanswered: u32,
    again: Option<Instant>,
}

impl Reader {
    /// Creates a consumer.
    pub(crate) async fn begin(link: &Link, wanted: Wanted<'_>, deadline: Instant) -> Result<Self, Failure> {
        let Wanted { log: Log { stream, filter }, from, contact_time, longest_idle } = wanted;
        // Before the connection's mark is taken, which it changes.
        link.renew_inbox(deadline).await;
        if !link.is_connected() {
            // As a request would answer, but before anything is queued.
            return Err(link.not_connected());
        }
        let mark = link.mark();
        let consumer = format!("backup-tracker-{}", Uuid::new_v4().simple());
        let expires = contact_time * CONTACT_TIMES;
        let idle = (expires + INACTIVE).min(longest_idle.unwrap_or(Duration::MAX));
        let inbox = link.client.new_inbox();
        let client = |error: async_nats::Error| Failure::Client(error);
        let messages =
            link.client.subscribe(format!("{inbox}.*")).await.map_err(|error| client(error.into()))?;
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
                "inactive_threshold": nanoseconds(idle),
                "mem_storage": true,
                "num_replicas": 1,
            },
        });
        let what = format!("CONSUMER.CREATE.{stream}.{consumer}.{filter}");
        let created: Created = link.ask(&what, question.to_string().into(), deadline).await?;
        // The account, the server or the stream may allow less at once.
        let limit = u64::try_from(created.config.max_batch).ok().filter(|limit| *limit > 0);
        let batch = BATCH.min(limit.unwrap_or(BATCH));
        debug!(stream, consumer, from, batch, "reading");
        let question = json!({
            "batch": batch,
            "expires": nanoseconds(expires),
            "idle_heartbeat": nanoseconds(Contact::heartbeat(contact_time)),
        });
        Ok(Self {
            messages,
            ask: link.api(&format!("CONSUMER.MSG.NEXT.{stream}.{consumer}")),
            ask_leader: link.api(&format!("STREAM.INFO.{stream}")),
            consumer,
            leaders_inbox: format!("{inbox}.leader"),
            inbox: format!("{inbox}.consumer"),
            question: question.to_string().into(),
            batch,
            mark,
            contact: Contact::new(contact_time),
            begun: Instant::now(),
            outstanding: 0,
            counted: 0,
            answered: false,
            unanswered: 0,
            again: None,
        })
    }

    pub(crate) fn consumer(&self) -> &str {
        &self.consumer
    }

    /// What comes next. Cancel safe. After an error the reader is of no more use.
    pub(crate) async fn next(&mut self, link: &Link) -> Result<Heard, End> {
        loop {
            if self.outstanding == 0 {
                self.ask(link).await?;
            }
            let message = tokio::select! {
                biased;
                message = self.messages.next() => message,
                failure = link.broken(self.mark, &self.ask) => return Err(End::Failed(failure)),
                () = sleep_until(self.contact.limit()) => {
                    match self.contact.due() {
                        Due::AskTheLeader => self.ask_leader(link).await?,
                        Due::Gone(silence) => return Err(End::Failed(Failure::TimedOut(silence))),
                    }
                    continue;
                }
            };
            let message = message.ok_or(End::Failed(Failure::ConnectionLost))?;
            if message.subject.as_str() == self.leaders_inbox {
                return self.leader(&message).map(Heard::Leader).map_err(End::Failed);
            }
            self.contact.consumer_heard();
            let Some(place) = Place::of(&message) else {
                self.status(&message)?;
                continue;
            };
            self.contact.leader_heard();
            self.answered = true;
            self.outstanding = self.outstanding.saturating_sub(1);
            if place.counted != self.counted + 1 {
                // Something was lost between the server and here.
                debug!(consumer = self.consumer, "a message is missing; reading anew");
                return Err(End::Gone);
            }
            self.counted = place.counted;
            let Message { headers, payload, .. } = message;
            let Place { sequence, time, .. } = place;
            return Ok(Heard::Message(Delivery { sequence, time: Some(time), headers, payload }));
        }
    }

    fn leader(&mut self, answer: &Message) -> Result<Box<StreamInfo>, Failure> {
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(Failure::NoJetStream(self.ask_leader.clone()));
        }
        let info: StreamInfo = understand(&answer.payload)?;
        info.check_majority()?;
        self.contact.leader_heard();
        Ok(Box::new(info))
    }

    async fn ask_leader(&mut self, link: &Link) -> Result<(), End> {
        let (subject, inbox) = (self.ask_leader.clone(), self.leaders_inbox.clone());
        let asked = link.client.publish_with_reply(subject, inbox, Bytes::new()).await;
        asked.map_err(|error| End::Failed(Failure::Client(error.into())))?;
        self.contact.leader_asked();
        Ok(())
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
        self.outstanding = self.batch;
        self.contact.consumer_heard();
        Ok(())
    }

    /// Another consumer will do, unless this one ended as soon as it was there.
    fn gone(&self, text: &str) -> End {
        debug!(consumer = self.consumer, text, "the consumer is gone");
        if self.counted > 0 || self.begun.elapsed() > SHORT_LIFE {
            End::Gone
        } else {
            End::Useless(text.to_owned())
        }
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
            // A limit that is below ours, and that a new consumer would meet again.
            Some(StatusCode::REQUEST_TERMINATED) if text.to_ascii_lowercase().starts_with("exceeded") => {
                return Err(End::Useless(text.to_owned()));
            }
            // The consumer is deleted, or another server is in charge now. One that never answered is no better than none.
            Some(StatusCode::REQUEST_TERMINATED | StatusCode::NO_RESPONDERS) => {
                let failure = || End::Failed(Failure::NoResponders(self.ask.clone()));
                return Err(if self.answered { self.gone(text) } else { failure() });
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
    config: Limits,
}

/// What the server made of the consumer's settings.
#[derive(Debug, Deserialize)]
struct Limits {
    /// How many messages a request may ask for; 0 without a limit.
    #[serde(default)]
    max_batch: i64,
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Where a message stands, as its reply subject tells.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    sequence: u64,
    counted: u64,
    /// When the message was stored, in nanoseconds since 1970.
    time: i64,
}

impl Place {
    fn of(message: &Message) -> Option<Self> {
        Self::parse(message.reply.as_ref()?.as_str())
    }

    /// `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<counted>.<time>.<pending>`, since NATS 2.12 with
    /// `<domain>.<account>` before the stream.
    fn parse(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let rest = if tokens.len() >= 9 { tokens.get(5..8)? } else { tokens.get(3..6)? };
        let (sequence, counted, time) = (rest[0].parse().ok()?, rest[1].parse().ok()?, rest[2].parse().ok()?);
        Some(Self { sequence, counted, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_reply_tell_the_place() {
        let place = Some(Place { sequence: 42, counted: 7, time: 1_752_230_923_000_000_000 });
        assert_eq!(Place::parse("$JS.ACK.backups.consumer.1.42.7.1752230923000000000.0"), place);
        let long = "$JS.ACK._.hash.backups.consumer.1.42.7.1752230923000000000.0";
        assert_eq!(Place::parse(long), place);
        assert_eq!(Place::parse(&format!("{long}.more")), place);
        assert_eq!(Place::parse("_INBOX.x"), None);
        assert_eq!(Place::parse("$JS.ACK.a.b"), None);
    }
}
