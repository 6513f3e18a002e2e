//! The Kafka transport over Apache Kafka.

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::{Result, StartAt};
use backup_tracker_conformance::{Ability, Fault, Harness, Isolation, Lane, Profile, RawRecord};
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::rdkafka::producer::FutureProducer;
use backup_tracker_kafka::rdkafka::{ClientConfig, Offset, TopicPartitionList};
use backup_tracker_kafka::{CreateTopic, KafkaSink, KafkaSource};

use crate::brokers::{Brokers, Own};
use crate::profile::profile;
use crate::proxy::Mode;
use crate::topic::{PARTITIONS, Topic, failed};

/// An administrator's requests are not what is tested.
const ADMIN: Duration = Duration::from_secs(30);

/// Everything that has a time limit answers within this. A broker on a busy machine needs more than a mock.
const LIMIT: Duration = Duration::from_secs(3);

pub(crate) struct BrokerHarness {
    brokers: Brokers,
}

impl BrokerHarness {
    pub(crate) const fn new(brokers: Brokers) -> Self {
        Self { brokers }
    }
}

impl Harness for BrokerHarness {
    type Lane = BrokerLane;

    fn name(&self) -> &str {
        "kafka on a broker"
    }

    fn profile(&self) -> Profile {
        let profile = profile().with_patience(Duration::from_secs(30));
        match self.brokers {
            Brokers::Running(_) => profile.not_shown(Ability::Kill, "the broker is not ours to kill"),
            Brokers::Ours { .. } => profile,
        }
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<BrokerLane> {
        let (servers, own) = match (&self.brokers, isolation) {
            (Brokers::Running(servers), _) => (servers.clone(), None),
            (Brokers::Ours { shared, .. }, Isolation::Shared) => (shared.servers(), None),
            (Brokers::Ours { killable, .. }, Isolation::Own) => {
                let own = Arc::clone(killable).take().await?;
                (own.servers.clone(), Some(own))
            }
        };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &servers);
        let mut topic = Topic::new(servers, name, isolation, LIMIT).await?;
        topic.kafka = topic.kafka.open_timeout(ADMIN);
        let lane = BrokerLane {
            admin: config.create().map_err(failed)?,
            producer: config.create().map_err(failed)?,
            topic,
            own,
        };
        lane.create().await?;
        Ok(lane)
    }
}

pub(crate) struct BrokerLane {
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
    topic: Topic,
    /// The broker, where the case may kill it.
    own: Option<Own>,
}

impl BrokerLane {
    async fn create(&self) -> Result<()> {
        let create = CreateTopic::new(PARTITIONS, 1);
        drop(self.topic.kafka.clone().create_topic(create).sink().open().await?);
        Ok(())
    }
}

impl Lane for BrokerLane {
    type Sink = KafkaSink;
    type Source = KafkaSource;

    async fn sink(&self) -> Result<KafkaSink> {
        self.topic.sink().await
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<KafkaSource> {
        // One broker for several lanes, so that the topic makes the group.
        self.topic.source(&format!("{}-{group}", self.topic.name), start).await
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
        let deleted = self.admin.delete_topics(&[&self.topic.name], &options()).await.map_err(failed)?;
        for topic in deleted {
            topic.map_err(|(_, code)| failed(code))?;
        }
        // Deleted is not yet known everywhere.
        while self.topic.kafka.sink().open().await.is_ok() {}
        self.create().await
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Cut => self.topic.set(Mode::Cut),
            Fault::BlackHole => self.topic.set(Mode::BlackHole),
            Fault::LostAnswers => self.topic.set(Mode::LoseAnswers),
            Fault::Kill => {
                let own = self.own.as_ref().ok_or_else(|| failed("the broker is not this lane's own"))?;
                own.kill().map_err(failed)
            }
            _ => Err(failed("a fault that this harness does not know")),
        }
    }

    async fn heal(&self) -> Result<()> {
        if let Some(own) = &self.own {
            own.restart().await?;
        }
        self.topic.set(Mode::Pass)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN))
}
