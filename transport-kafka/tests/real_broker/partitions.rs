//! One partition or many, and more of them while everybody runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_tracker::BackupState::{BackingUp, Ready, Restoring};
use backup_tracker::{BackupState, BackupTracker, EventSource, PrimaryBackupTracker, SecondaryBackupTracker};
use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::{CreateTopic, Kafka, KafkaSink, partition_for};
use uuid::Uuid;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::support::{send, soon};

cases! {
    Shared, Needs::Any;
    trackers_agree_over_1_partition,
    trackers_agree_over_3_partitions,
    trackers_agree_over_12_partitions,
    trackers_follow_into_partitions_that_are_added,
}

const APPLICATIONS: [&str; 5] = ["shop", "maps", "mail", "wiki", "news"];
/// How many each application has.
const OPERATIONS: usize = 20;

fn expected() -> Vec<BackupState> {
    let mut all = vec![Ready];
    for number in 0..OPERATIONS {
        all.extend([if number % 2 == 0 { BackingUp } else { Restoring }, Ready]);
    }
    all
}

async fn operate(primary: &PrimaryBackupTracker) {
    soon(primary.startup_complete()).await.unwrap();
    for number in 0..OPERATIONS {
        if number % 2 == 0 {
            soon(primary.start_backup()).await.unwrap();
            soon(primary.finish_backup()).await.unwrap();
        } else {
            soon(primary.start_restore()).await.unwrap();
            soon(primary.finish_restore()).await.unwrap();
        }
    }
}

fn primary(application: &str, sink: KafkaSink) -> PrimaryBackupTracker {
    PrimaryBackupTracker::builder(application, sink).build().unwrap()
}

/// A secondary, and what its listener was told.
struct Follower {
    tracker: SecondaryBackupTracker,
    told: Arc<Mutex<Vec<BackupState>>>,
}

impl Follower {
    async fn open(kafka: &Kafka, application: &str, group: &str) -> Self {
        let builder = kafka.source(group).partition_refresh(Duration::from_millis(200));
        let source = soon(builder.open()).await.unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&told);
        let tracker = SecondaryBackupTracker::builder(application, source)
            .on_change(move |change, _| noting.lock().unwrap().push(change.transition.to))
            .build()
            .unwrap();
        Self { tracker, told }
    }

    async fn is_told(&self, states: &[BackupState]) {
        soon(async {
            while self.told.lock().unwrap().len() < states.len() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert_eq!(*self.told.lock().unwrap(), states);
        let stats = self.tracker.stats();
        assert_eq!((stats.losses, stats.forbidden, stats.undecodable), (0, 0, 0), "{stats:?}");
    }
}

async fn trackers_agree(shared: &Shared, partitions: u32) {
    let topic = format!("test-{}", Uuid::new_v4());
    let kafka = Kafka::new(shared.servers(), &topic).create_topic(CreateTopic::new(partitions, 1));
    let mut pairs = Vec::new();
    for application in APPLICATIONS {
        let sink = soon(kafka.sink().open()).await.unwrap();
        assert_eq!(sink.partition_of(application), partition_for(application, partitions));
        let follower = Follower::open(&kafka, application, &format!("{topic}-{application}")).await;
        pairs.push((primary(application, sink), follower));
    }
    let operating = pairs.iter().map(|(primary, _)| operate(primary));
    futures(operating).await;
    for (_, follower) in &pairs {
        follower.is_told(&expected()).await;
        assert_eq!(follower.tracker.stats().gaps, 0);
    }
    for (number, (_, follower)) in pairs.into_iter().enumerate() {
        soon(follower.tracker.close()).await.unwrap();
        let session = soon(kafka.source(format!("{topic}-{}", APPLICATIONS[number])).open()).await.unwrap();
        assert!(session.resumed());
    }
}

/// All at once.
async fn futures(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

async fn trackers_agree_over_1_partition(shared: Arc<Shared>) {
    trackers_agree(&shared, 1).await;
}

async fn trackers_agree_over_3_partitions(shared: Arc<Shared>) {
    trackers_agree(&shared, 3).await;
}

async fn trackers_agree_over_12_partitions(shared: Arc<Shared>) {
    trackers_agree(&shared, 12).await;
}

async fn trackers_follow_into_partitions_that_are_added(shared: Arc<Shared>) {
    // Whose place is not the same with 1 partition and with 12.
    let moving = APPLICATIONS.into_iter().find(|name| partition_for(name, 12) != 0).unwrap();
    let topic = format!("test-{}", Uuid::new_v4());
    let kafka = Kafka::new(shared.servers(), &topic).create_topic(CreateTopic::new(1, 1));
    let sink = soon(kafka.sink().open()).await.unwrap();
    let group = format!("{topic}-search");
    let follower = Follower::open(&kafka, moving, &group).await;
    let before = primary(moving, sink);
    operate(&before).await;
    follower.is_told(&expected()).await;

    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", shared.servers()).create().unwrap();
    let more = NewPartitions::new(&topic, 12);
    soon(admin.create_partitions([&more], &AdminOptions::new())).await.unwrap()[0].as_ref().unwrap();
    // While the primary runs, its place stays the same; after its restart it is another one.
    soon(before.start_backup()).await.unwrap();
    soon(before.finish_backup()).await.unwrap();
    let mut all = expected();
    all.extend([BackingUp, Ready]);
    follower.is_told(&all).await;
    soon(before.close()).await.unwrap();
    let sink = soon(async {
        loop {
            let sink = kafka.sink().open().await.unwrap();
            if sink.partition_of(moving) == partition_for(moving, 12) {
                break sink;
            }
        }
    })
    .await;
    assert_ne!(sink.partition_of(moving), 0);
    operate(&primary(moving, sink)).await;
    all.extend(expected());
    follower.is_told(&all).await;
    soon(follower.tracker.close()).await.unwrap();
    let mut session = soon(kafka.source(&group).open()).await.unwrap();
    assert!(session.resumed());
    assert_eq!(soon(session.remaining()).await.unwrap().total(), 0);
    let mut others = soon(kafka.sink().open()).await.unwrap();
    send(&mut others, "maps", "one").await;
    assert_eq!(crate::support::texts(&mut session, 1).await, ["one"]);
}
