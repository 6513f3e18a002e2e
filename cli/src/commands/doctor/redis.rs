//! What is good and bad about a stream of Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use backup_tracker::{ErrorKind, Result};
use backup_tracker_redis::{Group, Inspection, Stream};

use super::super::reading::time::{brief, now_millis};
use super::clock;
use super::finding::{Checkup, Finding};
use super::need::Need;

pub(super) const CHECKS: [&str; 12] = [
    "broker",
    "role",
    "persistence",
    "sync",
    "eviction",
    "memory",
    "stream",
    "retention",
    "write",
    "follow",
    "group",
    "group_members",
];

type Texts = BTreeMap<String, String>;

/// How many entries the group is behind the end, where the server tells.
pub(super) fn judge(found: &Inspection, need: &Need<'_>, checkup: &mut Checkup) -> Option<u64> {
    if let Err(error) = &found.key
        && matches!(error.kind(), ErrorKind::Unavailable)
    {
        checkup.push(Finding::unreachable(error, "user and password in --url-file"));
        checkup.fill(&CHECKS, "the server was not reached");
        return None;
    }
    // A user whom the server knows may still be allowed next to nothing, which the single checks show.
    if let Err(error) = &found.signed_in {
        checkup.push(Finding::unreachable(error, "user and password in --url-file"));
        checkup.fill(&CHECKS, "the server does not let this user in");
        return None;
    }
    server(&found.info, &found.settings, need.topic, checkup);
    if let Ok(times) = &found.clock {
        checkup.push(clock::judge(times.server, times.asked, times.answered));
    }
    checkup.push(stream(&found.key, &found.stream, need));
    checkup.push(match &found.stream {
        Ok(Some(stream)) => retention(*stream, need.absence, now_millis()),
        Ok(None) => Finding::unknown("retention", "there is no stream to look at", "mend that first"),
        Err(error) => Finding::untold("retention", error, "`+xinfo|stream`"),
    });
    let user = found.user.as_deref().unwrap_or("this user");
    checkup.push(may("write", user, "a primary", &found.permissions.primary));
    checkup.push(may("follow", user, "a secondary", &found.permissions.secondary));
    group(&found.groups, need, checkup)
}

fn server(info: &Result<Texts>, settings: &Result<Texts>, topic: &str, checkup: &mut Checkup) {
    const FROM_INFO: [&str; 5] = ["broker", "role", "persistence", "eviction", "memory"];
    match info {
        Ok(info) => {
            checkup.push(version(info, topic));
            checkup.push(role(info));
            checkup.push(persistence(info));
            checkup.push(eviction(info));
            checkup.push(memory(info));
            checkup.push(sync(info, settings));
        }
        Err(error) => {
            for check in FROM_INFO.iter().copied().chain(["sync"]) {
                let mut finding = Finding::untold(check, error, "`+info`");
                if check == "broker" {
                    finding = Finding::ok(check, "reached; it does not say of which version it is");
                }
                checkup.push(finding);
            }
        }
    }
}

fn version(info: &Texts, topic: &str) -> Finding {
    let version = info.get("redis_version").map_or("unknown", String::as_str);
    let mode = info.get("redis_mode").map_or("standalone", String::as_str);
    let seen = format!("reached; version {version}, {mode}");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match (major, mode) {
        (_, "cluster") if !has_hash_tag(topic) => Finding::problem(
            "broker",
            seen,
            format!(
                "give the topic a hash tag, --backup-topic '{{{topic}}}': on a cluster its two keys must be in one slot"
            ),
        ),
        (Some(..7), _) => Finding::problem("broker", seen, "upgrade it to Redis 7.0 or later"),
        (None, _) => Finding::unknown("broker", seen, "see that it is Redis 7.0 or later"),
        _ => Finding::ok("broker", seen),
    }
}

fn has_hash_tag(key: &str) -> bool {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tag.is_some_and(|(tag, _)| !tag.is_empty())
}

fn role(info: &Texts) -> Finding {
    let replicas = info.get("connected_slaves").map_or("0", String::as_str);
    match info.get("role").map(String::as_str) {
        Some("master") => Finding::ok("role", format!("the master, with {replicas} replicas")),
        Some("slave") => Finding::problem(
            "role",
            "a replica: it takes no announcements",
            "give an address in --url that leads to the present master",
        ),
        _ => Finding::unknown("role", "the server does not tell", "see that it is the master"),
    }
}

fn persistence(info: &Texts) -> Finding {
    const CHECK: &str = "persistence";
    let failed = |name: &str| info.get(name).is_some_and(|status| status != "ok");
    match info.get("aof_enabled").map(String::as_str) {
        Some("1") if failed("aof_last_write_status") => Finding::problem(
            CHECK,
            "the last write of the append-only file failed",
            "see whether the disk is full",
        ),
        Some("1") => Finding::ok(CHECK, "appendonly yes"),
        Some(_) => Finding::warning(
            CHECK,
            "appendonly no: what was announced since the last snapshot is gone with the process",
            "set appendonly yes and appendfsync always",
        ),
        None => Finding::unknown(CHECK, "the server does not tell", "see that appendonly is yes"),
    }
}

fn sync(info: &Texts, settings: &Result<Texts>) -> Finding {
    const CHECK: &str = "sync";
    if info.get("aof_enabled").is_some_and(|enabled| enabled != "1") {
        return Finding::warning(
            CHECK,
            "nothing is synced without an append-only file",
            "set appendonly yes first",
        );
    }
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return Finding::untold(CHECK, error, "`+config|get`"),
    };
    match settings.get("appendfsync").map(String::as_str) {
        Some("always") => Finding::ok(CHECK, "appendfsync always"),
        Some(other) => Finding::warning(
            CHECK,
            format!(
                "appendfsync {other}: an announcement that was acknowledged may be lost with the machine"
            ),
            "set appendfsync always: announcements are few",
        ),
        None => Finding::unknown(CHECK, "the server does not tell", "see that appendfsync is always"),
    }
}

fn eviction(info: &Texts) -> Finding {
    const CHECK: &str = "eviction";
    let Some(policy) = info.get("maxmemory_policy") else {
        return Finding::unknown(
            CHECK,
            "the server does not tell",
            "see that maxmemory-policy is noeviction",
        );
    };
    let limit = number(info, "maxmemory");
    match (policy.as_str(), limit) {
        (policy, _) if policy.starts_with("allkeys") => Finding::problem(
            CHECK,
            format!("maxmemory-policy {policy}: the server removes the whole stream when memory is short"),
            "set maxmemory-policy noeviction, or one of volatile-*: the stream has no time to live",
        ),
        (policy, _) => Finding::ok(CHECK, format!("maxmemory-policy {policy}")),
    }
}

fn memory(info: &Texts) -> Finding {
    const CHECK: &str = "memory";
    match (number(info, "used_memory"), number(info, "maxmemory")) {
        (Some(used), Some(limit)) if limit > 0 && used >= limit / 10 * 9 => Finding::warning(
            CHECK,
            format!("{used} of {limit} bytes are used: soon nothing can be announced"),
            "raise maxmemory, or free some",
        ),
        (Some(used), Some(0)) => Finding::ok(CHECK, format!("{used} bytes are used; maxmemory is not set")),
        (Some(used), Some(limit)) => Finding::ok(CHECK, format!("{used} of {limit} bytes are used")),
        _ => Finding::unknown(CHECK, "the server does not tell", "see how much memory is used"),
    }
}

fn stream(key: &Result<Option<String>>, stream: &Result<Option<Stream>>, need: &Need<'_>) -> Finding {
    const CHECK: &str = "stream";
    match (key, stream) {
        (Ok(None), _) => Finding::problem(
            CHECK,
            format!("there is no stream `{}`", need.topic),
            "correct --backup-topic, or let the first primary or secondary make it, with --create-topic",
        ),
        (Ok(Some(kind)), _) if kind != "stream" => Finding::problem(
            CHECK,
            format!("the key `{}` holds a {kind}", need.topic),
            "choose another name with --backup-topic",
        ),
        (_, Ok(Some(stream))) => Finding::ok(CHECK, format!("{} entries", stream.length)),
        (Ok(_), Ok(None)) => {
            Finding::unknown(CHECK, "the server does not tell", "look at it with XINFO STREAM")
        }
        (Err(error), _) if error.kind() != ErrorKind::Denied => {
            Finding::problem(CHECK, error.message(), "see what the server's log says")
        }
        (Err(error), _) | (_, Err(error)) => {
            Finding::untold(CHECK, error, "`+type` and `+xinfo|stream` on the stream")
        }
    }
}

fn retention(stream: Stream, absence: Duration, now: u64) -> Finding {
    const CHECK: &str = "retention";
    let Stream { length, added, oldest_millis, .. } = stream;
    let gone = added.saturating_sub(length);
    if gone == 0 {
        return Finding::ok(CHECK, "nothing was ever removed");
    }
    let seen = format!("{gone} entries were removed");
    let next = "trim to a greater length (MAXLEN), or less often";
    match oldest_millis.map(|oldest| Duration::from_millis(now.saturating_sub(oldest))) {
        Some(age) if age < absence => Finding::warning(
            CHECK,
            format!(
                "{seen}; the oldest that is left is {} old, and a secondary may be away for {}",
                brief(age),
                brief(absence)
            ),
            next,
        ),
        Some(age) => Finding::ok(CHECK, format!("{seen}; the oldest that is left is {} old", brief(age))),
        None => Finding::warning(CHECK, format!("{seen}, and none is left"), next),
    }
}

fn may(check: &'static str, user: &str, who: &str, allowed: &Result<Option<String>>) -> Finding {
    match allowed {
        Ok(None) => Finding::ok(check, format!("user `{user}` may do what {who} does")),
        Ok(Some(refusal)) => Finding::warning(
            check,
            refusal.trim_end_matches('.'),
            format!(
                "if {who} uses this user, give it the rules in the documentation of backup-tracker-redis"
            ),
        ),
        Err(error) => Finding::untold(check, error, "`+acl|whoami` and `+acl|dryrun`"),
    }
}

fn group(groups: &Result<Vec<Group>>, need: &Need<'_>, checkup: &mut Checkup) -> Option<u64> {
    let both = |checkup: &mut Checkup, finding: &dyn Fn(&'static str) -> Finding| {
        checkup.push(finding("group"));
        checkup.push(finding("group_members"));
    };
    let Some(wanted) = need.group else {
        both(checkup, &|check| {
            Finding::unknown(check, "no group is named", "give --group to have a secondary's looked at")
        });
        return None;
    };
    let groups = match groups {
        Ok(groups) => groups,
        Err(error) => {
            both(checkup, &|check| Finding::untold(check, error, "`+xinfo|groups` on the stream"));
            return None;
        }
    };
    let Some(group) = groups.iter().find(|group| group.name == wanted) else {
        let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
        let known = if names.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        checkup.push(Finding::warning(
            "group",
            format!("nobody has opened it yet; {known}"),
            "correct --group, or start the secondary; it begins where --read-policy says",
        ));
        checkup.push(Finding::unknown(
            "group_members",
            "there is no such group",
            "start the secondary first",
        ));
        return None;
    };
    checkup.push(Finding::ok("group", format!("its position is {}", group.position)));
    checkup.push(match (group.consumers, group.pending) {
        (0, 0) => Finding::ok("group_members", "nobody consumes with it, as it should be"),
        (consumers, pending) => Finding::problem(
            "group_members",
            format!(
                "{consumers} consumers, {pending} pending entries: another program reads with it (XREADGROUP)"
            ),
            "give the secondary a group of its own: what others are given moves its position",
        ),
    });
    group.lag
}

fn number(texts: &Texts, name: &str) -> Option<u64> {
    texts.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests;
