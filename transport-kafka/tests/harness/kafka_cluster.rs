//! Three brokers, and a primary with two secondaries on them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are the tests' own steps")]

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backup_tracker::{
    BackupState, BackupTracker, PrimaryBackupTracker, SecondaryBackupTracker, SecondaryStats,
};
use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use backup_tracker_kafka::{CreateTopic, Kafka};
use backup_tracker_test_servers::KafkaCluster;
use uuid::Uuid;

use crate::support::soon;

const PARTITIONS: u32 = 3;
const CONSUMER_GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
/// Between two looks at what the cluster does by itself.
const PAUSE: Duration = Duration::from_millis(50);
/// How long brokers may take until they have agreed again, on a busy machine.
const AGREED: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    brokers: Arc<Mutex<KafkaCluster>>,
    servers: String,
}

/// Started for the first who asks.
#[derive(Default)]
pub(crate) struct SharedCluster(Mutex<Option<Arc<Cluster>>>);

impl SharedCluster {
    pub(crate) fn get(&self) -> io::Result<Arc<Cluster>> {
        let mut cluster = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cluster {
            Some(cluster) => Ok(Arc::clone(cluster)),
            None => Ok(Arc::clone(cluster.insert(Arc::new(Cluster::start()?)))),
        }
    }
}

impl Cluster {
    fn start() -> io::Result<Self> {
        let cluster = KafkaCluster::start(3)?;
        Ok(Self { servers: cluster.servers(), brokers: Arc::new(Mutex::new(cluster)) })
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    pub(crate) fn port(&self, node: usize) -> u16 {
        self.brokers().nodes()[node - 1].port()
    }

    fn brokers(&self) -> MutexGuard<'_, KafkaCluster> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn kill(&self, node: usize) {
        self.brokers().nodes_mut()[node - 1].kill().unwrap();
    }

    pub(crate) fn stop(&self, node: usize) {
        self.brokers().nodes_mut()[node - 1].stop().unwrap();
    }

    pub(crate) async fn restart(&self, node: usize) {
        self.elsewhere(move |cluster| cluster.nodes_mut()[node - 1].restart()).await;
    }

    /// Asks all of them to end.
    pub(crate) async fn stop_all(&self) {
        self.elsewhere(KafkaCluster::stop).await;
    }

    /// Asks each of these to end, and starts it again before the next. It is back when all know each other.
    pub(crate) async fn roll(&self, nodes: impl IntoIterator<Item = usize> + Send) {
        for node in nodes {
            self.elsewhere(move |cluster| {
                cluster.nodes_mut()[node - 1].stop()?;
                cluster.restart()
            })
            .await;
        }
    }

    /// Starts whoever is down.
    pub(crate) async fn heal(&self) {
        self.elsewhere(KafkaCluster::restart).await;
    }

    async fn elsewhere(&self, work: impl FnOnce(&mut KafkaCluster) -> io::Result<()> + Send + 'static) {
        let brokers = Arc::clone(&self.brokers);
        let working = tokio::task::spawn_blocking(move || {
            work(&mut brokers.lock().unwrap_or_else(PoisonError::into_inner))
        });
        working.await.unwrap().unwrap();
    }

    /// A new topic, kept on all brokers, which are up.
    pub(crate) async fn topic(&self) -> (String, Kafka) {
        self.heal().await;
        let name = format!("test-{}", Uuid::new_v4());
        let kafka = Kafka::new(&self.servers, &name);
        let create = CreateTopic::new(PARTITIONS, 3);
        drop(soon(kafka.clone().create_topic(create).sink().open()).await.unwrap());
        self.in_sync(&name).await;
        (name, kafka)
    }

    /// The broker that leads the partition of the application `shop`.
    pub(crate) async fn leader(&self, topic: &str) -> usize {
        let partition = backup_tracker_kafka::partition_for("shop", PARTITIONS);
        let found = self.look(topic, move |partitions| {
            let leader = partitions.iter().find(|found| found.0 == partition as i32).map(|found| found.1);
            leader.and_then(|leader| usize::try_from(leader).ok())
        });
        found.await
    }

    /// Waits until every broker has all of the topic.
    pub(crate) async fn in_sync(&self, topic: &str) {
        let all = |partitions: &[(i32, i32, usize)]| {
            let whole = partitions.iter().all(|(_, leader, in_sync)| *leader > 0 && *in_sync == 3);
            (partitions.len() == PARTITIONS as usize && whole).then_some(())
        };
        self.look(topic, all).await;
    }

    /// Looks at the topic's partitions (number, leader, how many are in sync) until there is an answer.
    async fn look<T: Send + 'static>(
        &self,
        topic: &str,
        answer: impl Fn(&[(i32, i32, usize)]) -> Option<T> + Send + 'static,
    ) -> T {
        let (servers, topic) = (self.servers.clone(), topic.to_owned());
        let looking = tokio::task::spawn_blocking(move || {
            let client: BaseConsumer =
                ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
            let end = std::time::Instant::now() + AGREED;
            loop {
                if let Ok(metadata) = client.fetch_metadata(Some(&topic), Duration::from_secs(5)) {
                    let partitions = metadata.topics()[0].partitions().iter();
                    let partitions: Vec<_> =
                        partitions.map(|found| (found.id(), found.leader(), found.isr().len())).collect();
                    if let Some(answer) = answer(&partitions) {
                        return answer;
                    }
                }
                assert!(std::time::Instant::now() < end, "no agreement within {AGREED:?}");
                std::thread::sleep(PAUSE);
            }
        });
        looking.await.unwrap()
    }

    /// The broker that keeps this group's offsets, as Kafka's own tool tells.
    pub(crate) fn coordinator(&self, group: &str) -> usize {
        let cluster = self.brokers();
        let arguments = ["--bootstrap-server", &self.servers, "--describe", "--state", "--group", group];
        let said = cluster.nodes()[0].tool(CONSUMER_GROUPS, &arguments).unwrap();
        // `search  127.0.0.1:37129  (2)  …`
        let node = said.split(['(', ')']).find_map(|part| part.parse().ok());
        node.unwrap_or_else(|| panic!("no coordinator in {said:?}"))
    }
}

/// A primary of the application `shop`, and two secondaries with a group each.
pub(crate) struct Pair {
    pub(crate) topic: String,
    pub(crate) kafka: Kafka,
    pub(crate) primary: PrimaryBackupTracker,
    pub(crate) secondaries: Vec<Secondary>,
}

pub(crate) struct Secondary {
    pub(crate) group: String,
    pub(crate) tracker: SecondaryBackupTracker,
    told: Arc<Mutex<Vec<BackupState>>>,
}

impl Pair {
    pub(crate) async fn open(cluster: &Cluster) -> Self {
        let (topic, kafka) = cluster.topic().await;
        let mut secondaries = Vec::new();
        for name in ["search", "index"] {
            let group = format!("{topic}-{name}");
            let source = soon(kafka.source(&group).open()).await.unwrap();
            let told = Arc::new(Mutex::new(Vec::new()));
            let noting = Arc::clone(&told);
            let tracker = SecondaryBackupTracker::builder("shop", source)
                .on_change(move |change, _| noting.lock().unwrap().push(change.transition.to))
                .build()
                .unwrap();
            soon(tracker.synced()).await.unwrap();
            secondaries.push(Secondary { group, tracker, told });
        }
        let sink = soon(kafka.sink().open()).await.unwrap();
        let primary = PrimaryBackupTracker::builder("shop", sink).build().unwrap();
        Self { topic, kafka, primary, secondaries }
    }

    /// Every secondary's listener is told of exactly these, in this order, and nothing was missed.
    pub(crate) async fn is_told(&self, states: &[BackupState]) {
        for secondary in &self.secondaries {
            let applied = states.len() as u64;
            soon(async {
                while secondary.tracker.stats().applied < applied {
                    tokio::time::sleep(PAUSE).await;
                }
                while secondary.told.lock().unwrap().len() < states.len() {
                    tokio::time::sleep(PAUSE).await;
                }
            })
            .await;
            assert_eq!(*secondary.told.lock().unwrap(), states);
            no_loss(&secondary.tracker.stats());
        }
    }

    pub(crate) async fn close(self) {
        for secondary in self.secondaries {
            soon(secondary.tracker.health_is(backup_tracker::Health::is_healthy)).await;
            soon(secondary.tracker.close()).await.unwrap();
        }
        soon(self.primary.close()).await.unwrap();
    }
}

/// A secondary that neither missed nor refused anything.
pub(crate) fn no_loss(stats: &SecondaryStats) {
    let bad = (stats.gaps, stats.losses, stats.forbidden, stats.undecodable);
    assert_eq!(bad, (0, 0, 0, 0), "{stats:?}");
}
