//! What is good and bad about a topic of Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backup_tracker::{ErrorKind, Result};
use backup_tracker_kafka::{Broker, GroupInspection, Inspection, Partition, partition_for};

use super::super::reading::time::brief;
use super::finding::{Checkup, Finding};
use super::need::{Need, kept};

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

/// Below this size a topic keeps some ten thousand announcements, and whatever else is written may drive them out.
const SMALL_TOPIC: u64 = 10 * 1024 * 1024;
/// An announcement with the headers of a tracing library fits well.
const ROOM_FOR_AN_EVENT: u64 = 16 * 1024;

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

fn durability(settings: &BTreeMap<String, String>, replicas: usize, in_sync: usize) -> Finding {
    const CHECK: &str = "durability";
    const NAME: &str = "min.insync.replicas";
    let Some(least) = number::<usize>(settings, NAME) else { return not_told(CHECK, NAME) };
    let seen = format!("{NAME}={least}, {in_sync} of {replicas} replicas in sync");
    if least > replicas {
        let next = format!("lower {NAME}, or raise the replication factor: nothing can be announced");
        return Finding::problem(CHECK, seen, next);
    }
    if least > in_sync {
        return Finding::problem(CHECK, seen, "start the brokers that are down: nothing can be announced");
    }
    match (least, replicas) {
        (1, 2..) => Finding::warning(
            CHECK,
            seen,
            format!(
                "set {NAME}=2: an announcement may be acknowledged by one broker alone, and be lost with it"
            ),
        ),
        (2.., _) if least == replicas => {
            Finding::warning(CHECK, seen, "add a replica: while one broker is down nothing can be announced")
        }
        _ => Finding::ok(CHECK, seen),
    }
}

fn cleanup(settings: &BTreeMap<String, String>) -> Finding {
    const CHECK: &str = "cleanup";
    const NAME: &str = "cleanup.policy";
    let Some(policy) = settings.get(NAME) else { return not_told(CHECK, NAME) };
    let seen = format!("{NAME}={policy}");
    if policy.split(',').any(|word| word.trim() == "compact") {
        return Finding::problem(
            CHECK,
            seen,
            "set cleanup.policy=delete: the topic is a history, and compaction keeps of each key the last event alone",
        );
    }
    Finding::ok(CHECK, seen)
}

fn retention(settings: &BTreeMap<String, String>, absence: Duration) -> Finding {
    const CHECK: &str = "retention";
    const NAME: &str = "retention.ms";
    match number::<i64>(settings, NAME) {
        None => not_told(CHECK, NAME),
        Some(millis) => match u64::try_from(millis) {
            Err(_) => Finding::ok(CHECK, format!("{NAME}={millis}: events are kept for ever")),
            Ok(millis) => kept(CHECK, Duration::from_millis(millis), absence, |seconds| {
                format!("set {NAME}={}", u128::from(seconds) * 1000)
            }),
        },
    }
}

fn retention_size(settings: &BTreeMap<String, String>) -> Finding {
    const CHECK: &str = "retention_size";
    const NAME: &str = "retention.bytes";
    let Some(bytes) = number::<i64>(settings, NAME) else { return not_told(CHECK, NAME) };
    match u64::try_from(bytes) {
        Err(_) => Finding::ok(CHECK, format!("{NAME}={bytes}: no limit")),
        Ok(bytes) if bytes < SMALL_TOPIC => Finding::warning(
            CHECK,
            format!("{NAME}={bytes}: the oldest events are removed beyond that, however young"),
            format!("set {NAME}=-1, or {SMALL_TOPIC} or more"),
        ),
        Ok(bytes) => {
            Finding::ok(CHECK, format!("{NAME}={bytes} for each partition, far more than announcements need"))
        }
    }
}

fn timestamps(settings: &BTreeMap<String, String>) -> Finding {
    const CHECK: &str = "timestamps";
    const NAME: &str = "message.timestamp.type";
    match settings.get(NAME).map(String::as_str) {
        None => not_told(CHECK, NAME),
        Some("LogAppendTime") => Finding::ok(CHECK, "LogAppendTime: retention goes by the broker's clock"),
        Some(other) => Finding::ok(CHECK, format!("{other}: retention goes by the clocks of the primaries")),
    }
}

fn event_size(settings: &BTreeMap<String, String>) -> Finding {
    const CHECK: &str = "event_size";
    const NAME: &str = "max.message.bytes";
    match number::<u64>(settings, NAME) {
        None => not_told(CHECK, NAME),
        Some(bytes) if bytes < ROOM_FOR_AN_EVENT => Finding::warning(
            CHECK,
            format!("{NAME}={bytes}: an announcement with many headers may be too large"),
            format!("set {NAME}={ROOM_FOR_AN_EVENT} or more"),
        ),
        Some(bytes) => Finding::ok(CHECK, format!("{NAME}={bytes}")),
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

fn group(found: &Inspection, need: &Need<'_>, checkup: &mut Checkup) -> Option<u64> {
    let Some(GroupInspection { offsets, members, .. }) = &found.group else {
        for check in ["group", "group_members", "group_retention"] {
            checkup.push(Finding::unknown(
                check,
                "no group is named",
                "give --group to have a secondary's looked at",
            ));
        }
        return None;
    };
    let position = match (offsets, &found.bounds) {
        (Ok(offsets), Ok(bounds)) => {
            let offsets: Vec<_> =
                offsets.iter().map(|stored| stored.map(|stored| (stored.offset, stored.is_start))).collect();
            position(&offsets, bounds)
        }
        (Err(error), _) if error.kind() == ErrorKind::Denied => Position {
            finding: Finding::problem(
                "group",
                error.message(),
                "let the secondary's user have the ACL `Read` on the group, which brings `Describe` along",
            ),
            lag: None,
        },
        (Err(error), _) | (_, Err(error)) => Position {
            finding: Finding::untold("group", error, "the ACL `Describe` on the topic"),
            lag: None,
        },
    };
    checkup.push(position.finding);
    checkup.push(match members {
        Ok(0) => Finding::ok("group_members", "nobody has joined the group, as it should be"),
        Ok(count) => Finding::problem(
            "group_members",
            format!("{count} members have joined the group: another program subscribes with it"),
            "give the secondary a group of its own: with members in it the broker refuses its commits",
        ),
        Err(error) => Finding::untold("group_members", error, "the ACL `Describe` on the group"),
    });
    checkup.push(match &found.broker_settings {
        Ok(settings) => group_retention(settings, need.absence),
        Err(error) => Finding::untold("group_retention", error, "the ACL `DescribeConfigs` on the cluster"),
    });
    position.lag
}

struct Position {
    finding: Finding,
    lag: Option<u64>,
}

/// Offsets, each with whether it is only a start, and each partition's first and last.
fn position(offsets: &[Option<(i64, bool)>], bounds: &[(i64, i64)]) -> Position {
    const CHECK: &str = "group";
    if offsets.iter().all(Option::is_none) {
        let finding = Finding::warning(
            CHECK,
            "it has no position: nobody has opened it yet, or it was away for so long that the broker forgot it",
            "correct --group, or start the secondary; it begins where --read-policy says",
        );
        return Position { finding, lag: None };
    }
    let lost: BTreeSet<_> = offsets
        .iter()
        .zip(bounds)
        .enumerate()
        .filter(|(_, (stored, (low, high)))| {
            stored.is_some_and(|(offset, _)| !(*low..=*high).contains(&offset))
        })
        .map(|(partition, _)| partition.to_string())
        .collect();
    // Where none is stored the partition is new, and read from its beginning.
    let lag = offsets
        .iter()
        .zip(bounds)
        .map(|(stored, &(low, high))| {
            let offset = stored.map_or(low, |(offset, _)| offset);
            u64::try_from(high - if (low..=high).contains(&offset) { offset } else { low })
                .unwrap_or_default()
        })
        .sum();
    let finding = if !lost.is_empty() {
        let partitions = lost.into_iter().collect::<Vec<_>>().join(", ");
        Finding::problem(
            CHECK,
            format!("the topic does not hold its position any more (partition {partitions})"),
            "raise the retention; the secondary's next start says `Lost` once and goes on at the earliest event",
        )
    } else if offsets.iter().flatten().all(|(_, is_start)| *is_start) {
        Finding::ok(CHECK, "its start is fixed; it has not committed yet")
    } else {
        let offsets: Vec<_> = offsets
            .iter()
            .map(|stored| stored.map_or_else(|| "-".to_owned(), |(offset, _)| offset.to_string()))
            .collect();
        Finding::ok(CHECK, format!("its position is at offset {}", offsets.join(", ")))
    };
    Position { finding, lag: Some(lag) }
}

fn group_retention(settings: &BTreeMap<String, String>, absence: Duration) -> Finding {
    const CHECK: &str = "group_retention";
    const NAME: &str = "offsets.retention.minutes";
    match number::<u64>(settings, NAME) {
        None => not_told(CHECK, NAME),
        Some(minutes) => {
            let kept = Duration::from_secs(minutes.saturating_mul(60));
            let seen = format!("the broker forgets a silent group after {}", brief(kept));
            if kept < absence {
                let least = absence.as_secs().div_ceil(60);
                let next = format!(
                    "set {NAME}={least} or more on the brokers: a secondary may be away for {}",
                    brief(absence)
                );
                Finding::warning(CHECK, seen, next)
            } else {
                Finding::ok(CHECK, seen)
            }
        }
    }
}

fn number<T: std::str::FromStr>(settings: &BTreeMap<String, String>, name: &str) -> Option<T> {
    settings.get(name)?.parse().ok()
}

fn not_told(check: &'static str, name: &str) -> Finding {
    Finding::unknown(check, format!("the broker does not tell {name}"), "look at it with kafka-configs")
}

#[cfg(test)]
mod tests;
