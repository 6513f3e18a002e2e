//! What the settings of a topic and a broker mean for us.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::need::kept;
use crate::commands::reading::time::brief;

/// Below this size a topic keeps some ten thousand announcements, and whatever else is written may drive them out.
const SMALL_TOPIC: u64 = 10 * 1024 * 1024;
/// An announcement with the headers of a tracing library fits well.
const ROOM_FOR_AN_EVENT: u64 = 16 * 1024;

pub(super) fn durability(settings: &BTreeMap<String, String>, replicas: usize, in_sync: usize) -> Finding {
    const CHECK: &str = "durability";
    const NAME: &str = "min.insync.replicas";
    let Some(least) = number::<usize>(settings, NAME) else { return not_told(CHECK, NAME) };
    let seen = format!("{NAME}={least}, {in_sync} of {replicas} replicas in sync");
    if least > replicas {
        let next = format!(
            "lower {NAME}, or raise the replication factor: Kafka 4.3 is content with all replicas there are, an older broker may \
             take no announcement"
        );
        return Finding::warning(CHECK, seen, next);
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

pub(super) fn cleanup(settings: &BTreeMap<String, String>) -> Finding {
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

pub(super) fn retention(settings: &BTreeMap<String, String>, absence: Duration) -> Finding {
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

pub(super) fn retention_size(settings: &BTreeMap<String, String>) -> Finding {
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

pub(super) fn timestamps(settings: &BTreeMap<String, String>) -> Finding {
    const CHECK: &str = "timestamps";
    const NAME: &str = "message.timestamp.type";
    match settings.get(NAME).map(String::as_str) {
        None => not_told(CHECK, NAME),
        Some("LogAppendTime") => Finding::ok(CHECK, "LogAppendTime: retention goes by the broker's clock"),
        Some(other) => Finding::ok(CHECK, format!("{other}: retention goes by the clocks of the primaries")),
    }
}

pub(super) fn event_size(settings: &BTreeMap<String, String>) -> Finding {
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

pub(super) fn group_retention(settings: &BTreeMap<String, String>, absence: Duration) -> Finding {
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
