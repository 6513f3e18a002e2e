//! A topic on librdkafka's mock cluster, written by hand.

use std::process::Command;
use std::time::Duration;

use backup_tracker::wire::encode;
use backup_tracker::{BackupState, BackupTransition, Result, Sink, WireFormat};
use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use backup_tracker_kafka::{Kafka, KafkaSink};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::program::{Ended, program};

pub(crate) const TOPIC: &str = "backups";
const PARTITIONS: i32 = 3;

/// 2025-07-11T10:00:00Z, in milliseconds.
pub(crate) const TEN: u64 = 1_752_228_000_000;
pub(crate) const MINUTE: u64 = 60_000;

pub(crate) struct Bench {
    runtime: Runtime,
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
    sink: KafkaSink,
    foreign: FutureProducer,
    events: u128,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic(TOPIC, PARTITIONS, 1).unwrap();
        let servers = mock.bootstrap_servers();
        let sink = runtime.block_on(kafka(&servers).sink().open()).unwrap();
        let foreign = {
            let _inside = runtime.enter();
            ClientConfig::new().set("bootstrap.servers", servers).create().unwrap()
        };
        Self { runtime, mock, sink, foreign, events: 0 }
    }

    /// Opens a source of a group.
    pub(crate) fn open_group(&self) -> Result<()> {
        let servers = self.mock.bootstrap_servers();
        self.runtime.block_on(kafka(&servers).source("search").open()).map(drop)
    }

    /// A new sink: librdkafka's idempotent producer does not get through to a mock any more whose broker was away.
    pub(crate) fn reopen(&mut self) {
        self.sink = self.runtime.block_on(kafka(&self.mock.bootstrap_servers()).sink().open()).unwrap();
    }

    /// Announces a step with an id that no step before it had, and which is nobody's way back.
    pub(crate) fn step(
        &mut self,
        application: &str,
        millis: u64,
        from: BackupState,
        to: BackupState,
    ) -> Uuid {
        self.events += 1;
        let id = Uuid::from_u128(self.events << 8);
        self.announce(&BackupTransition::new(id, application, millis, from, to));
        id
    }

    pub(crate) fn announce(&mut self, transition: &BackupTransition) {
        let event = encode(transition, WireFormat::BackupJson);
        self.runtime.block_on(self.sink.send(&event)).unwrap();
    }

    /// Appends a record to every partition, as a foreign program would.
    pub(crate) fn garbage(&self, payload: Option<&str>) {
        for partition in 0..PARTITIONS {
            let record = FutureRecord::<str, str> { payload, ..FutureRecord::to(TOPIC).partition(partition) };
            self.runtime.block_on(self.foreign.send(record, Duration::from_secs(10))).unwrap();
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let servers = self.mock.bootstrap_servers();
        // The mock answers a fetch without records only after this time, whatever arrives meanwhile.
        let properties = ["fetch.wait.max.ms=10", "reconnect.backoff.max.ms=100"];
        let ours = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
        let mut command = program(&arguments[..ours]);
        command.args(["--bootstrap-server", &servers]);
        command.args(properties.iter().flat_map(|property| ["--kafka-property", property]));
        command.args(&arguments[ours..]);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(arguments))
    }
}

fn kafka(servers: &str) -> Kafka {
    Kafka::new(servers, TOPIC).property("reconnect.backoff.max.ms", "100")
}

/// Servers that nobody listens at.
pub(crate) fn nowhere() -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // The port is free again, and was so a moment ago.
    socket.local_addr().unwrap().to_string()
}
