//! A service at a time on a live topic, from Java and back, in both formats: what the page for those who come from Java promises.
//!
//! The Java services are stood in for by what they do on the wire: a producer that writes their bytes under a random key, and a
//! member of the group that reads as strictly as Jackson and commits at Ready.

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::BackupState::{BackingUp, Ready, Restoring};
use backup_tracker::{BackupState, BackupTracker, PrimaryBackupTracker, SecondaryBackupTracker, WireFormat};
use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use backup_tracker_kafka::rdkafka::message::Message;
use backup_tracker_kafka::rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use backup_tracker_kafka::{CreateTopic, Kafka};
use serde_json::Value;
use uuid::Uuid;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::support::{PATIENCE, soon};

cases! {
    Shared, Needs::Any;
    services_move_one_at_a_time_and_back_with_backup_json,
    services_move_one_at_a_time_and_back_with_action_json,
}

async fn services_move_one_at_a_time_and_back_with_backup_json(shared: Arc<Shared>) {
    let java = ["READY", "BACKING_UP", "RESTORING"];
    services_move(Java::new(&shared, WireFormat::BackupJson, java)).await;
}

async fn services_move_one_at_a_time_and_back_with_action_json(shared: Arc<Shared>) {
    services_move(Java::new(&shared, WireFormat::ActionJson, ["READY", "PROCESSING", "PROCESSING"])).await;
}

async fn services_move(java: Java) {
    let create = java.kafka.clone().create_topic(CreateTopic::new(1, 1));
    drop(soon(create.sink().open()).await.unwrap());

    // All of them in Java.
    java.says("STARTING", java.ready, None);
    java.says(java.ready, java.backing_up, Some("backup"));
    java.says(java.backing_up, java.ready, Some("backup"));
    let member = java.secondary();
    for to in [java.ready, java.backing_up, java.ready] {
        assert_eq!(java.reads(&member), to);
    }
    drop(member);

    // A secondary comes to us, in its group. It is Ready where Java was.
    let secondary = ours(&java).await;
    assert_eq!(secondary.state(), Ready);
    java.says(java.ready, java.restoring, Some("restore"));
    in_state(&secondary, Restoring).await;
    java.says(java.restoring, java.ready, Some("restore"));
    in_state(&secondary, Ready).await;

    // The Java primary stops in the middle of a backup, and ours takes over.
    java.says(java.ready, java.backing_up, Some("backup"));
    in_state(&secondary, BackingUp).await;
    let sink = soon(java.kafka.sink().open()).await.unwrap();
    let primary = PrimaryBackupTracker::builder("shop", sink).wire_format(java.format).build().unwrap();
    soon(primary.startup_complete()).await.unwrap();
    in_state(&secondary, Ready).await;
    soon(primary.start_backup()).await.unwrap();
    in_state(&secondary, BackingUp).await;
    soon(primary.finish_backup()).await.unwrap();
    in_state(&secondary, Ready).await;

    // The secondary goes back. It finds our position, and reads what our primary says.
    soon(secondary.close()).await.unwrap();
    soon(primary.start_restore()).await.unwrap();
    soon(primary.finish_restore()).await.unwrap();
    let member = java.secondary();
    assert_eq!(java.reads(&member), java.restoring);
    assert_eq!(java.reads(&member), java.ready);
    drop(member);

    // And the primary, in the middle of a backup that it did not live to finish.
    let secondary = ours(&java).await;
    soon(primary.start_backup()).await.unwrap();
    in_state(&secondary, BackingUp).await;
    drop(primary);
    java.says("STARTING", java.ready, None);
    in_state(&secondary, Ready).await;
    let stats = secondary.stats();
    assert_eq!((stats.undecodable, stats.forbidden, stats.losses), (0, 0, 0), "{stats:?}");
    assert_eq!(stats.gaps, 1, "{stats:?}");
    soon(secondary.close()).await.unwrap();
}

async fn ours(java: &Java) -> SecondaryBackupTracker {
    let source = soon(java.kafka.source(&java.group).open()).await.unwrap();
    let secondary = SecondaryBackupTracker::builder("shop", source).build().unwrap();
    soon(secondary.synced()).await.unwrap();
    secondary
}

async fn in_state(secondary: &SecondaryBackupTracker, state: BackupState) {
    soon(secondary.watch().wait_for(|now| *now == state)).await.unwrap();
}

/// The services in Java, of one format.
struct Java {
    format: WireFormat,
    ready: &'static str,
    backing_up: &'static str,
    restoring: &'static str,
    topic: String,
    group: String,
    kafka: Kafka,
    client: ClientConfig,
    producer: BaseProducer,
}

impl Java {
    fn new(shared: &Shared, format: WireFormat, [ready, backing_up, restoring]: [&'static str; 3]) -> Self {
        let topic = format!("test-{}", Uuid::new_v4());
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", shared.servers());
        Self {
            format,
            ready,
            backing_up,
            restoring,
            group: format!("{topic}-search"),
            kafka: Kafka::new(shared.servers(), &topic),
            producer: client.create().unwrap(),
            client,
            topic,
        }
    }

    /// Writes a step as the Java primary does.
    fn says(&self, from: &str, to: &str, action: Option<&str>) {
        let id = Uuid::new_v4().to_string();
        let action = match (self.format, action) {
            (WireFormat::ActionJson, Some(action)) => format!(r#""action":"{action}","#),
            (WireFormat::ActionJson, None) => r#""action":null,"#.to_owned(),
            _ => String::new(),
        };
        let value = format!(
            r#"{{"id":"{id}","application":"shop",{action}"timestamp":1752230923000,"from":"{from}","to":"{to}"}}"#
        );
        let record = BaseRecord::to(&self.topic).key(&id).payload(&value);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        self.producer.flush(PATIENCE).unwrap();
    }

    /// A secondary in Java: a member of the group.
    fn secondary(&self) -> BaseConsumer {
        let mut config = self.client.clone();
        config.set("group.id", &self.group).set("auto.offset.reset", "earliest");
        let member: BaseConsumer = config.set("enable.auto.commit", "false").create().unwrap();
        member.subscribe(&[&self.topic]).unwrap();
        member
    }

    /// The state to which the next step leads. Nothing is in it that would stop Jackson; and at Ready it is committed.
    fn reads(&self, member: &BaseConsumer) -> String {
        let end = std::time::Instant::now() + PATIENCE;
        let record = std::iter::repeat_with(|| member.poll(Duration::from_millis(50)))
            .take_while(|_| std::time::Instant::now() < end)
            .flatten()
            .next();
        let record = record.unwrap().unwrap();
        let step: Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
        let mut fields: Vec<_> = step.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        let action: &[_] = if self.format == WireFormat::ActionJson { &["action"] } else { &[] };
        assert_eq!(fields, [action, &["application", "from", "id", "timestamp", "to"]].concat(), "{step}");
        let key = std::str::from_utf8(record.key().unwrap()).unwrap();
        assert_eq!(key.parse::<Uuid>().unwrap().to_string(), step["id"], "{step}");
        for state in [&step["from"], &step["to"]] {
            let known = ["STARTING", self.ready, self.backing_up, self.restoring];
            assert!(known.iter().any(|known| state == known), "{step}");
        }
        let to = step["to"].as_str().unwrap().to_owned();
        if to == self.ready {
            member.commit_message(&record, CommitMode::Sync).unwrap();
        }
        to
    }
}
