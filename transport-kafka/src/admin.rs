//! What is asked of the cluster and not of the log: does the topic exist, what does it take.

use std::collections::BTreeMap;

use backup_tracker::transport::Place;
use backup_tracker::{ErrorKind, Result};
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::blocking::{Deadline, PAUSE, SLICE, drop_elsewhere, on_a_thread};
use crate::config::Kafka;
use crate::context::Context;
use crate::error::{CREATE_TOPIC, KafkaErrors, code_of, kind_of};
use crate::properties::CreateTopic;

/// A partition and the broker that leads it.
pub(crate) struct Partition {
    pub(crate) id: i32,
    pub(crate) leader: i32,
}

/// The topic's partitions in order, as soon as the cluster can tell. A topic that was `created` just now may still be unknown to
/// some of its brokers.
pub(crate) fn partitions(
    client: &Client<impl ClientContext>,
    context: &Context,
    place: &Place,
    operation: &'static str,
    deadline: Deadline,
    created: bool,
    serve: impl Fn(),
) -> Result<Vec<Partition>> {
    loop {
        // In slices, because a refused identity shows in the background alone, and only when events are served.
        let slice = deadline.left().min(SLICE);
        let attempt = client.fetch_metadata(Some(&place.topic), slice);
        serve();
        if let Some(refusal) = context.denied() {
            return Err(place.in_background(operation, &refusal));
        }
        let cause = match attempt {
            Ok(metadata) => match metadata.topics().first() {
                Some(topic) => match topic.error() {
                    None => {
                        let mut found: Vec<Partition> = topic
                            .partitions()
                            .iter()
                            .map(|partition| Partition { id: partition.id(), leader: partition.leader() })
                            .collect();
                        found.sort_by_key(|partition| partition.id);
                        let led = found.iter().all(|partition| partition.leader >= 0);
                        if !found.is_empty() && led {
                            return Ok(found);
                        }
                        KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable)
                    }
                    Some(code) => KafkaError::MetadataFetch(code.into()),
                },
                None => KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition),
            },
            Err(cause) => cause,
        };
        let kind = code_of(&cause).map_or(ErrorKind::Internal, kind_of);
        let may_come = kind == ErrorKind::Unavailable || (created && kind == ErrorKind::NotFound);
        if !may_come || deadline.is_over() {
            return Err(match context.unreached() {
                Some(trouble) if kind == ErrorKind::Unavailable => place.in_background(operation, &trouble),
                _ => place.kafka(operation, cause),
            });
        }
        std::thread::sleep(PAUSE.min(deadline.left()));
    }
}

/// Creates the topic, unless somebody else has meanwhile.
pub(crate) async fn create_topic(kafka: &Kafka, create: &CreateTopic, place: &Place) -> Result<()> {
    const OPERATION: &str = CREATE_TOPIC;
    let admin = connect(kafka, place, OPERATION).await?;
    let replication = TopicReplication::Fixed(i32::from(create.replication));
    // Checked before: both fit.
    let partitions = i32::try_from(create.partitions).unwrap_or(i32::MAX);
    let mut topic = NewTopic::new(&place.topic, partitions, replication);
    for (name, value) in &create.config {
        topic = topic.set(name, value);
    }
    let options = AdminOptions::new()
        .request_timeout(Some(kafka.open_timeout))
        .operation_timeout(Some(kafka.open_timeout));
    let outcome = admin.create_topics([&topic], &options).await;
    drop_elsewhere(admin);
    let result = outcome.map_err(|cause| place.kafka(OPERATION, cause))?;
    match result.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | Some(Ok(_)) | None => Ok(()),
        Some(Err((_, code))) => Err(place.code(OPERATION, code)),
    }
}

/// The largest record batch that the topic takes, if this client may know.
pub(crate) async fn max_message_bytes(kafka: &Kafka, place: &Place) -> Option<usize> {
    let mut settings = match settings(kafka, place, &ResourceSpecifier::Topic(&place.topic)).await {
        Ok(settings) => settings,
        // Reading a topic's configuration needs a permission that sending does not.
        Err(error) => {
            tracing::debug!(%error, "the topic's size limit stays unknown");
            return None;
        }
    };
    settings.remove("max.message.bytes")?.parse().ok()
}

/// The settings of a topic or a broker, the defaults included. Those that hold a secret are left out.
pub(crate) async fn settings(
    kafka: &Kafka,
    place: &Place,
    of: &ResourceSpecifier<'_>,
) -> Result<BTreeMap<String, String>> {
    const OPERATION: &str = "read the settings";
    let admin = connect(kafka, place, OPERATION).await?;
    let options = AdminOptions::new().request_timeout(Some(kafka.open_timeout));
    let outcome = admin.describe_configs([of], &options).await;
    drop_elsewhere(admin);
    let result = outcome.map_err(|cause| place.kafka(OPERATION, cause))?;
    match result.into_iter().next() {
        Some(Ok(resource)) => Ok(resource
            .entries
            .into_iter()
            .filter(|entry| !entry.is_sensitive)
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect()),
        Some(Err(code)) => Err(place.code(OPERATION, code)),
        None => Err(place.error(ErrorKind::Corrupt, OPERATION, "the broker's answer is empty")),
    }
}

async fn connect(kafka: &Kafka, place: &Place, operation: &'static str) -> Result<AdminClient<Context>> {
    if kafka.tokens.is_some() {
        // The client library serves no client of this kind with them.
        let message =
            "this cannot be done with tokens of OAUTHBEARER; let another program do it, or sign in otherwise";
        return Err(place.error(ErrorKind::Config, operation, message));
    }
    let kafka = kafka.clone();
    on_a_thread(place, operation, move |place| {
        let config = kafka.client_config()?;
        config.create_with_context(Context::default()).map_err(|cause| place.kafka(operation, cause))
    })
    .await
}
