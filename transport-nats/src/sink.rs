//! The writing half.

use std::fmt;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use backup_tracker::transport::Place;
use backup_tracker::{Delivery, Error, ErrorKind, Event, Result, Sink};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::debug;

use crate::builder::NatsSinkBuilder;
use crate::error::{Failure, NatsErrors};
use crate::headers;
use crate::link::{Link, understand};
use crate::opening::Opening;
use crate::stream::StreamInfo;
use crate::subject::{MAX_SUBJECT_BYTES, token_of};

const OPEN: &str = "open the sink";
const SEND: &str = "send";

/// Publishes to the topic's stream. Made by [`NatsSinkBuilder::open`].
///
/// The crate's documentation says what it guarantees.
pub struct NatsSink {
    place: Place,
    link: Link,
    stream: String,
    /// The JetStream domain that it is in.
    domain: Option<String>,
    /// The stream's own limit of a message's size, headers included.
    max_message_bytes: usize,
    send_timeout: Duration,
    /// An event that may yet arrive: its send was dropped, or ended without an answer.
    unsettled: Option<Event>,
}

impl NatsSink {
    pub(crate) async fn open(builder: NatsSinkBuilder) -> Result<Self> {
        let NatsSinkBuilder { nats, send_timeout } = builder;
        let place = Place::new(&*nats.topic);
        let stream = nats.stream_name();
        let deadline = nats.deadline();
        let link = nats.link(&place, OPEN, deadline).await?;
        let create = nats.create.as_ref();
        let opening = Opening { link: &link, place: &place, operation: OPEN, create, deadline };
        let info = opening.stream(&stream, &nats.every_application()).await?;
        let limit = usize::try_from(info.config.max_message_size).ok().filter(|limit| *limit > 0);
        let max_message_bytes = limit.unwrap_or(usize::MAX);
        let domain = info.domain;
        Ok(Self { place, link, stream, domain, max_message_bytes, send_timeout, unsettled: None })
    }

    /// Subject and headers of an event that is not too large (K4).
    fn prepare(&self, event: &Event) -> Result<(String, HeaderMap)> {
        let subject = format!("{}.{}", self.place.topic, token_of(&event.application));
        if subject.len() > MAX_SUBJECT_BYTES {
            let message = format!(
                "topic and application make a subject of {} bytes, and {MAX_SUBJECT_BYTES} are possible",
                subject.len()
            );
            return Err(self.place.rejected(message));
        }
        let headers = headers::of_event(event, &self.stream);
        let size = event.payload.len() + headers::size(&headers);
        let limit = self.link.client.max_payload().min(self.max_message_bytes);
        if size > limit {
            let whose = "`max_payload` of the server, `max_msg_size` of the stream";
            return Err(self.place.too_large(size, limit, whose));
        }
        Ok((subject, headers))
    }

    /// Publishes an event and waits until it is stored. What it leaves unsettled when it fails, or is dropped, is noted.
    async fn publish(&mut self, event: &Event, deadline: Instant) -> Result<(), Failure> {
        let (subject, headers) = match self.prepare(event) {
            Ok(prepared) => prepared,
            Err(error) => return Err(Failure::Client(error.into())),
        };
        // A sink that was just made would have a connection as soon as there can be one (K6).
        self.link.connected(deadline).await;
        // As long as nobody knows: this send may be dropped at the next await.
        self.unsettled = Some(event.clone());
        let answer = self.link.request(&subject, Some(headers), event.payload.clone(), deadline).await;
        let answer = answer.and_then(|answer| understand::<Acknowledged>(&answer.payload));
        match answer.and_then(|acknowledged| self.check(acknowledged)) {
            Ok(Acknowledged { seq, duplicate, .. }) => {
                debug!(key = %event.key, seq, duplicate, "stored");
                self.unsettled = None;
                Ok(())
            }
            Err(failure) => {
                if failure.delivery() == Delivery::NotSent {
                    self.unsettled = None;
                }
                Err(failure)
            }
        }
    }

    /// Whether it is our stream that has stored the event. Where hub and leaf node each have one of the same name, another may
    /// have, from which nobody reads.
    fn check(&self, acknowledged: Acknowledged) -> Result<Acknowledged, Failure> {
        if acknowledged.stream == self.stream && acknowledged.domain == self.domain {
            return Ok(acknowledged);
        }
        let ours = named(&self.stream, self.domain.as_deref());
        let other = named(&acknowledged.stream, acknowledged.domain.as_deref());
        Err(Failure::Elsewhere(format!(
            "{other} has stored the event, and not {ours}; let only one stream capture the topic, or name it, with its domain"
        )))
    }

    /// Makes sure that an earlier event without an answer is either in the log or will never be, before a later one is
    /// sent (K2). Its first copy may still be on its way, on a connection that is dead to us: sent again with the same id,
    /// whichever copy comes second is dropped by the server.
    async fn settle(&mut self, next: &Event, deadline: Instant) -> Result<()> {
        let Some(earlier) = self.unsettled.take_if(|earlier| earlier.key != next.key) else { return Ok(()) };
        if self.prepare(&earlier).is_err() {
            // The server's limits have changed, so that neither copy is taken any more.
            return Ok(());
        }
        debug!(key = %earlier.key, "settling an earlier send");
        match self.publish(&earlier, deadline).await {
            Ok(()) => Ok(()),
            Err(failure) => {
                let delivery = failure.delivery();
                // One of the two copies may be certain not to arrive; the other is not.
                self.unsettled = Some(earlier);
                if delivery == Delivery::NotSent && !failure.is_transient() {
                    // Refused for good, and so is the other copy.
                    self.unsettled = None;
                    return Ok(());
                }
                Err(self.place.failure(SEND, failure).with_delivery(Delivery::NotSent))
            }
        }
    }

    async fn explain(&self, failure: Failure, deadline: Instant) -> Error {
        let delivery = failure.delivery();
        // No stream, or a stream without a leader: that makes a difference to who could repair it.
        let why = match failure {
            Failure::NoResponders(_) => StreamInfo::why_missing(&self.link, &self.stream, deadline).await,
            _ => None,
        };
        let error = match why {
            Some(why) if why.is(ErrorCode::STREAM_NOT_FOUND) => {
                let message = format!("there is no stream `{}` any more", self.stream);
                self.place.error(ErrorKind::NotFound, SEND, message)
            }
            why => self.place.failure(SEND, why.unwrap_or(failure)),
        };
        error.with_delivery(delivery)
    }
}

/// The server's word that an event is stored.
#[derive(Deserialize)]
struct Acknowledged {
    stream: String,
    #[serde(default)]
    domain: Option<String>,
    seq: u64,
    #[serde(default)]
    duplicate: bool,
}

fn named(stream: &str, domain: Option<&str>) -> String {
    match domain {
        Some(domain) => format!("stream `{stream}` of domain `{domain}`"),
        None => format!("stream `{stream}`"),
    }
}

impl Sink for NatsSink {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.prepare(event)?;
        let deadline = Instant::now() + self.send_timeout;
        self.settle(event, deadline).await?;
        // An earlier attempt of the same event decides, too, what is known of it.
        let again = self.unsettled.is_some();
        let Err(failure) = self.publish(event, deadline).await else { return Ok(()) };
        if again {
            self.unsettled = Some(event.clone());
        }
        let error = self.explain(failure, deadline).await;
        Err(if again { error.with_delivery(Delivery::Unknown) } else { error })
    }
}

impl fmt::Debug for NatsSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSink")
            .field("topic", &self.place.topic)
            .field("stream", &self.stream)
            .field("connected", &self.link.is_connected())
            .finish_non_exhaustive()
    }
}
