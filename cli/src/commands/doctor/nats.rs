//! What is good and bad about a topic on NATS JetStream.

use std::time::{Duration, SystemTime};

use backup_tracker::{ErrorKind, Result};
use backup_tracker_nats::async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use backup_tracker_nats::{GroupPosition, Inspection, Server, Stream};

use super::clock;
use super::finding::{Checkup, Finding};
use super::need::{Need, kept};

pub(super) const CHECKS: [&str; 12] = [
    "broker",
    "stream",
    "retention",
    "retention_size",
    "discard",
    "replication",
    "storage",
    "duplicates",
    "event_size",
    "write",
    "bucket",
    "group",
];

/// Below this size a stream keeps some ten thousand announcements.
const SMALL_STREAM: i64 = 10 * 1024 * 1024;
const FEW_MESSAGES: i64 = 10_000;
const ROOM_FOR_AN_EVENT: usize = 16 * 1024;
/// A primary tries again for about as long.
const SHORT_WINDOW: Duration = Duration::from_secs(60);

/// How many messages the group is behind the end, at most.
pub(super) fn judge(found: &Inspection, need: &Need<'_>, checkup: &mut Checkup) -> Option<u64> {
    let server = match &found.server {
        Ok(server) => server,
        Err(error) => {
            checkup.push(Finding::unreachable(
                error,
                "--backup-credentials, or user and password in --url-file",
            ));
            checkup.fill(&CHECKS, "no server was reached, or it will not do");
            return None;
        }
    };
    checkup.push(broker(server));
    match &found.stream {
        Ok(stream) => {
            checkup.push(self::stream(stream));
            settings(&stream.config, server, need, checkup);
            if let Some(server) = stream.server_time.as_deref().and_then(time) {
                checkup.push(clock::judge(server, stream.asked, stream.answered));
            }
        }
        Err(error) => {
            checkup.push(match error.kind() {
                ErrorKind::NotFound => Finding::problem(
                    "stream",
                    format!("there is no stream for topic `{}`", need.topic),
                    format!(
                        "correct --backup-topic, or create it, for example with `nats stream add --subjects '{}.*' --defaults`",
                        need.topic
                    ),
                ),
                ErrorKind::Denied => Finding::problem(
                    "stream",
                    error.message(),
                    "let the user publish to the subject that is named: primaries and secondaries need it",
                ),
                _ => Finding::problem("stream", error.message(), "see whether JetStream is on and the stream has a leader"),
            });
            checkup.fill(
                &["retention", "retention_size", "discard", "replication", "storage"],
                "there is no stream to look at",
            );
            checkup.fill(&["duplicates", "event_size"], "there is no stream to look at");
        }
    }
    checkup.push(Finding::unknown(
        "write",
        format!("whether this user may publish to `{}.*` is told by publishing alone", need.topic),
        "see that a primary's user may",
    ));
    checkup.push(bucket(found.bucket.as_ref(), need));
    group(found, need, checkup)
}

fn time(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

fn broker(server: &Server) -> Finding {
    let Server { name, version, .. } = server;
    let seen = format!("reached; {name}, version {version}");
    if server.jetstream {
        Finding::ok("broker", format!("{seen}, with JetStream"))
    } else {
        Finding::problem(
            "broker",
            format!("{seen}, without JetStream"),
            "start it with `-js`, or with a block `jetstream {}`",
        )
    }
}

fn stream(stream: &Stream) -> Finding {
    const CHECK: &str = "stream";
    match &stream.unfit {
        Some(why) => Finding::problem(
            CHECK,
            format!("`{}` {why}", stream.config.name),
            "mend it with `nats stream edit`, or make another one: opening refuses it",
        ),
        None => {
            let subjects = stream.config.subjects.join("`, `");
            let (name, messages) = (&stream.config.name, stream.messages);
            Finding::ok(CHECK, format!("`{name}` stores `{subjects}`; {messages} messages"))
        }
    }
}

fn settings(config: &Config, server: &Server, need: &Need<'_>, checkup: &mut Checkup) {
    checkup.push(if config.max_age.is_zero() {
        Finding::ok("retention", "no limit of age: events are kept for ever")
    } else {
        kept("retention", config.max_age, need.absence, |seconds| format!("set --max-age {seconds}s"))
    });
    checkup.push(size(config));
    checkup.push(discard(config));
    checkup.push(replication("replication", config.num_replicas));
    checkup.push(match config.storage {
        StorageType::File => Finding::ok("storage", "in files"),
        StorageType::Memory => Finding::warning(
            "storage",
            "in memory: what was announced is gone when its servers end",
            "make the stream anew with file storage; it cannot be changed",
        ),
    });
    checkup.push(if config.duplicate_window < SHORT_WINDOW {
        Finding::warning(
            "duplicates",
            format!("repetitions are known for {:?} only", config.duplicate_window),
            "set --dupe-window 2m: an announcement that is tried again would be stored twice",
        )
    } else {
        Finding::ok("duplicates", format!("repetitions are known for {:?}", config.duplicate_window))
    });
    // The stream's limit is -1 or 0 where it has none.
    let own = usize::try_from(config.max_message_size).ok().filter(|limit| *limit > 0);
    let room = own.map_or(server.max_payload, |own| own.min(server.max_payload));
    checkup.push(if room < ROOM_FOR_AN_EVENT {
        Finding::warning(
            "event_size",
            format!("{room} bytes: an announcement with many headers may be too large"),
            "raise max_msg_size of the stream, and max_payload of the server",
        )
    } else {
        Finding::ok("event_size", format!("{room} bytes"))
    });
}

fn size(config: &Config) -> Finding {
    const CHECK: &str = "retention_size";
    let limit = |limit: i64| (limit > 0).then_some(limit);
    let (bytes, messages) = (limit(config.max_bytes), limit(config.max_messages));
    let words: Vec<_> = [(bytes, "bytes"), (messages, "messages")]
        .into_iter()
        .filter_map(|(limit, unit)| limit.map(|limit| format!("{limit} {unit}")))
        .collect();
    if words.is_empty() {
        return Finding::ok(CHECK, "no limit");
    }
    let seen = format!("at most {}", words.join(", "));
    if bytes.is_some_and(|bytes| bytes < SMALL_STREAM)
        || messages.is_some_and(|messages| messages < FEW_MESSAGES)
    {
        return Finding::warning(
            CHECK,
            seen,
            format!(
                "allow {SMALL_STREAM} bytes and {FEW_MESSAGES} messages or more, and limit the age instead"
            ),
        );
    }
    Finding::ok(CHECK, seen)
}

fn discard(config: &Config) -> Finding {
    const CHECK: &str = "discard";
    let limited = config.max_bytes > 0 || config.max_messages > 0;
    match config.discard {
        DiscardPolicy::New if limited => Finding::warning(
            CHECK,
            "new: when the stream is full nothing can be announced any more",
            "set --discard old",
        ),
        DiscardPolicy::New => Finding::ok(CHECK, "new, without a limit of size"),
        DiscardPolicy::Old => Finding::ok(CHECK, "old"),
    }
}

fn replication(check: &'static str, replicas: usize) -> Finding {
    match replicas {
        0 | 1 => Finding::warning(
            check,
            "on one server alone",
            "set --replicas 3 on a cluster: without that server nothing is announced, and with its disk all is lost",
        ),
        many => Finding::ok(check, format!("on {many} servers")),
    }
}

fn bucket(bucket: Option<&Result<Stream>>, need: &Need<'_>) -> Finding {
    const CHECK: &str = "bucket";
    let bucket = match bucket {
        None => return no_group(CHECK),
        Some(Ok(bucket)) => bucket,
        Some(Err(error)) if error.kind() == ErrorKind::NotFound => {
            return Finding::problem(
                CHECK,
                "there is no bucket for the positions",
                "create it, for example with `nats kv add`, or let the first secondary make it, with --create-topic",
            );
        }
        Some(Err(error)) => return Finding::untold(CHECK, error, "a secondary's permissions"),
    };
    let name = bucket.config.name.trim_start_matches("KV_");
    let ttl = bucket.config.max_age;
    if !ttl.is_zero() {
        return kept(CHECK, ttl, need.absence, |seconds| {
            format!(
                "positions have a time to live; `nats stream edit KV_{name}` without one, or with {seconds}s"
            )
        });
    }
    if bucket.config.storage == StorageType::Memory {
        return Finding::warning(
            CHECK,
            "in memory: positions are gone with its servers",
            "make it anew with file storage",
        );
    }
    match replication(CHECK, bucket.config.num_replicas) {
        finding if finding.next_step.is_some() => finding,
        finding => Finding::ok(CHECK, format!("`{name}`, without a time to live, {}", finding.seen)),
    }
}

fn group(found: &Inspection, need: &Need<'_>, checkup: &mut Checkup) -> Option<u64> {
    const CHECK: &str = "group";
    let (finding, lag) = match (&found.group, &found.stream) {
        (None, _) => (no_group(CHECK), None),
        (Some(Err(error)), _) if error.kind() == ErrorKind::Corrupt => {
            (Finding::problem(CHECK, error.message(), "mend it as it says"), None)
        }
        (Some(Err(error)), _) | (_, Err(error)) => {
            (Finding::untold(CHECK, error, "a secondary's permissions"), None)
        }
        (Some(Ok(None)), _) => (
            Finding::warning(
                CHECK,
                format!("nobody has opened `{}` yet", need.group.unwrap_or_default()),
                "correct --group, or start the secondary; it begins where --read-policy says",
            ),
            None,
        ),
        (Some(Ok(Some(position))), Ok(stream)) => {
            let GroupPosition { sequence, committed, lost, .. } = position;
            let place = Place { sequence: *sequence, committed: *committed, lost: lost.as_deref() };
            place.judge(stream.first_sequence, stream.last_sequence)
        }
    };
    checkup.push(finding);
    lag
}

fn no_group(check: &'static str) -> Finding {
    Finding::unknown(check, "no group is named", "give --group to have a secondary's looked at")
}

/// Where a group stands.
struct Place<'a> {
    sequence: u64,
    committed: bool,
    /// Why what was behind it cannot be had.
    lost: Option<&'a str>,
}

impl Place<'_> {
    fn judge(self, first: u64, last: u64) -> (Finding, Option<u64>) {
        const CHECK: &str = "group";
        const NEXT: &str = "keep events for longer; the secondary's next start says `Lost` once and goes on at the earliest event";
        let Self { sequence, committed, lost } = self;
        let outside = sequence + 1 < first || sequence > last;
        let lag = if outside { last.saturating_sub(first.saturating_sub(1)) } else { last - sequence };
        if let Some(why) = lost {
            let seen = format!("its position is {sequence}, and {why}");
            return (Finding::problem(CHECK, seen, NEXT), outside.then_some(lag));
        }
        if outside {
            let seen = format!("the stream holds {first} to {last}, and its position is {sequence}");
            return (Finding::problem(CHECK, seen, NEXT), Some(lag));
        }
        let finding = if committed {
            Finding::ok(CHECK, format!("its position is {sequence}"))
        } else {
            Finding::ok(CHECK, "its start is fixed; it has not committed yet")
        };
        (finding, Some(lag))
    }
}
