//! What is good and bad about a topic of Kafka.

mod group;
mod settings;

use backup_tracker::{ErrorKind, Result};
use backup_tracker_kafka::{Broker, Inspection, Partition, partition_for};

use self::group::group;
use self::settings::{cleanup, durability, event_size, retention, retention_size, timestamps};
use super::finding::{Checkup, Finding};
use super::need::Need;

pub(super) const CHECKS: [&str; 14] = [
    "broker",
    "topic",
    "partitions",
    "replication",
    "durability",
    "cleanup",
    "retention",
    "retention_size",
    "timestamps",
    "event_size",
    "write",
    "group",
    "group_members",
    "group_retention",
];

/// The group's distance from the end of the topic, where it has one.
pub(super) fn judge(found: &Inspection, need: &Need<'_>, checkup: &mut Checkup) -> Option<u64> {
    match &found.brokers {
        Ok(brokers) => checkup.push(broker(brokers)),
        Err(error) => {
            checkup.push(Finding::unreachable(
                error,
                "--kafka-user and --kafka-password, or the properties about TLS",
            ));
            checkup.fill(&CHECKS, "the broker was not reached");
            return None;
        }
    }
    let partitions = match &found.partitions {
        Ok(partitions) => partitions,
        Err(error) => {
            checkup.push(match error.kind() {
                ErrorKind::NotFound => Finding::problem(
                    "topic",
                    format!("there is no topic `{}`", need.topic),
                    "correct --backup-topic, or create it: one partition, on three brokers, with min.insync.replicas=2 and \
                     cleanup.policy=delete",
                ),
                ErrorKind::Denied => Finding::problem(
                    "topic",
                    error.message(),
                    "let the user describe the topic: ACL `Describe`, which `Read` and `Write` bring along",
                ),
                _ => Finding::problem("topic", error.message(), "see whether the brokers are all up"),
            });
            checkup.fill(&CHECKS, "there is no topic to look at");
            return None;
        }
    };
    checkup.push(topic(partitions));
    checkup.push(spread(partitions.len(), need.application));
    let settings = found.settings.as_ref();
    let fewest = |count: fn(&Partition) -> usize| partitions.iter().map(count).min().unwrap_or_default();
    let (replicas, in_sync) = (fewest(|p| p.replicas), fewest(|p| p.in_sync));
    checkup.push(replication(replicas, in_sync));
    match settings {
        Ok(settings) => {
            checkup.push(durability(settings, replicas, in_sync));
            checkup.push(cleanup(settings));
            checkup.push(retention(settings, need.absence));
            checkup.push(retention_size(settings));
            checkup.push(timestamps(settings));
            checkup.push(event_size(settings));
        }
        Err(error) => {
            for check in ["durability", "cleanup", "retention", "retention_size", "timestamps", "event_size"]
            {
                checkup.push(Finding::untold(check, error, "the ACL `DescribeConfigs` on the topic"));
            }
        }
    }
    checkup.push(write(&found.producer));
    group(found, need, checkup)
}

fn broker(brokers: &[Broker]) -> Finding {
    let names: Vec<_> = brokers.iter().map(|broker| format!("{} ({})", broker.address, broker.id)).collect();
    let count = if brokers.len() == 1 { "1 broker".to_owned() } else { format!("{} brokers", brokers.len()) };
    Finding::ok("broker", format!("reached; {count}: {}", names.join(", ")))
}

fn topic(partitions: &[Partition]) -> Finding {
    let leaderless: Vec<_> = partitions
        .iter()
        .filter(|partition| partition.leader.is_none())
        .map(|partition| partition.id.to_string())
        .collect();
    if leaderless.is_empty() {
        Finding::ok("topic", "it is there, and every partition has a leader")
    } else {
        Finding::problem(
            "topic",
            format!("no broker leads partition {}", leaderless.join(", ")),
            "start the brokers that keep it; until then nothing is read or written there",
        )
    }
}

fn spread(partitions: usize, application: Option<&str>) -> Finding {
    const CHECK: &str = "partitions";
    if partitions == 1 {
        return Finding::ok(CHECK, "1 partition");
    }
    let place = application.map(|name| {
        // A topic has never more than librdkafka counts in 32 bits.
        let partition = partition_for(name, u32::try_from(partitions).unwrap_or(u32::MAX));
        format!("; {name} is on partition {partition}")
    });
    Finding::warning(
        CHECK,
        format!("{partitions} partitions{}", place.unwrap_or_default()),
        "fine as long as every primary uses this library; a Java primary spreads its events by random keys, and their order is \
         lost: give it a topic with one partition",
    )
}

fn replication(replicas: usize, in_sync: usize) -> Finding {
    const CHECK: &str = "replication";
    if in_sync < replicas {
        return Finding::warning(
            CHECK,
            format!("{in_sync} of {replicas} replicas have everything"),
            "start the brokers that are down, or see why they lag",
        );
    }
    match replicas {
        0 | 1 => Finding::warning(
            CHECK,
            "every event is on one broker alone",
            "raise the replication factor to 3 with kafka-reassign-partitions: without that broker nothing is announced, and with \
             its disk all is lost",
        ),
        many => Finding::ok(CHECK, format!("{many} replicas, all in sync")),
    }
}

fn write(producer: &Result<()>) -> Finding {
    const CHECK: &str = "write";
    match producer {
        Ok(()) => Finding::unknown(
            CHECK,
            "a producer can be had; whether it may write to the topic is told by writing alone",
            "see that a primary's user has the ACL `Write` on the topic",
        ),
        Err(error) if error.kind() == ErrorKind::Denied => Finding::warning(
            CHECK,
            error.message(),
            "if a primary uses this user, give it the ACL `Write` on the topic (and `IdempotentWrite` on the cluster before Kafka \
             2.8); a secondary needs neither",
        ),
        Err(error) => Finding::untold(CHECK, error, "the ACL `Write` on the topic"),
    }
}

#[cfg(test)]
mod tests;
