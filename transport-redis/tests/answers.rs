//! The table of the server's answers in the crate's documentation: what each is for whoever opens, reads, commits, counts, claims or
//! sends. Something in the server's place gives the answer; and when the server answers again, everything works by itself.
//!
//! With `WRITE_ANSWERS` set the test writes the table.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use backup_tracker::{Delivery, Error, ErrorKind, EventSource, Result, Sink};
use backup_tracker_redis::{Redis, RedisSink, RedisSource};
use support::way::Way;
use support::{Bench, GROUP, PATIENCE, TOPIC, events, tests};

tests![the_documented_table_is_what_happens];

/// What servers, clusters, services and proxies answer.
const ANSWERS: &[&str] = &[
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "MOVED 3999 127.0.0.1:1",
    "ASK 3999 127.0.0.1:1",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "ERR max number of clients reached",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM User service has no permissions to run the 'eval' command",
    "DENIED Redis is running in protected mode because protected mode is enabled",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "ERR unknown command 'EVAL', with args beginning with:",
    "NOGROUP No such consumer group 'search' for key name 'backups'",
    "ERR no such key",
    "ERR something that no version says today",
    "WHATEVER a code that no version knows today",
];

/// For how long an answer is given before the server answers again.
const SHORT: Duration = Duration::from_secs(2);

/// Asks until it is not about the connection that was cut to begin with.
macro_rules! settled {
    ($asking:expr, $answer:expr) => {
        loop {
            let result: Result<()> = $asking;
            match &result {
                Err(error) if cut(error) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}: {error}", $answer);
                    break result;
                }
                Ok(()) => break result,
            }
        }
    };
}

async fn the_documented_table_is_what_happens() {
    let bench = Bench::start().await;
    let way = Way::start(bench.server.address()).await;
    let redis = Redis::new(way.url(), TOPIC).create_stream().open_timeout(SHORT);
    let mut source = redis.source(GROUP).contact_time(SHORT).open().await.unwrap();
    let mut sink = redis.sink().open().await.unwrap();
    works(&mut sink, &mut source).await;
    let mut table = String::from(
        "| answer | opening | reading | committing | claiming | counting | sending |\n|---|---|---|---|---|---|---|\n",
    );
    for answer in ANSWERS {
        way.answer(Some(answer));
        let opening = redis.source(GROUP).open().await.map(drop);
        assert_eq!(shown(&opening), shown(&redis.sink().open().await.map(drop)), "{answer}");
        // A read that the server holds ends first.
        way.cut();
        let reading = loop {
            let next = tokio::time::timeout(PATIENCE, source.next()).await.unwrap().map(drop);
            if next.as_ref().is_err_and(|error| !error.to_string().contains("broken") && !cut(error)) {
                break next;
            }
        };
        let committing = settled!(source.commit().await, answer);
        let claiming = settled!(source.claim("shop").await, answer);
        let counting = settled!(source.remaining().await.map(drop), answer);
        let event = &events(1)[0];
        let sending = loop {
            let sent = sink.send(event).await;
            if sent.as_ref().is_err_and(|error| !cut(error)) {
                break sent;
            }
        };
        assert_eq!(sending.as_ref().unwrap_err().delivery(), Delivery::NotSent, "{answer}");
        let cells = [&opening, &reading, &committing, &claiming, &counting, &sending].map(shown);
        let words: Vec<_> = answer.split(' ').collect();
        let answer =
            if words[0] == "ERR" { words[..3.min(words.len())].join(" ") } else { words[0].to_owned() };
        writeln!(table, "| `{answer}` | {} |", cells.join(" | ")).unwrap();
        way.answer(None);
        works(&mut sink, &mut source).await;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/answers.md");
    if std::env::var_os("WRITE_ANSWERS").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), table, "set WRITE_ANSWERS to have it written");
}

/// Whether it is about the connection that was cut to begin with.
fn cut(error: &Error) -> bool {
    use backup_tracker_redis::redis::RedisError;

    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<RedisError>());
    cause.is_some_and(RedisError::is_io_error) && error.cause().is_none() && !error.message().contains(":1)")
}

/// Sends and reads an event, after whatever trouble.
async fn works(sink: &mut RedisSink, source: &mut RedisSource) {
    let event = &events(1)[0];
    let working = async {
        while sink.send(event).await.is_err() {}
        loop {
            match source.next().await {
                Ok(record) if record.as_ref().unwrap().key == Some(event.key) => break,
                // After a loss the others come again.
                Ok(_) => {}
                Err(error) => assert!(error.is_transient() || error.kind() == ErrorKind::Lost, "{error}"),
            }
        }
        source.commit().await.unwrap();
        source.claim("shop").await.unwrap();
        assert_eq!(source.remaining().await.unwrap().total(), 0);
    };
    tokio::time::timeout(PATIENCE, working).await.unwrap();
}

fn shown(result: &Result<()>) -> String {
    let Err(error) = result else { return "`Ok`".to_owned() };
    match error.cause() {
        Some(cause) => format!("`{:?}` (`{cause:?}`)", error.kind()),
        None => format!("`{:?}`", error.kind()),
    }
}
