//! The Kafka transport over librdkafka's mock cluster.

use std::time::Duration;

use crate::proxy::{Mode, Proxy, SOCKET_TIMEOUT};
use backup_tracker::{BoxError, Error, ErrorKind, Result, StartAt};
use backup_tracker_conformance::{Ability, Fault, Harness, Isolation, Lane, Profile, RawRecord};
use backup_tracker_kafka::rdkafka::message::{Header, OwnedHeaders};
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use backup_tracker_kafka::rdkafka::{ClientConfig, ClientContext};
use backup_tracker_kafka::{Kafka, KafkaSink, KafkaSource, partition_for};

pub(crate) const PARTITIONS: u32 = 3;
pub(crate) const MAX_EVENT_BYTES: usize = 100_000;
/// Key, lengths and batch header: what this crate counts in addition to a payload.
pub(crate) const OVERHEAD: usize = 36 + 82;
/// Everything that has a time limit answers within this, or the suite would wait for librdkafka's patience.
pub(crate) const LIMIT: Duration = Duration::from_secs(1);

pub(crate) struct MockHarness;

impl Harness for MockHarness {
    type Lane = MockLane;

    fn name(&self) -> &str {
        "kafka"
    }

    fn profile(&self) -> Profile {
        Profile::new(MAX_EVENT_BYTES)
            .lacks(Ability::MonotonicPosition, "OffsetCommit overwrites a group's offset without comparing")
            .lacks(Ability::Trim, "the mock has no DeleteRecords; `lost.rs` trims by filling the log")
            .lacks(
                Ability::Recreate,
                "the mock cannot delete a topic; a real broker deletes its offsets with it",
            )
            .lacks(
                Ability::StoresOnce,
                "the mock looks at sequence numbers of transactions only, so librdkafka's own retry is stored again",
            )
            .lacks(Ability::End, "a topic never ends")
            .with_patience(Duration::from_secs(15))
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<MockLane> {
        // A cluster for each lane: a mock is cheap, and some cases end its broker.
        let host: FutureProducer =
            ClientConfig::new().set("test.mock.num.brokers", "1").create().map_err(failed)?;
        mock(&host)?.create_topic(name, PARTITIONS as i32, 1).map_err(failed)?;
        let mut servers = mock(&host)?.bootstrap_servers();
        let mut proxy = None;
        if isolation == Isolation::Own {
            let started = Proxy::start(&servers).await.map_err(failed)?;
            servers = started.servers();
            proxy = Some(started);
        }
        let kafka = Kafka::new(servers, name)
            // The mock answers a fetch without records only after this time, whatever arrives meanwhile.
            .property("fetch.wait.max.ms", "10")
            .property("reconnect.backoff.max.ms", "200")
            .property("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string())
            .property("socket.connection.setup.timeout.ms", "2000")
            .property("api.version.request.timeout.ms", "1000");
        Ok(MockLane { host, proxy, topic: name.to_owned(), kafka })
    }
}

pub(crate) struct MockLane {
    /// The client in which the mock lives, and a foreign program's producer.
    host: FutureProducer,
    /// Between the lane's clients and the mock, where the case disturbs them.
    proxy: Option<Proxy>,
    topic: String,
    kafka: Kafka,
}

impl Lane for MockLane {
    type Sink = KafkaSink;
    type Source = KafkaSource;

    async fn sink(&self) -> Result<KafkaSink> {
        let limit = (MAX_EVENT_BYTES + OVERHEAD).to_string();
        let builder = self.kafka.sink().property("message.max.bytes", limit);
        builder.send_timeout(LIMIT).open().await
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<KafkaSource> {
        let builder = self.kafka.source(group).start(start);
        builder.request_timeout(LIMIT).open().await
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        produce(&self.host, &self.topic, &record).await
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Cut => self.set(Mode::Cut),
            Fault::BlackHole => self.set(Mode::BlackHole),
            // The mock's log outlives its broker, as a disk outlives a process.
            _ => mock(&self.host)?.broker_down(1).map_err(failed),
        }
    }

    async fn heal(&self) -> Result<()> {
        mock(&self.host)?.broker_up(1).map_err(failed)?;
        self.set(Mode::Pass)
    }
}

impl MockLane {
    fn set(&self, mode: Mode) -> Result<()> {
        let proxy = self.proxy.as_ref().ok_or_else(|| failed("the lane has no proxy"))?;
        proxy.set(mode);
        Ok(())
    }
}

fn mock(host: &FutureProducer) -> Result<MockCluster<'_, impl ClientContext>> {
    let mock = host.client().mock_cluster();
    mock.ok_or_else(|| failed("the client hosts no mock"))
}

/// The harness failed, and not what it tests.
pub(crate) fn failed(cause: impl Into<BoxError>) -> Error {
    let cause = cause.into();
    Error::new(ErrorKind::Internal, "use the mock", cause.to_string()).with_source(cause)
}

/// Appends a record as a foreign program would.
pub(crate) async fn produce(producer: &FutureProducer, topic: &str, record: &RawRecord) -> Result<()> {
    let partition = partition_for(&record.application, PARTITIONS);
    let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, header| {
        headers.insert(Header { key: &header.name, value: Some(&header.value[..]) })
    });
    let mut foreign = FutureRecord::<[u8], [u8]>::to(topic).partition(partition as i32).headers(headers);
    if let Some(key) = &record.key {
        foreign = foreign.key(key);
    }
    if let Some(payload) = &record.payload {
        foreign = foreign.payload(payload);
    }
    let sent = producer.send(foreign, LIMIT).await;
    sent.map(drop).map_err(|(error, _)| failed(error))
}
