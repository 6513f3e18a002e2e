//! A broker that is stopped politely, and topics that come again under the same name, with everything that tells them apart against
//! us: as long as the old one or longer, with the same leader's epoch or a lower one, to young clients and to old ones.

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::BackupState::{BackingUp, Ready};
use backup_tracker::{
    BackupTracker, ErrorKind, EventSource, Health, PrimaryBackupTracker, SecondaryBackupTracker,
};
use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use backup_tracker_kafka::rdkafka::{Offset, TopicPartitionList};
use backup_tracker_kafka::{CreateTopic, Kafka, KafkaSource};
use backup_tracker_test_servers::Kafka as Server;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::proxy::{Mode, Proxy};
use crate::support::{send, soon, text, texts};

cases! {
    Shared, Needs::Own;
    a_broker_that_is_stopped_politely_and_started_again_ends_nobody,
    a_longer_topic_of_the_same_name_is_lost_once_and_read_from_its_beginning,
    a_longer_topic_whose_leader_has_a_lower_epoch_is_lost_once,
    a_new_session_is_not_taken_in_by_offsets_that_are_valid_again,
}

const TOPIC: &str = "backups";
/// For how long a young client does not believe that a topic is gone, 30 s by default. An old one believes it at once.
const AGE: &str = "topic.metadata.propagation.max.ms";

async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn start() -> (Server, Kafka) {
    let server = elsewhere(|| Server::start().unwrap()).await;
    let kafka = Kafka::new(server.servers(), TOPIC);
    create(&kafka).await;
    (server, kafka)
}

async fn create(kafka: &Kafka) {
    drop(soon(kafka.clone().create_topic(CreateTopic::new(1, 1)).sink().open()).await.unwrap());
}

/// Stops the broker as an operator does, and starts it again. Its partitions have a higher leader's epoch then.
async fn politely_restarted(mut server: Server) -> Server {
    elsewhere(move || {
        server.stop().unwrap();
        server.restart().unwrap();
        server
    })
    .await
}

async fn recreate(server: &Server, kafka: &Kafka, texts: &[&str]) {
    let client = ClientConfig::new().set("bootstrap.servers", server.servers()).clone();
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    soon(admin.delete_topics(&[TOPIC], &AdminOptions::new())).await.unwrap();
    soon(async { while kafka.sink().open().await.is_ok() {} }).await;
    create(kafka).await;
    write(kafka, texts).await;
}

async fn write(kafka: &Kafka, texts: &[&str]) {
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    for text in texts {
        send(&mut sink, "app", text).await;
    }
}

/// What comes until the last of these texts, and how often something was lost before.
async fn read_on(source: &mut KafkaSource, last: &str) -> (usize, Vec<String>) {
    let (mut lost, mut seen) = (0, Vec::new());
    while seen.last().is_none_or(|text| text != last) {
        match tokio::time::timeout(Duration::from_secs(60), source.next()).await.unwrap() {
            Ok(record) => seen.push(text(&record.unwrap())),
            Err(error) if error.kind() == ErrorKind::Lost => {
                lost += 1;
                seen.clear();
            }
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    (lost, seen)
}

async fn a_broker_that_is_stopped_politely_and_started_again_ends_nobody(_: Arc<Shared>) {
    let (server, kafka) = start().await;
    let primary = soon(kafka.sink().open()).await.unwrap();
    let primary = PrimaryBackupTracker::builder("shop", primary).build().unwrap();
    let mut secondaries = Vec::new();
    for (number, age) in ["0", "30000"].repeat(3).into_iter().enumerate() {
        let source = kafka.clone().property(AGE, age).source(format!("group-{number}"));
        let source = soon(source.open()).await.unwrap();
        secondaries.push(SecondaryBackupTracker::builder("shop", source).build().unwrap());
    }
    let all_in = async |state| {
        for secondary in &secondaries {
            soon(secondary.watch().wait_for(|now| *now == state)).await.unwrap();
        }
    };
    soon(primary.startup_complete()).await.unwrap();
    all_in(Ready).await;
    let mut server = server;
    for _ in 0..3 {
        server = politely_restarted(server).await;
        soon(primary.start_backup()).await.unwrap();
        all_in(BackingUp).await;
        soon(primary.finish_backup()).await.unwrap();
        all_in(Ready).await;
    }
    for secondary in &secondaries {
        soon(secondary.health_is(Health::is_healthy)).await;
        assert_eq!(secondary.stats().losses, 0);
    }
}

async fn a_longer_topic_of_the_same_name_is_lost_once_and_read_from_its_beginning(_: Arc<Shared>) {
    let (server, kafka) = start().await;
    is_lost_once(server, kafka).await;
}

/// librdkafka believes no leader with a lower epoch than the one that it knows.
async fn a_longer_topic_whose_leader_has_a_lower_epoch_is_lost_once(_: Arc<Shared>) {
    let (server, kafka) = start().await;
    is_lost_once(politely_restarted(server).await, kafka).await;
}

async fn is_lost_once(server: Server, kafka: Kafka) {
    write(&kafka, &["one", "two", "three"]).await;
    let mut sources = Vec::new();
    let proxy = Proxy::start(&server.servers()).await.unwrap();
    for (group, age) in [("young", "30000"), ("old", "0")] {
        let kafka = Kafka::new(proxy.servers(), TOPIC).property(AGE, age);
        sources.push(soon(kafka.source(group).open()).await.unwrap());
        sources.push(soon(kafka.observer().open()).await.unwrap());
    }
    for source in &mut sources {
        assert_eq!(texts(source, 3).await, ["one", "two", "three"]);
    }
    // They see the new topic when it is longer than the old one was.
    proxy.set(Mode::BlackHole);
    let new = ["new 1", "new 2", "new 3", "new 4", "new 5"];
    recreate(&server, &kafka, &new).await;
    proxy.renew().await;
    for source in &mut sources {
        let (lost, seen) = read_on(source, "new 5").await;
        assert_eq!((lost, &*seen), (1, new.map(str::to_owned).as_slice()), "{source:?}");
        assert!(!source.resumed());
        soon(async { while source.commit().await.is_err() {} }).await;
    }
}

async fn a_new_session_is_not_taken_in_by_offsets_that_are_valid_again(_: Arc<Shared>) {
    let (server, kafka) = start().await;
    write(&kafka, &["one", "two"]).await;
    let mut source = soon(kafka.source("search").open()).await.unwrap();
    texts(&mut source, 2).await;
    soon(source.commit()).await.unwrap();
    drop(source);

    // The broker deletes the offsets with the topic; a backup of them, or a cluster that was mirrored, brings them back.
    let tool: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", server.servers())
        .set("group.id", "search")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(TOPIC, 0);
    let limit = Duration::from_secs(20);
    let before = tool.committed_offsets(list, limit).unwrap();
    assert_eq!(before.elements()[0].offset(), Offset::Offset(2));
    recreate(&server, &kafka, &["one", "two"]).await;
    soon(async { while tool.commit(&before, CommitMode::Sync).is_err() {} }).await;

    let mut source = soon(kafka.source("search").open()).await.unwrap();
    assert!(!source.resumed());
    assert_eq!(read_on(&mut source, "two").await, (1, vec!["one".to_owned(), "two".to_owned()]));
    soon(source.commit()).await.unwrap();
    drop(source);
    let source = soon(kafka.source("search").open()).await.unwrap();
    assert!(source.resumed());
}
