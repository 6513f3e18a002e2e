//! The Kafka transport over Apache Kafka.

use std::time::{Duration, Instant};

use backup_tracker::{Result, StartAt};
use backup_tracker_conformance::{Fault, Harness, Isolation, Lane, Profile, RawRecord};
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use backup_tracker_kafka::rdkafka::metadata::{MetadataPartition, MetadataTopic};
use backup_tracker_kafka::rdkafka::producer::FutureProducer;
use backup_tracker_kafka::rdkafka::types::RDKafkaErrorCode;
use backup_tracker_kafka::rdkafka::{ClientConfig, Offset, TopicPartitionList};
use backup_tracker_kafka::{CreateTopic, KafkaSink, KafkaSource};

use crate::brokers::{Brokers, Lent};
use crate::profile::profile;
use crate::proxy::Mode;
use crate::topic::{PARTITIONS, Topic, failed};

/// An administrator's requests are not what is tested.
const ADMIN: Duration = Duration::from_secs(30);

/// Everything that has a time limit answers within this. A broker on a busy machine needs more than a mock.
const LIMIT: Duration = Duration::from_secs(3);

pub(crate) struct BrokerHarness<B> {
    brokers: B,
}

impl<B: Brokers> BrokerHarness<B> {
    pub(crate) const fn new(brokers: B) -> Self {
        Self { brokers }
    }
}

impl<B: Brokers> Harness for BrokerHarness<B> {
    type Lane = BrokerLane<B::Lent>;

    fn name(&self) -> &str {
        self.brokers.name()
    }

    fn profile(&self) -> Profile {
        let profile = profile().with_patience(Duration::from_secs(30)).with_at_once(self.brokers.at_once());
        let spared = self.brokers.spared().iter();
        spared.fold(profile, |profile, (ability, reason)| profile.not_shown(*ability, *reason))
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<BrokerLane<B::Lent>> {
        let brokers = self.brokers.lend(isolation).await?;
        let servers = brokers.servers();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &servers);
        let mut topic = Topic::new(servers.clone(), name, isolation, LIMIT).await?;
        topic.kafka = topic.kafka.open_timeout(ADMIN);
        let lane = BrokerLane {
            admin: config.create().map_err(failed)?,
            producer: config.create().map_err(failed)?,
            topic,
            replicas: self.brokers.replicas(),
            brokers,
        };
        lane.create().await?;
        Ok(lane)
    }
}

pub(crate) struct BrokerLane<L> {
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
    topic: Topic,
    replicas: u16,
    brokers: L,
}

impl<L: Lent> BrokerLane<L> {
    async fn create(&self) -> Result<()> {
        let create = CreateTopic::new(PARTITIONS, self.replicas);
        drop(self.topic.kafka.clone().create_topic(create).sink().open().await?);
        let (servers, name, replicas) = (self.brokers.servers(), self.topic.name.clone(), self.replicas);
        let waiting = tokio::task::spawn_blocking(move || known_everywhere(&servers, &name, replicas));
        waiting.await.map_err(failed)?
    }
}

/// Waits until each broker knows the topic, and who leads it.
fn known_everywhere(servers: &str, topic: &str, replicas: u16) -> Result<()> {
    let end = Instant::now() + ADMIN;
    for server in servers.split(',') {
        // librdkafka connects to the other brokers only when it needs them.
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", server).create().map_err(failed)?;
        loop {
            let found = client.fetch_metadata(Some(topic), ADMIN).map_err(failed)?;
            let partitions = found.topics().first().map(MetadataTopic::partitions).unwrap_or_default();
            let is_whole = |partition: &MetadataPartition| {
                partition.leader() >= 0 && partition.isr().len() == usize::from(replicas)
            };
            if partitions.len() == PARTITIONS as usize && partitions.iter().all(is_whole) {
                break;
            }
            if Instant::now() > end {
                return Err(failed(format!("{server} does not know the topic within {ADMIN:?}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

impl<L: Lent> Lane for BrokerLane<L> {
    type Sink = KafkaSink;
    type Source = KafkaSource;

    async fn sink(&self) -> Result<KafkaSink> {
        self.topic.sink().await
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<KafkaSource> {
        // One broker for several lanes, so that the topic makes the group.
        self.topic.source(&format!("{}-{group}", self.topic.name), start).await
    }

    async fn observer(&self, start: StartAt) -> Result<KafkaSource> {
        self.topic.observer(start).await
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        self.topic.produce(&self.producer, &record).await
    }

    async fn trim(&self) -> Result<()> {
        let mut ends = TopicPartitionList::new();
        for partition in 0..PARTITIONS as i32 {
            ends.add_partition_offset(&self.topic.name, partition, Offset::End).map_err(failed)?;
        }
        let trimmed = self.admin.delete_records(&ends, &options()).await.map_err(failed)?;
        trimmed.elements().iter().try_for_each(|element| element.error().map_err(failed))
    }

    async fn recreate(&self) -> Result<()> {
        self.delete().await?;
        self.create().await
    }

    async fn delete(&self) -> Result<()> {
        let deleted = self.admin.delete_topics(&[&self.topic.name], &options()).await.map_err(failed)?;
        for topic in deleted {
            match topic {
                // It was away already.
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((_, code)) => return Err(failed(code)),
            }
        }
        // Deleted is not yet known everywhere.
        while self.topic.kafka.sink().open().await.is_ok() {}
        Ok(())
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Cut => self.topic.set(Mode::Cut),
            Fault::BlackHole => self.topic.set(Mode::BlackHole),
            Fault::LostAnswers => self.topic.set(Mode::LoseAnswers),
            Fault::Delay => self.topic.set(Mode::Delay),
            Fault::PartialBlackHole => {
                let leader = self.brokers.leader(&self.topic.name).await?;
                self.topic.set(Mode::Hide(leader))
            }
            Fault::Kill => self.brokers.kill().map_err(failed),
            Fault::Stop => self.brokers.stop().await,
            Fault::RestartOne => self.brokers.restart_one(&self.topic.name).await,
            Fault::Roll => self.brokers.roll().await,
            _ => Err(failed("a fault that this harness does not know")),
        }
    }

    async fn heal(&self) -> Result<()> {
        self.brokers.restart().await?;
        self.topic.heal();
        Ok(())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN))
}
