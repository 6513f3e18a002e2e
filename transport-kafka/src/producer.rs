//! A producer, from its settings to the first answer of the partitions' leaders.

use std::time::Duration;

use backup_tracker::Result;
use backup_tracker::transport::Place;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, Producer as _};
use tokio::sync::oneshot;

use crate::admin;
use crate::blocking::{Deadline, drop_elsewhere, drop_elsewhere_and_tell};
use crate::config::Kafka;
use crate::context::Context;
use crate::error::KafkaErrors;

/// How long to wait for the producer's id once the broker has answered. It takes about 500 ms; without it the first send would take
/// as long.
const PRODUCER_ID_TIMEOUT: Duration = Duration::from_secs(3);

type Client = FutureProducer<Context>;

/// A producer that has reached the topic, and how many partitions that has.
pub(crate) struct Connected {
    pub(crate) producer: Producer,
    pub(crate) partitions: u32,
}

/// librdkafka's producer, which ends where it holds up nobody.
pub(crate) struct Producer {
    /// `None` after the end alone.
    client: Option<Client>,
    context: Context,
}

impl Producer {
    pub(crate) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn fatal_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.client()?.client().fatal_error()
    }

    /// What is returned resolves, with an error, when nothing of the producer is left.
    pub(crate) fn end(mut self) -> Option<oneshot::Receiver<()>> {
        self.client.take().map(drop_elsewhere_and_tell)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop_elsewhere(client);
        }
    }
}

fn client_config(kafka: &Kafka, send_timeout: Duration) -> Result<ClientConfig> {
    let mut config = kafka.client_config_with(&[
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("linger.ms", "0"),
        ("message.timeout.ms", &send_timeout.as_millis().to_string()),
        ("message.send.max.retries", &retries(send_timeout).to_string()),
    ])?;
    // For the line that tells of the producer's id.
    let debug = config.get("debug").map_or_else(|| "eos".to_owned(), |debug| format!("{debug},eos"));
    config.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
    Ok(config)
}

/// After how many attempts an event fails with the broker's own answer (too few replicas, for example), and not with the word that
/// its time is over: as many as fit into half of that. librdkafka waits 100 ms before the second attempt, twice as long before each
/// further one, and a second at most.
fn retries(send_timeout: Duration) -> u128 {
    let millis = send_timeout.as_millis() / 2;
    let doubling = [100, 300, 700, 1500].iter().filter(|after| **after <= millis).count() as u128;
    (doubling + millis.saturating_sub(1500) / 1000).max(1)
}

/// Makes a producer with the settings and credentials of this moment, and waits until it could send: it has found the topic, its
/// leaders have answered, and it has its id. Blocks.
pub(crate) fn connect(
    kafka: &Kafka,
    send_timeout: Duration,
    place: &Place,
    operation: &'static str,
    deadline: Deadline,
    created: bool,
) -> Result<Connected> {
    let config = client_config(kafka, send_timeout)?;
    let context = Context::for_producer(!kafka.is_debugging()).with_tokens(kafka.tokens.clone());
    let producer: Client =
        config.create_with_context(context.clone()).map_err(|cause| place.kafka(operation, cause))?;
    let client = producer.client();
    let found = admin::partitions(client, &context, place, operation, deadline, created, || {})?;
    // librdkafka connects to a broker when it first has something for it; let that not be the first event.
    let mut leaders: Vec<i32> = Vec::new();
    for partition in &found {
        if !leaders.contains(&partition.leader) && !deadline.is_over() {
            leaders.push(partition.leader);
            let reached = client.fetch_watermarks(&place.topic, partition.id, deadline.left());
            if let Err(error) = reached {
                tracing::debug!(%error, leader = partition.leader, "a partition's leader did not answer yet");
            }
        }
    }
    if config.get("enable.idempotence") == Some("true") {
        let timeout = PRODUCER_ID_TIMEOUT.min(deadline.left());
        if !context.wait_for_producer_id(timeout) {
            if let Some(refusal) = context.denied() {
                return Err(place.in_background(operation, &refusal));
            }
            if let Some((code, _)) = client.fatal_error() {
                return Err(place.code(operation, code));
            }
            tracing::debug!(topic = %place.topic, "the producer has no id yet; the first send waits for it");
        }
    }
    // librdkafka counts partitions in an `i32`, and there is at least one.
    let partitions = u32::try_from(found.len()).unwrap_or(1);
    Ok(Connected { producer: Producer { client: Some(producer), context }, partitions })
}
