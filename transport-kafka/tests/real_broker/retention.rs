//! Positions that last longer than a broker keeps them, and what Kafka's own tool says of them.

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::BackupState::{BackingUp, Ready};
use backup_tracker::{BackupTracker, EventSource, PrimaryBackupTracker, SecondaryBackupTracker, StartAt};
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use backup_tracker_kafka::rdkafka::{ClientConfig, Offset, TopicPartitionList};
use backup_tracker_kafka::{CreateTopic, Kafka};
use backup_tracker_test_servers::Kafka as Server;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::support::{send, soon};

const CONSUMER_GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
/// Longer than the broker keeps what nobody commits again, and it looks every second.
const FORGOTTEN: Duration = Duration::from_secs(100);

cases! {
    Shared, Needs::Own;
    positions_outlive_the_brokers_retention_while_their_sessions_live,
    kafkas_own_tool_shows_the_group_and_its_lag,
}

fn secondary(source: impl EventSource + 'static) -> SecondaryBackupTracker {
    let builder = SecondaryBackupTracker::builder("shop", source);
    builder.keep_alive(Duration::from_secs(10)).build().unwrap()
}

async fn in_state(secondary: &SecondaryBackupTracker, state: backup_tracker::BackupState) {
    soon(secondary.watch().wait_for(|now| *now == state)).await.unwrap();
}

async fn positions_outlive_the_brokers_retention_while_their_sessions_live(_: Arc<Shared>) {
    let forgetful = || {
        let builder = Server::builder().property("offsets.retention.minutes", "1");
        builder.property("offsets.retention.check.interval.ms", "1000").start()
    };
    let broker = tokio::task::spawn_blocking(forgetful).await.unwrap().unwrap();
    let kafka = Kafka::new(broker.servers(), "backups").create_topic(CreateTopic::new(3, 1));
    let sink = soon(kafka.sink().open()).await.unwrap();
    let primary = PrimaryBackupTracker::builder("shop", sink).build().unwrap();
    let quiet = secondary(soon(kafka.source("quiet").open()).await.unwrap());
    primary.startup_complete().await.unwrap();
    in_state(&quiet, Ready).await;
    // One whose application never speaks, and one whose operation runs.
    let often = Duration::from_millis(500);
    let start = kafka.source("new").start(StartAt::Latest).partition_refresh(often);
    let new = soon(start.open()).await.unwrap();
    let sink = soon(kafka.sink().open()).await.unwrap();
    let at_work = PrimaryBackupTracker::builder("maps", sink).build().unwrap();
    at_work.startup_complete().await.unwrap();
    let long = soon(kafka.source("long").partition_refresh(often).open()).await.unwrap();
    let long = SecondaryBackupTracker::builder("maps", long).build().unwrap();
    in_state(&long, Ready).await;
    at_work.start_backup().await.unwrap();
    in_state(&long, BackingUp).await;
    // One that committed as much, and then died.
    let dead = secondary(soon(kafka.source("dead").open()).await.unwrap());
    in_state(&dead, Ready).await;
    soon(dead.close()).await.unwrap();

    let forgetting = {
        let servers = broker.servers();
        tokio::task::spawn_blocking(move || {
            while stored(&servers, "dead") != [Offset::Invalid; 3] {
                std::thread::sleep(Duration::from_secs(1));
            }
        })
    };
    tokio::time::timeout(FORGOTTEN, forgetting).await.expect("the broker forgets in time").unwrap();
    assert!(!soon(kafka.source("dead").open()).await.unwrap().resumed());
    soon(long.close()).await.unwrap();
    assert!(soon(kafka.source("long").open()).await.unwrap().resumed());
    drop(new);
    let mut new = soon(kafka.source("new").open()).await.unwrap();
    assert!(!new.resumed());
    for state in ["READY", "BACKING_UP"] {
        let step = soon(new.next()).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&step.payload.unwrap()).contains(state), "{state}");
    }
    soon(quiet.close()).await.unwrap();
    let source = soon(kafka.source("quiet").open()).await.unwrap();
    assert!(source.resumed());
    let quiet = secondary(source);
    in_state(&quiet, Ready).await;
    soon(quiet.synced()).await.unwrap();
}

/// The group's offsets in the three partitions.
fn stored(servers: &str, group: &str) -> [Offset; 3] {
    let mut config = ClientConfig::new();
    let client: BaseConsumer =
        config.set("bootstrap.servers", servers).set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range("backups", 0, 2);
    let found = client.committed_offsets(list, Duration::from_secs(10)).unwrap();
    [0, 1, 2].map(|partition| found.find_partition("backups", partition).unwrap().offset())
}

async fn kafkas_own_tool_shows_the_group_and_its_lag(_: Arc<Shared>) {
    let broker = tokio::task::spawn_blocking(Server::start).await.unwrap().unwrap();
    let broker = Arc::new(broker);
    let kafka = Kafka::new(broker.servers(), "backups").create_topic(CreateTopic::new(1, 1));
    let mut others = soon(kafka.sink().open()).await.unwrap();
    let primary =
        PrimaryBackupTracker::builder("shop", soon(kafka.sink().open()).await.unwrap()).build().unwrap();
    let search = secondary(soon(kafka.source("search").open()).await.unwrap());
    primary.startup_complete().await.unwrap();
    in_state(&search, Ready).await;
    soon(primary.start_backup()).await.unwrap();
    in_state(&search, BackingUp).await;
    for number in 0..3 {
        send(&mut others, "maps", &number.to_string()).await;
    }
    // Behind the position are the running backup's beginning, and what others have sent since.
    assert_eq!(described(&broker).await, ("1".to_owned(), "5".to_owned(), "4".to_owned()));
    soon(primary.finish_backup()).await.unwrap();
    in_state(&search, Ready).await;
    assert_eq!(described(&broker).await, ("6".to_owned(), "6".to_owned(), "0".to_owned()));
}

/// Position, end and lag of the group `search`.
async fn described(broker: &Arc<Server>) -> (String, String, String) {
    let broker = Arc::clone(broker);
    let asking = tokio::task::spawn_blocking(move || {
        let servers = broker.servers();
        broker.tool(CONSUMER_GROUPS, &["--bootstrap-server", &servers, "--describe", "--group", "search"])
    });
    let said = asking.await.unwrap().unwrap();
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
    let line = said.lines().find(|line| line.starts_with("search ")).unwrap_or_else(|| panic!("{said}"));
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[..3], ["search", "backups", "0"], "{said}");
    (words[3].to_owned(), words[4].to_owned(), words[5].to_owned())
}
