//! The Kafka transport over a broker that runs already, on the loopback interface.

use std::time::Duration;

use backup_tracker::{Result, StartAt};
use backup_tracker_conformance::{Ability, Fault, Harness, Isolation, Lane, Profile, RawRecord};
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::rdkafka::producer::FutureProducer;
use backup_tracker_kafka::rdkafka::{ClientConfig, Offset, TopicPartitionList};
use backup_tracker_kafka::{CreateTopic, KafkaSink, KafkaSource};

use crate::profile::profile;
use crate::proxy::Mode;
use crate::topic::{PARTITIONS, Topic, failed};

/// An administrator's requests are not what is tested.
const ADMIN: Duration = Duration::from_secs(30);

pub(crate) struct BrokerHarness {
    pub(crate) servers: String,
}

impl Harness for BrokerHarness {
    type Lane = BrokerLane;

    fn name(&self) -> &str {
        "kafka on a broker"
    }

    fn profile(&self) -> Profile {
        profile()
            .not_shown(Ability::Kill, "the broker is not ours to kill")
            .with_patience(Duration::from_secs(30))
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<BrokerLane> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        let mut topic = Topic::new(self.servers.clone(), name, isolation).await?;
        topic.kafka = topic.kafka.open_timeout(ADMIN);
        let lane = BrokerLane {
            admin: config.create().map_err(failed)?,
            producer: config.create().map_err(failed)?,
            topic,
        };
        lane.create().await?;
        Ok(lane)
    }
}

pub(crate) struct BrokerLane {
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
    topic: Topic,
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
        // One broker for all lanes, so that the topic makes the group.
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
        self.topic.set(if fault == Fault::Cut { Mode::Cut } else { Mode::BlackHole })
    }

    async fn heal(&self) -> Result<()> {
        self.topic.set(Mode::Pass)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN))
}
