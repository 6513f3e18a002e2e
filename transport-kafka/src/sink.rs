//! The writing half.

use std::fmt;
use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind, Event, Result, Sink, WireFormat};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureRecord};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::admin;
use crate::blocking::{Deadline, on_a_thread};
use crate::config::{Kafka, KafkaSinkBuilder};
use crate::delivery::{not_sent, settled};
use crate::doubt::Doubt;
use crate::error::{KafkaErrors, OPEN_SINK as OPEN, SEND};
use crate::partition::partition_for;
use crate::producer::{self, Connected, Producer};
use crate::properties::Properties;
use crate::replace::Attempt;

/// What a batch of one record adds to key, value and headers at most: the batch's header, and the lengths within the record.
const BATCH_OVERHEAD: usize = 61 + 21;
/// What one header adds at most: two lengths.
const HEADER_OVERHEAD: usize = 10;

/// librdkafka's default of `message.max.bytes`.
const DEFAULT_MESSAGE_MAX_BYTES: usize = 1_000_000;

/// How much later than at the end of its time librdkafka may report about an event: it looks once a second.
const OVERDUE: Duration = Duration::from_secs(2);

/// Appends events to the topic. Made by [`KafkaSinkBuilder::open`].
///
/// The crate's documentation says what it guarantees.
pub struct KafkaSink {
    pub(crate) place: Place,
    kafka: Kafka,
    partitions: u32,
    limit: usize,
    /// The task that finds out what the topic takes, until it has.
    topic_limit: Option<JoinHandle<Option<usize>>>,
    pub(crate) send_timeout: Duration,
    /// `None` after it failed for good: the next send makes a new one.
    producer: Option<Producer>,
    /// Resolves when the producer before this one is gone.
    retired: Option<oneshot::Receiver<()>>,
    /// Whether the producer may be stuck.
    pub(crate) doubt: Doubt,
}

impl KafkaSink {
    pub(crate) async fn open(builder: &KafkaSinkBuilder, place: &Place, created: bool) -> Result<Self> {
        let kafka = &builder.kafka;
        let deadline = Deadline::after(kafka.open_timeout);
        // Not waited for: a broker that keeps its configuration to itself must not hold up the opening, and what is too
        // large for the client is known without it.
        let topic_limit = (!compresses(&kafka.properties)).then(|| {
            let (kafka, place) = (kafka.clone(), place.clone());
            tokio::spawn(async move { admin::max_message_bytes(&kafka, &place).await })
        });
        let (settings, send_timeout) = (kafka.clone(), builder.send_timeout);
        let connecting = on_a_thread(place, OPEN, move |place| {
            producer::connect(&settings, send_timeout, place, OPEN, deadline, created)
        });
        let connected = deadline.bound(place, OPEN, connecting).await.inspect_err(|_| {
            if let Some(task) = &topic_limit {
                task.abort();
            }
        })?;
        let limit = kafka
            .properties
            .get("message.max.bytes")
            .or_else(|| kafka.properties.get("max.message.bytes"))
            .and_then(|value| value.parse().ok())
            .unwrap_or(DEFAULT_MESSAGE_MAX_BYTES);
        Ok(Self {
            place: place.clone(),
            kafka: kafka.clone(),
            partitions: connected.partitions,
            limit,
            topic_limit,
            send_timeout,
            producer: Some(connected.producer),
            retired: None,
            doubt: Doubt::new(&kafka.properties),
        })
    }

    /// The partition to which events of this application go: fixed when the sink was opened, see the crate's documentation.
    #[must_use]
    pub fn partition_of(&self, application: &str) -> u32 {
        partition_for(application, self.partitions)
    }

    /// Lowers the limit to the topic's, once that is known.
    async fn learn_limit(&mut self) {
        if let Some(task) = self.topic_limit.take_if(|task| task.is_finished())
            && let Ok(Some(limit)) = task.await
        {
            self.limit = self.limit.min(limit);
        }
    }

    fn check_size(&self, event: &Event) -> Result<()> {
        let overhead = BATCH_OVERHEAD + HEADER_OVERHEAD * event.headers.len();
        let size = uuid::fmt::Hyphenated::LENGTH + event.size() + overhead;
        if size <= self.limit {
            return Ok(());
        }
        let whose = "`message.max.bytes` of the client, `max.message.bytes` of the topic";
        Err(self.place.too_large(size, self.limit, whose))
    }

    /// Makes a producer where there is none.
    async fn restore(&mut self, deadline: Deadline) -> Result<()> {
        if self.producer.is_none() {
            self.predecessor_is_gone(deadline.left()).await?;
            let connected = self.connect(deadline).await.map_err(not_sent)?;
            self.install(connected);
        }
        Ok(())
    }

    /// A new producer, with the credentials as they are now.
    pub(crate) async fn connect(&self, deadline: Deadline) -> Result<Connected> {
        let (kafka, send_timeout) = (self.kafka.clone(), self.send_timeout);
        let connecting = on_a_thread(&self.place, SEND, move |place| {
            producer::connect(&kafka, send_timeout, place, SEND, deadline, false)
        });
        deadline.bound(&self.place, SEND, connecting).await
    }

    pub(crate) fn install(&mut self, connected: Connected) {
        // Where partitions were added, the application stays where it is until the next start.
        self.partitions = self.partitions.min(connected.partitions);
        self.producer = Some(connected.producer);
        self.doubt.is_over();
    }

    /// Waits until nothing of the producer before can leave this machine any more. Two at once have an order only where the broker
    /// knows both for the same, and it does not (K2).
    pub(crate) async fn predecessor_is_gone(&mut self, within: Duration) -> Result<()> {
        if let Some(retired) = &mut self.retired {
            if timeout(within, retired).await.is_err() {
                let message = "the producer that failed before has not ended yet";
                return Err(not_sent(self.place.error(ErrorKind::Unavailable, SEND, message)));
            }
            self.retired = None;
        }
        Ok(())
    }

    /// Gives up a producer that librdkafka declared dead, and says why it is.
    fn retire_if_dead(&mut self) -> Option<rdkafka::error::RDKafkaErrorCode> {
        let (code, reason) = self.producer.as_ref()?.fatal_error()?;
        tracing::warn!(
            topic = %self.place.topic,
            ?code,
            "the producer failed for good ({reason}); the next send makes a new one"
        );
        self.retire();
        Some(code)
    }

    pub(crate) fn retire(&mut self) {
        self.retired = self.producer.take().and_then(Producer::end);
    }

    /// Gives the event to librdkafka.
    pub(crate) fn queue(&self, event: &Event) -> std::result::Result<DeliveryFuture, KafkaError> {
        let mut buffer = uuid::Uuid::encode_buffer();
        let key: &str = event.key.hyphenated().encode_lower(&mut buffer);
        let mut record = FutureRecord::to(&self.place.topic)
            // From a partition number that came from librdkafka as an `i32`.
            .partition(self.partition_of(&event.application) as i32)
            .key(key)
            .payload(&event.payload[..]);
        if !event.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(event.headers.len());
            record = record.headers(event.headers.iter().fold(headers, |headers, header| {
                headers.insert(Header { key: &header.name, value: Some(&header.value[..]) })
            }));
        }
        match self.producer.as_ref().and_then(Producer::client) {
            Some(client) => client.send_result(record).map_err(|(cause, _)| cause),
            None => Err(KafkaError::Canceled),
        }
    }

    pub(crate) fn unconfirmed(&self) -> Error {
        let message = "the broker has not confirmed the event in time";
        self.place.error(ErrorKind::Unavailable, SEND, message)
    }

    /// The error of a failed send, as it is told.
    fn explained(&mut self, error: Error) -> Error {
        // While the broker refuses this client, a send finds nobody to take it until its time is over.
        let denied = self.producer.as_ref().and_then(|producer| producer.context().denied());
        let error = match denied.filter(|_| error.is_transient() && error.cause().is_none()) {
            Some(refusal) => self.place.in_background(SEND, &refusal).with_delivery(error.delivery()),
            None => error,
        };
        // A dead producer answers with the bare word "fatal"; the reason behind it says whether it helps to try again.
        match self.retire_if_dead() {
            Some(code) => self.place.code(SEND, code).with_delivery(error.delivery()),
            None => error,
        }
    }
}

impl Sink for KafkaSink {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.learn_limit().await;
        self.check_size(event)?;
        // An earlier send whose future was dropped may have left a dead producer behind.
        self.retire_if_dead();
        let deadline = Deadline::after(self.send_timeout);
        self.restore(deadline).await?;
        let is_refused = self.producer.as_ref().is_some_and(|producer| producer.context().denied().is_some());
        let in_doubt = self.doubt.begins() || is_refused;
        let outcome = if in_doubt {
            self.send_in_doubt(event, self.attempt(event), deadline).await
        } else {
            let sending = settled(self.place.clone(), self.queue(event));
            // librdkafka keeps its time by itself, except for an event of a partition that is not there any more.
            let outcome = timeout(self.send_timeout + OVERDUE, sending).await;
            match outcome.unwrap_or_else(|_| Err(self.unconfirmed())) {
                // What librdkafka remembers of a topic need not be so any more.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Denied) => {
                    self.send_in_doubt(event, Attempt::Failed(error), deadline).await
                }
                outcome => outcome,
            }
        };
        match outcome {
            Ok(()) => {
                self.doubt.is_over();
                if let Some(producer) = &self.producer {
                    producer.context().is_let_in();
                }
                Ok(())
            }
            Err(error) => {
                let error = self.explained(error);
                self.doubt.failed(&error);
                Err(error)
            }
        }
    }

    fn wire_format(&self) -> WireFormat {
        WireFormat::BackupJson
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        if let Some(task) = self.topic_limit.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink")
            .field("topic", &self.place.topic)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// Whether the topic's limit, which is about what is written, says nothing about what is sent.
fn compresses(properties: &Properties) -> bool {
    ["compression.type", "compression.codec"]
        .iter()
        .any(|name| properties.get(name).is_some_and(|codec| codec != "none"))
}
