//! The Kafka transport over librdkafka's mock cluster.

use std::time::Duration;

use backup_tracker::{Result, StartAt};
use backup_tracker_conformance::{Ability, Fault, Harness, Isolation, Lane, Profile, RawRecord};
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::{FutureProducer, Producer};
use backup_tracker_kafka::rdkafka::{ClientConfig, ClientContext};
use backup_tracker_kafka::{KafkaSink, KafkaSource};

use crate::profile::profile;
use crate::proxy::Mode;
use crate::topic::{PARTITIONS, Topic, failed};

/// Everything that has a time limit answers within this, or the suite would wait for librdkafka's patience.
const LIMIT: Duration = Duration::from_secs(1);

const NO_PROCESS: &str = "a mock has no process that could be asked to end";

pub(crate) struct MockHarness;

impl Harness for MockHarness {
    type Lane = MockLane;

    fn name(&self) -> &str {
        "kafka"
    }

    fn profile(&self) -> Profile {
        profile()
            .not_shown(Ability::Trim, "the mock has no DeleteRecords; `lost.rs` trims by filling the log")
            .not_shown(Ability::RecreateLive, "the mock cannot delete a topic")
            .not_shown(
                Ability::StoresOnce,
                "the mock looks at sequence numbers of transactions only, so librdkafka's own retry is stored again",
            )
            .not_shown(Ability::Delete, "the mock cannot delete a topic")
            .not_shown(Ability::Deny, "the mock knows no permissions")
            .not_shown(Ability::RenewsCredentials, "the mock knows no users")
            .not_shown(Ability::PartialBlackHole, "the mock has one broker")
            .not_shown(Ability::Stop, NO_PROCESS)
            .not_shown(Ability::RestartOne, NO_PROCESS)
            .not_shown(Ability::Roll, NO_PROCESS)
            .with_patience(Duration::from_secs(15))
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<MockLane> {
        // A cluster for each lane: a mock is cheap, and some cases end its broker.
        let host: FutureProducer =
            ClientConfig::new().set("test.mock.num.brokers", "1").create().map_err(failed)?;
        mock(&host)?.create_topic(name, PARTITIONS as i32, 1).map_err(failed)?;
        let servers = mock(&host)?.bootstrap_servers();
        let mut topic = Topic::new(servers, name, isolation, LIMIT).await?;
        // The mock answers a fetch without records only after this time, whatever arrives meanwhile.
        topic.kafka = topic.kafka.property("fetch.wait.max.ms", "10");
        Ok(MockLane { host, topic })
    }
}

pub(crate) struct MockLane {
    /// The client in which the mock lives, and a foreign program's producer.
    host: FutureProducer,
    topic: Topic,
}

impl Lane for MockLane {
    type Sink = KafkaSink;
    type Source = KafkaSource;

    async fn sink(&self) -> Result<KafkaSink> {
        self.topic.sink().await
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<KafkaSource> {
        self.topic.source(group, start).await
    }

    async fn observer(&self, start: StartAt) -> Result<KafkaSource> {
        self.topic.observer(start).await
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        self.topic.produce(&self.host, &record).await
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Cut => self.topic.set(Mode::Cut),
            Fault::BlackHole => self.topic.set(Mode::BlackHole),
            Fault::LostAnswers => self.topic.set(Mode::LoseAnswers),
            Fault::Delay => self.topic.set(Mode::Delay),
            // The mock's log outlives its broker, as a disk outlives a process.
            Fault::Kill => mock(&self.host)?.broker_down(1).map_err(failed),
            _ => Err(failed("a fault that this harness does not know")),
        }
    }

    async fn heal(&self) -> Result<()> {
        mock(&self.host)?.broker_up(1).map_err(failed)?;
        self.topic.heal();
        Ok(())
    }
}

fn mock(host: &FutureProducer) -> Result<MockCluster<'_, impl ClientContext>> {
    let mock = host.client().mock_cluster();
    mock.ok_or_else(|| failed("the client hosts no mock"))
}
