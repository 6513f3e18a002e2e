//! The Kafka transport over a broker that runs already, on the loopback interface.

use std::time::Duration;

use backup_tracker::{Result, StartAt};
use backup_tracker_conformance::{Ability, Fault, Harness, Isolation, Lane, Profile, RawRecord};
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::rdkafka::producer::FutureProducer;
use backup_tracker_kafka::rdkafka::{ClientConfig, Offset, TopicPartitionList};
use backup_tracker_kafka::{CreateTopic, Kafka, KafkaSink, KafkaSource};

use crate::mock::{LIMIT, MAX_EVENT_BYTES, OVERHEAD, PARTITIONS, failed, produce};
use crate::proxy::{Mode, Proxy, SOCKET_TIMEOUT};

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
        Profile::new(MAX_EVENT_BYTES)
            .lacks(Ability::MonotonicPosition, "OffsetCommit overwrites a group's offset without comparing")
            .lacks(Ability::End, "a topic never ends")
            .lacks(
                Ability::Recreate,
                "a broker deletes a group's offsets with the topic, and the group is new to the next session",
            )
            .lacks(Ability::Kill, "the broker is not ours to kill")
            .with_patience(Duration::from_secs(30))
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<BrokerLane> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        let mut servers = self.servers.clone();
        let mut proxy = None;
        if isolation == Isolation::Own {
            let started = Proxy::start(&servers).await.map_err(failed)?;
            servers = started.servers();
            proxy = Some(started);
        }
        let kafka = Kafka::new(servers, name)
            .open_timeout(ADMIN)
            .property("reconnect.backoff.max.ms", "200")
            .property("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string())
            .property("socket.connection.setup.timeout.ms", "2000")
            .property("api.version.request.timeout.ms", "1000");
        let lane = BrokerLane {
            admin: config.create().map_err(failed)?,
            producer: config.create().map_err(failed)?,
            proxy,
            topic: name.to_owned(),
            kafka,
        };
        lane.create().await?;
        Ok(lane)
    }
}

pub(crate) struct BrokerLane {
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
    /// Between the lane's clients and the broker, where the case disturbs them.
    proxy: Option<Proxy>,
    topic: String,
    kafka: Kafka,
}

impl BrokerLane {
    async fn create(&self) -> Result<()> {
        let create = CreateTopic::new(PARTITIONS, 1);
        drop(self.kafka.clone().create_topic(create).sink().open().await?);
        Ok(())
    }

    fn set(&self, mode: Mode) -> Result<()> {
        let proxy = self.proxy.as_ref().ok_or_else(|| failed("the lane has no proxy"))?;
        proxy.set(mode);
        Ok(())
    }
}

impl Lane for BrokerLane {
    type Sink = KafkaSink;
    type Source = KafkaSource;

    async fn sink(&self) -> Result<KafkaSink> {
        let limit = (MAX_EVENT_BYTES + OVERHEAD).to_string();
        let builder = self.kafka.sink().property("message.max.bytes", limit);
        builder.send_timeout(LIMIT).open().await
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<KafkaSource> {
        // One broker for all lanes, so that the topic makes the group.
        let group = format!("{}-{group}", self.topic);
        let builder = self.kafka.source(group).start(start);
        builder.request_timeout(LIMIT).open().await
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        produce(&self.producer, &self.topic, &record).await
    }

    async fn trim(&self) -> Result<()> {
        let mut ends = TopicPartitionList::new();
        for partition in 0..PARTITIONS as i32 {
            ends.add_partition_offset(&self.topic, partition, Offset::End).map_err(failed)?;
        }
        let trimmed = self.admin.delete_records(&ends, &options()).await.map_err(failed)?;
        trimmed.elements().iter().try_for_each(|element| element.error().map_err(failed))
    }

    async fn recreate(&self) -> Result<()> {
        let deleted = self.admin.delete_topics(&[&self.topic], &options()).await.map_err(failed)?;
        for topic in deleted {
            topic.map_err(|(_, code)| failed(code))?;
        }
        // Deleted is not yet known everywhere.
        while self.kafka.sink().open().await.is_ok() {}
        self.create().await
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        self.set(if fault == Fault::Cut { Mode::Cut } else { Mode::BlackHole })
    }

    async fn heal(&self) -> Result<()> {
        self.set(Mode::Pass)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN))
}
