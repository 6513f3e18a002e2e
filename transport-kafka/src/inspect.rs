//! A look at cluster, topic and group that writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use backup_tracker::transport::{Place, not_blank};
use backup_tracker::{Error, ErrorKind, Result};
use rdkafka::admin::ResourceSpecifier;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use crate::admin;
use crate::blocking::{Deadline, PAUSE, SLICE, drop_elsewhere, on_a_thread};
use crate::config::{Kafka, NO_GROUP};
use crate::context::Context;
use crate::error::{KafkaErrors, code_of, kind_of};
use crate::positions::{self, Client, as_ours};

const OPERATION: &str = "inspect";

/// What [`Kafka::inspect`] found. What could not be found out is an error of its own, and does not hide the rest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The cluster's brokers.
    pub brokers: Result<Vec<Broker>>,
    /// The topic's partitions, by number.
    pub partitions: Result<Vec<Partition>>,
    /// The topic's settings, the defaults included (`retention.ms`, `cleanup.policy`, …).
    pub settings: Result<BTreeMap<String, String>>,
    /// The settings of one broker (`offsets.retention.minutes`, …), without those that hold a secret.
    pub broker_settings: Result<BTreeMap<String, String>>,
    /// Each partition's first offset, and the one behind its last.
    pub bounds: Result<Vec<(i64, i64)>>,
    /// Whether an idempotent producer can be had, which takes a permission on clusters before Kafka 2.8. Whether it may write
    /// to the topic is told by writing alone.
    pub producer: Result<()>,
    /// The group, if one was asked about.
    pub group: Option<GroupInspection>,
}

/// A broker of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Where it says that it can be reached, `host:port`.
    pub address: String,
}

/// A partition of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// Its number.
    pub id: i32,
    /// The broker that leads it; `None` while there is none.
    pub leader: Option<i32>,
    /// On how many brokers it is kept.
    pub replicas: usize,
    /// How many of those have all of it.
    pub in_sync: usize,
}

/// What the cluster knows of a group.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupInspection {
    /// The group's offset in each partition; `None` where none is stored.
    pub offsets: Result<Vec<Option<GroupOffset>>>,
    /// The application to which the position is bound ([`claim`](backup_tracker::EventSource::claim)), as it is noted there: of a
    /// name of more than 255 bytes the beginning and a digest. `None` where nobody has claimed it, or the offsets are not known.
    pub application: Option<String>,
    /// How many members have joined the group. There must be none. [`Config`](ErrorKind::Config) for a group of Kafka's newer
    /// protocol (`group.protocol=consumer`): another program subscribes with it, and librdkafka does not tell its members.
    pub members: Result<usize>,
}

/// A stored offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupOffset {
    /// The offset of the next event.
    pub offset: i64,
    /// Whether it is where a new group was told to begin, and nobody has committed yet.
    pub is_start: bool,
}

/// What one client can tell.
struct Seen {
    brokers: Result<Vec<Broker>>,
    partitions: Result<Vec<Partition>>,
    bounds: Result<Vec<(i64, i64)>>,
    group: Option<GroupInspection>,
}

impl Kafka {
    /// Looks at the cluster, the topic, and the group if one is named, for a program that judges whether all is set up well.
    ///
    /// It creates no topic, whatever [`create_topic`](Self::create_topic) says, stores no offset and sends no event. Each
    /// question may take [`open_timeout`](Self::open_timeout); when no broker can be reached, only the first is asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up; what was connected is disconnected in the background.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) when a setting is wrong. All else is in the [`Inspection`].
    pub async fn inspect(&self, group: Option<&str>) -> Result<Inspection> {
        let kafka = Self { create: None, ..self.clone() };
        kafka.check()?;
        let mut place = Place::new(&*kafka.topic);
        if let Some(group) = group {
            not_blank("group", group)?;
            place = place.with_group(group);
        }
        let looking = {
            let kafka = kafka.clone();
            on_a_thread(&place, OPERATION, move |place| look(&kafka, place))
        };
        let Seen { brokers, partitions, bounds, group } = looking.await?;
        let topic = ResourceSpecifier::Topic(&place.topic);
        let (settings, broker_settings, producer) = match (&brokers, &partitions) {
            (Err(error), _) => (Err(error.clone()), Err(error.clone()), Err(error.clone())),
            (Ok(brokers), partitions) => {
                let settings = async {
                    match partitions {
                        Ok(_) => admin::settings(&kafka, &place, &topic).await,
                        Err(error) => Err(error.clone()),
                    }
                };
                let broker_settings = async {
                    match brokers.first() {
                        Some(broker) => {
                            admin::settings(&kafka, &place, &ResourceSpecifier::Broker(broker.id)).await
                        }
                        None => {
                            let message = "the cluster names no broker";
                            Err(place.error(ErrorKind::Unavailable, OPERATION, message))
                        }
                    }
                };
                let producer = async {
                    match partitions {
                        Ok(_) => kafka.sink().open().await.map(drop),
                        Err(error) => Err(error.clone()),
                    }
                };
                tokio::join!(settings, broker_settings, producer)
            }
        };
        Ok(Inspection { brokers, partitions, settings, broker_settings, bounds, producer, group })
    }
}

fn look(kafka: &Kafka, place: &Place) -> Result<Seen> {
    // What is refused of the group shows when it is asked for, and must not hide the rest.
    let context = Context::for_observer().with_tokens(kafka.tokens.clone());
    let group = place.group.as_deref().unwrap_or(NO_GROUP);
    let config = kafka.client_config_with(&[("group.id", group), ("enable.auto.commit", "false")])?;
    let client: Client = as_ours(place, OPERATION, config.create_with_context(context.clone()))?;
    let seen = ask(kafka, place, &client, &context);
    drop_elsewhere(client);
    Ok(seen)
}

fn ask(kafka: &Kafka, place: &Place, client: &Client, context: &Context) -> Seen {
    let metadata = match metadata(client, context, place, Deadline::after(kafka.open_timeout)) {
        Ok(metadata) => metadata,
        Err(error) => return Seen::nothing(place, &error),
    };
    let brokers = metadata
        .brokers()
        .iter()
        .map(|broker| Broker { id: broker.id(), address: format!("{}:{}", broker.host(), broker.port()) });
    let brokers = brokers.collect();
    let partitions = partitions(&metadata, place);
    let deadline = Deadline::after(kafka.open_timeout);
    let (bounds, group) = match &partitions {
        Ok(partitions) => {
            let count = partitions.len();
            let group = place.group.is_some().then(|| self::group(client, context, place, count, deadline));
            (bounds(client, place, count, deadline), group)
        }
        Err(error) => (Err(error.clone()), GroupInspection::unknown(place, error)),
    };
    Seen { brokers: Ok(brokers), partitions, bounds, group }
}

impl Seen {
    fn nothing(place: &Place, error: &Error) -> Self {
        Self {
            brokers: Err(error.clone()),
            partitions: Err(error.clone()),
            bounds: Err(error.clone()),
            group: GroupInspection::unknown(place, error),
        }
    }
}

impl GroupInspection {
    /// What is said of the place's group, if it has one.
    fn unknown(place: &Place, error: &Error) -> Option<Self> {
        place.group.is_some().then(|| Self {
            offsets: Err(error.clone()),
            application: None,
            members: Err(error.clone()),
        })
    }
}

/// What the cluster says of itself and the topic, as soon as it can be reached.
fn metadata(client: &Client, context: &Context, place: &Place, deadline: Deadline) -> Result<Metadata> {
    loop {
        // In slices, because a refused identity shows in the background alone, and only when events are served.
        let slice = deadline.left().min(SLICE);
        let attempt = client.fetch_metadata(Some(&place.topic), slice);
        positions::serve(client);
        if let Some(refusal) = context.denied() {
            return Err(place.in_background(OPERATION, &refusal));
        }
        match attempt {
            Ok(metadata) => return Ok(metadata),
            Err(cause) => {
                let kind = code_of(&cause).map_or(ErrorKind::Internal, kind_of);
                if !kind.is_transient() || deadline.is_over() {
                    return Err(match context.unreached() {
                        Some(trouble) if kind.is_transient() => place.in_background(OPERATION, &trouble),
                        _ => place.kafka(OPERATION, cause),
                    });
                }
                std::thread::sleep(PAUSE.min(deadline.left()));
            }
        }
    }
}

fn partitions(metadata: &Metadata, place: &Place) -> Result<Vec<Partition>> {
    let missing = || KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
    let topic = metadata.topics().first().ok_or_else(|| place.kafka(OPERATION, missing()))?;
    if let Some(code) = topic.error() {
        return Err(place.kafka(OPERATION, KafkaError::MetadataFetch(code.into())));
    }
    let mut partitions: Vec<_> = topic
        .partitions()
        .iter()
        .map(|partition| Partition {
            id: partition.id(),
            leader: (partition.leader() >= 0).then(|| partition.leader()),
            replicas: partition.replicas().len(),
            in_sync: partition.isr().len(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.id);
    if partitions.is_empty() { Err(place.kafka(OPERATION, missing())) } else { Ok(partitions) }
}

fn bounds(client: &Client, place: &Place, count: usize, deadline: Deadline) -> Result<Vec<(i64, i64)>> {
    let bound = |ask: fn(&Client, &str, usize, Duration) -> rdkafka::error::KafkaResult<Vec<i64>>| {
        deadline.patiently(|left| as_ours(place, OPERATION, ask(client, &place.topic, count, left)))
    };
    Ok(bound(positions::low)?.into_iter().zip(bound(positions::high)?).collect())
}

fn group(
    client: &Client,
    context: &Context,
    place: &Place,
    count: usize,
    deadline: Deadline,
) -> GroupInspection {
    let offsets = positions::stored(client, context, place, OPERATION, count, deadline);
    let owner = offsets.iter().flatten().flatten().find_map(|stored| stored.mark.owner.as_ref());
    let application = owner.map(ToString::to_string);
    let offsets = offsets.map(|stored| {
        let offset =
            |stored: positions::Stored| GroupOffset { offset: stored.offset, is_start: stored.mark.is_start };
        stored.into_iter().map(|stored| stored.map(offset)).collect()
    });
    // To whom the group is not shown, librdkafka lists it as one without members.
    if let Err(error) = &offsets
        && error.kind() == ErrorKind::Denied
    {
        return GroupInspection { members: Err(error.clone()), application, offsets };
    }
    let found = client.fetch_group_list(place.group.as_deref(), deadline.left().max(PAUSE));
    let members = as_ours(place, OPERATION, found).and_then(|found| {
        // Listed and dead at once is a group of Kafka's newer protocol, about whose members librdkafka's question tells nothing.
        if found.groups().iter().any(|group| group.state() == "Dead") {
            let message = "a program has subscribed with this group by Kafka's newer protocol (`group.protocol=consumer`), whose \
                           members do not show here";
            return Err(place.error(ErrorKind::Config, OPERATION, message));
        }
        Ok(found.groups().iter().map(|group| group.members().len()).sum())
    });
    GroupInspection { offsets, application, members }
}
