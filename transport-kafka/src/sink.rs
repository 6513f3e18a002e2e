//! The writing half.

use std::fmt;
use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::{Delivery, ErrorKind, Event, Result, Sink, WireFormat};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::admin;
use crate::blocking::{Deadline, drop_elsewhere, drop_elsewhere_and_tell, on_a_thread};
use crate::config::{Kafka, KafkaSinkBuilder};
use crate::context::Context;
use crate::error::{KafkaErrors, OPEN_SINK as OPEN, SEND, delivery_of};
use crate::partition::partition_for;

/// How long opening waits for the producer's id once the broker has answered. It takes about 500 ms; without it the first
/// send would take as long.
const PRODUCER_ID_TIMEOUT: Duration = Duration::from_secs(3);

/// What a batch of one record adds to key, value and headers at most: the batch's header, and the lengths within the record.
const BATCH_OVERHEAD: usize = 61 + 21;
/// What one header adds at most: two lengths.
const HEADER_OVERHEAD: usize = 10;

/// librdkafka's default of `message.max.bytes`.
const DEFAULT_MESSAGE_MAX_BYTES: usize = 1_000_000;

type Client = FutureProducer<Context>;

/// Appends events to the topic. Made by [`KafkaSinkBuilder::open`].
///
/// The crate's documentation says what it guarantees.
pub struct KafkaSink {
    place: Place,
    config: ClientConfig,
    hide_eos: bool,
    partitions: u32,
    limit: usize,
    /// The task that finds out what the topic takes, until it has.
    topic_limit: Option<JoinHandle<Option<usize>>>,
    send_timeout: Duration,
    // `None` after a fatal error of the producer: the next send makes a new one.
    producer: Option<Client>,
    /// Resolves when the producer before this one is gone.
    retired: Option<oneshot::Receiver<()>>,
    /// The producer's.
    context: Context,
}

impl KafkaSink {
    pub(crate) async fn open(builder: &KafkaSinkBuilder, place: &Place, created: bool) -> Result<Self> {
        let kafka = &builder.kafka;
        let hide_eos = !kafka.is_debugging();
        let config = client_config(kafka, builder.send_timeout);
        let deadline = Deadline::after(kafka.open_timeout);
        // Not waited for: a broker that keeps its configuration to itself must not hold up the opening, and what is too
        // large for the client is known without it.
        let topic_limit = (!compresses(&config)).then(|| {
            let (kafka, place) = (kafka.clone(), place.clone());
            tokio::spawn(async move { admin::max_message_bytes(&kafka, &place).await })
        });
        let client_config = config.clone();
        let connecting = on_a_thread(place, OPEN, move |place| {
            connect(&client_config, hide_eos, place, deadline, created)
        });
        let (producer, context, partitions) =
            deadline.bound(place, OPEN, connecting).await.inspect_err(|_| {
                if let Some(task) = &topic_limit {
                    task.abort();
                }
            })?;
        let limit = config
            .get("message.max.bytes")
            .or_else(|| config.get("max.message.bytes"))
            .and_then(|value| value.parse().ok())
            .unwrap_or(DEFAULT_MESSAGE_MAX_BYTES);
        Ok(Self {
            place: place.clone(),
            config,
            hide_eos,
            partitions,
            limit,
            topic_limit,
            send_timeout: builder.send_timeout,
            producer: Some(producer),
            retired: None,
            context,
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

    /// The producer, or a new one after a fatal error.
    async fn producer(&mut self) -> Result<&Client> {
        if self.producer.is_none() {
            // Two at once have an order only where the broker knows both for the same, and it does not (K2).
            if let Some(retired) = &mut self.retired {
                if timeout(self.send_timeout, retired).await.is_err() {
                    let message = "the producer that failed before has not ended yet";
                    return Err(not_sent(self.place.error(ErrorKind::Unavailable, SEND, message)));
                }
                self.retired = None;
            }
            let (config, hide_eos) = (self.config.clone(), self.hide_eos);
            self.context = Context::for_producer(hide_eos);
            let context = self.context.clone();
            let made = on_a_thread(&self.place, SEND, move |place| create(&config, context, place, SEND));
            // Nothing was sent, whatever is wrong.
            let made = made.await.map_err(not_sent)?;
            self.producer = Some(made);
        }
        self.producer
            .as_ref()
            .ok_or_else(|| not_sent(self.place.error(ErrorKind::Internal, SEND, "there is no producer")))
    }

    /// Gives up a producer that librdkafka declared dead, and says why it is.
    fn retire_if_dead(&mut self) -> Option<rdkafka::error::RDKafkaErrorCode> {
        let (code, reason) = self.producer.as_ref()?.client().fatal_error()?;
        tracing::warn!(
            topic = %self.place.topic,
            ?code,
            "the producer failed for good ({reason}); the next send makes a new one"
        );
        self.retired = self.producer.take().map(drop_elsewhere_and_tell);
        Some(code)
    }
}

impl Sink for KafkaSink {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.learn_limit().await;
        self.check_size(event)?;
        // An earlier send whose future was dropped may have left a dead producer behind.
        self.retire_if_dead();
        let partition = self.partition_of(&event.application);
        let place = self.place.clone();
        let mut buffer = uuid::Uuid::encode_buffer();
        let key: &str = event.key.hyphenated().encode_lower(&mut buffer);
        let mut record = FutureRecord::to(&place.topic)
            // From a partition number that came from librdkafka as an `i32`.
            .partition(partition as i32)
            .key(key)
            .payload(&event.payload[..]);
        if !event.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(event.headers.len());
            record = record.headers(event.headers.iter().fold(headers, |headers, header| {
                headers.insert(Header { key: &header.name, value: Some(&header.value[..]) })
            }));
        }
        let queued = self.producer().await?.send_result(record);
        let error = match queued {
            Ok(report) => match report.await {
                Ok(Ok(_)) => {
                    self.context.is_let_in();
                    return Ok(());
                }
                Ok(Err((cause, _))) => {
                    let delivery = crate::error::code_of(&cause).map_or(Delivery::Unknown, delivery_of);
                    place.kafka(SEND, cause).with_delivery(delivery)
                }
                Err(cause) => {
                    place.error(ErrorKind::Internal, SEND, "the producer is gone").with_source(cause)
                }
            },
            // It never entered the queue, whatever the reason.
            Err((cause, _)) => not_sent(place.kafka(SEND, cause)),
        };
        // While the broker refuses this client, a send finds nobody to take it until its time is over.
        let error = match self.context.denied().filter(|_| error.is_transient()) {
            Some(refusal) => place.in_background(SEND, &refusal).with_delivery(error.delivery()),
            None => error,
        };
        // A dead producer answers with the bare word "fatal"; the reason behind it says whether it helps to try again.
        match self.retire_if_dead() {
            Some(code) => Err(place.code(SEND, code).with_delivery(error.delivery())),
            None => Err(error),
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
        if let Some(producer) = self.producer.take() {
            drop_elsewhere(producer);
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

fn not_sent(error: backup_tracker::Error) -> backup_tracker::Error {
    error.with_delivery(Delivery::NotSent)
}

fn client_config(kafka: &Kafka, send_timeout: Duration) -> ClientConfig {
    let mut config = kafka.client_config();
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("message.timeout.ms", send_timeout.as_millis().to_string())
        // For the line that tells of the producer's id.
        .set("debug", "eos");
    config.set_log_level(RDKafkaLogLevel::Debug);
    kafka.properties.apply(&mut config);
    if let Some(debug) = kafka.properties.get("debug") {
        config.set("debug", format!("{debug},eos"));
    }
    config
}

fn create(config: &ClientConfig, context: Context, place: &Place, operation: &'static str) -> Result<Client> {
    config.create_with_context(context).map_err(|cause| place.kafka(operation, cause))
}

fn connect(
    config: &ClientConfig,
    hide_eos: bool,
    place: &Place,
    deadline: Deadline,
    created: bool,
) -> Result<(Client, Context, u32)> {
    let context = Context::for_producer(hide_eos);
    let producer = create(config, context.clone(), place, OPEN)?;
    let client = producer.client();
    let found = admin::partitions(client, &context, place, OPEN, deadline, created, || {})?;
    // librdkafka connects to a broker when it first has something for it; let that not be the first event.
    let mut leaders: Vec<i32> = Vec::new();
    for partition in &found {
        if !leaders.contains(&partition.leader) && !deadline.is_over() {
            leaders.push(partition.leader);
            let reached = client.fetch_watermarks(&place.topic, partition.id, deadline.left());
            if let Err(error) = reached {
                tracing::debug!(%error, leader = partition.leader, "a partition's leader did not answer at opening");
            }
        }
    }
    if config.get("enable.idempotence") == Some("true") {
        let timeout = PRODUCER_ID_TIMEOUT.min(deadline.left());
        if !context.wait_for_producer_id(timeout) {
            if let Some(refusal) = context.denied() {
                return Err(place.in_background(OPEN, &refusal));
            }
            if let Some((code, _)) = client.fatal_error() {
                return Err(place.code(OPEN, code));
            }
            tracing::debug!(topic = %place.topic, "the producer has no id yet; the first send waits for it");
        }
    }
    // librdkafka counts partitions in an `i32`, and there is at least one.
    let partitions = u32::try_from(found.len()).unwrap_or(1);
    Ok((producer, context, partitions))
}

/// Whether the topic's limit, which is about what is written, says nothing about what is sent.
fn compresses(config: &ClientConfig) -> bool {
    ["compression.type", "compression.codec"]
        .iter()
        .any(|name| config.get(name).is_some_and(|codec| codec != "none"))
}
