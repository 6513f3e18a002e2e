//! A source that does not hear from a partition's leader any more reports it in time, and finds back by itself (S13).

#![allow(
    clippy::unwrap_used,
    clippy::future_not_send,
    reason = "these are the tests' own steps, and a mock stays on its thread"
)]

#[path = "harness/proxy.rs"]
mod proxy;
mod support;

use std::time::{Duration, Instant};

use backup_tracker::EventSource;
use backup_tracker_kafka::rdkafka::mocking::{MockCluster, MockCoordinator};
use backup_tracker_kafka::rdkafka::producer::DefaultProducerContext;
use backup_tracker_kafka::{Kafka, KafkaSource, partition_for};
use proxy::{Mode, Proxy};
use support::{send, soon, text, texts};

const CONTACT: Duration = Duration::from_millis(1500);
/// What a busy machine may add.
const GRACE: Duration = Duration::from_secs(4);

/// Two brokers, each of which leads one of two partitions; the first also keeps the groups.
struct Two {
    _mock: MockCluster<'static, DefaultProducerContext>,
    direct: Kafka,
    proxy: Proxy,
    ports: [u16; 2],
}

impl Two {
    async fn start() -> Self {
        let mock = MockCluster::new(2).unwrap();
        mock.create_topic("backups", 2, 1).unwrap();
        mock.partition_leader("backups", 0, Some(1)).unwrap();
        mock.partition_leader("backups", 1, Some(2)).unwrap();
        mock.coordinator(MockCoordinator::Group("search".into()), 1).unwrap();
        let servers = mock.bootstrap_servers();
        let ports = servers.split(',').map(|server| server.rsplit(':').next().unwrap().parse().unwrap());
        let ports = ports.collect::<Vec<_>>().try_into().unwrap();
        let proxy = Proxy::start(&servers).await.unwrap();
        Self { _mock: mock, direct: Kafka::new(servers, "backups"), proxy, ports }
    }

    /// A source that has read a record of each partition.
    async fn source(&self) -> KafkaSource {
        let kafka = Kafka::new(self.proxy.servers(), "backups").property("fetch.wait.max.ms", "10");
        let source = kafka.source("search").contact_time(CONTACT).request_timeout(CONTACT);
        let mut source = soon(source.open()).await.unwrap();
        for partition in [0, 1] {
            self.send(partition, "before").await;
        }
        texts(&mut source, 2).await;
        source
    }

    async fn send(&self, partition: u32, text: &str) {
        let mut names = (0..100).map(|number| number.to_string());
        let application = names.find(|name| partition_for(name, 2) == partition).unwrap();
        send(&mut soon(self.direct.sink().open()).await.unwrap(), &application, text).await;
    }
}

/// Nothing comes but errors that pass, the first of them in time, and then more of them.
async fn is_out_of_contact(source: &mut KafkaSource, partition: &str) {
    for limit in [CONTACT + GRACE, GRACE, GRACE] {
        let error = tokio::time::timeout(limit, source.next()).await.unwrap().unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.message().contains(partition), "{error}");
    }
}

/// The next record, whatever trouble was reported meanwhile.
async fn after_trouble(source: &mut KafkaSource) -> String {
    let begin = Instant::now();
    loop {
        match soon(source.next()).await {
            Ok(record) => return text(&record.unwrap()),
            Err(error) => {
                assert!(error.is_transient() && begin.elapsed() < Duration::from_secs(20), "{error}")
            }
        }
    }
}

async fn one_leader_is_out_of_reach(lose: impl AsyncFn(&Two)) {
    let two = Two::start().await;
    let mut source = two.source().await;
    lose(&two).await;
    is_out_of_contact(&mut source, "partition 1").await;
    // What the other one leads still comes.
    two.send(0, "meanwhile").await;
    assert_eq!(after_trouble(&mut source).await, "meanwhile");
    two.send(1, "missed").await;
    two.proxy.set(Mode::Pass);
    assert_eq!(after_trouble(&mut source).await, "missed");
    two.send(1, "later").await;
    assert_eq!(after_trouble(&mut source).await, "later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_from_this_client_alone_is_reported_and_missed_records_come() {
    one_leader_is_out_of_reach(async |two| two.proxy.set(Mode::Hide(two.ports[1]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_answers_no_fetch_any_more_is_reported_and_missed_records_come() {
    one_leader_is_out_of_reach(async |two| two.proxy.lose_fetches(two.ports[1]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_do_not_arrive_are_reported() {
    let two = Two::start().await;
    let mut source = two.source().await;
    two.proxy.set(Mode::LoseAnswers);
    is_out_of_contact(&mut source, "").await;
    two.proxy.renew().await;
    two.send(1, "again").await;
    assert_eq!(after_trouble(&mut source).await, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_that_is_none_is_not_reported() {
    let two = Two::start().await;
    let mut source = two.source().await;
    let quiet = tokio::time::timeout(CONTACT * 3, source.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}
