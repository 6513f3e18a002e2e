//! `doctor` over real Redis and NATS.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

#[path = "commands/program.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod program;

use std::collections::BTreeMap;
use std::io;
use std::process::Command;

use backup_tracker::BackupState::{Ready, Starting};
use backup_tracker::wire::encode;
use backup_tracker::{BackupTransition, BoxSource, EventSource, Sink, WireFormat};
use backup_tracker_nats::async_nats::jetstream::{self, stream};
use backup_tracker_nats::{CreateStream, Nats};
use backup_tracker_redis::{Redis, redis};
use backup_tracker_test_servers::{self as servers, Missing};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

use program::{Ended, program};

const TOPIC: &str = "backups";
const YEAR_2025: u64 = 1_752_228_000_000;

/// A finding: its verdict, and what was seen.
type Findings = BTreeMap<String, (String, String)>;

fn examine(transport: &str, url: &str, arguments: &[&str]) -> Findings {
    let mut command: Command = program(&["doctor", "--json", "--transport", transport, "--url", url]);
    let ended = Ended::of(command.args(arguments));
    let document = ended.document("doctor");
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let all = document["findings"].as_array().unwrap();
    let findings: Findings = all
        .iter()
        .map(|finding| (text(finding, "check"), (text(finding, "verdict"), text(finding, "seen"))))
        .collect();
    assert_eq!(findings.len(), all.len(), "a check is there twice");
    assert_eq!(findings.len(), 16, "{findings:#?}");
    let problems = findings.values().filter(|(verdict, _)| verdict == "problem").count();
    assert_eq!(ended.status, Some(i32::from(problems > 0)), "{ended:?}");
    findings
}

#[track_caller]
fn expect(findings: &Findings, expected: &[(&str, &str)]) {
    for (check, verdict) in expected {
        let (found, seen) = &findings[*check];
        assert_eq!(found, verdict, "{check}: {seen}");
    }
}

/// An event, and a group that has read and committed it.
async fn use_it(mut sink: impl Sink, source: Option<BoxSource>) {
    let transition = BackupTransition::new(Uuid::new_v4(), "shop", YEAR_2025, Starting, Ready);
    sink.send(&encode(&transition, WireFormat::Cbor)).await.unwrap();
    if let Some(mut source) = source {
        source.next().await.unwrap();
        source.commit().await.unwrap();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(future)
}

mod on_redis {
    use super::*;

    fn ask<T: redis::FromRedisValue>(server: &servers::Redis, command: &str) -> T {
        let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query(&mut connection).unwrap()
    }

    async fn used(server: &servers::Redis) {
        let stream = Redis::new(server.url(), TOPIC).create_stream();
        let source = BoxSource::new(stream.source("search").open().await.unwrap());
        use_it(stream.sink().open().await.unwrap(), Some(source)).await;
    }

    pub(crate) fn all_is_well(server: servers::Redis) {
        block_on(used(&server));
        let before: Vec<String> = ask(&server, "KEYS *");
        let findings = examine("redis", &server.url(), &["--group", "search", "--application", "shop"]);
        expect(
            &findings,
            &[
                ("broker", "ok"),
                ("role", "ok"),
                ("persistence", "ok"),
                ("sync", "ok"),
                ("eviction", "ok"),
                ("memory", "ok"),
                ("stream", "ok"),
                ("retention", "ok"),
                ("write", "ok"),
                ("follow", "ok"),
                ("group", "ok"),
                ("group_members", "ok"),
                ("read", "ok"),
                ("application", "ok"),
                ("lag", "ok"),
                ("clock", "ok"),
            ],
        );
        assert_eq!(findings["lag"].1, "0 events behind the end");
        let mut after: Vec<String> = ask(&server, "KEYS *");
        let mut before = before;
        before.sort();
        after.sort();
        assert_eq!(before, after);
    }

    pub(crate) fn nothing_is_made(server: servers::Redis) {
        let findings = examine("redis", &server.url(), &["--group", "search", "--create-topic"]);
        expect(
            &findings,
            &[("broker", "ok"), ("stream", "problem"), ("group", "warning"), ("read", "unknown")],
        );
        let keys: Vec<String> = ask(&server, "KEYS *");
        assert!(keys.is_empty(), "{keys:?}");
    }

    pub(crate) fn a_server_that_forgets(server: servers::Redis) {
        block_on(used(&server));
        for setting in ["appendfsync everysec", "maxmemory-policy allkeys-lru", "maxmemory 100mb"] {
            ask::<()>(&server, &format!("CONFIG SET {setting}"));
        }
        ask::<u64>(&server, "XTRIM backups MAXLEN 0");
        let findings = examine("redis", &server.url(), &["--group", "search"]);
        expect(&findings, &[("eviction", "problem"), ("sync", "warning"), ("retention", "warning")]);
        ask::<()>(&server, "CONFIG SET maxmemory-policy volatile-lru");
        ask::<()>(&server, "CONFIG SET appendonly no");
        let findings = examine("redis", &server.url(), &["--group", "search"]);
        expect(&findings, &[("eviction", "ok"), ("persistence", "warning"), ("sync", "warning")]);
    }

    pub(crate) fn a_group_that_others_use(server: servers::Redis) {
        block_on(used(&server));
        block_on(async { use_it(Redis::new(server.url(), TOPIC).sink().open().await.unwrap(), None).await });
        ask::<redis::Value>(&server, "XREADGROUP GROUP search somebody STREAMS backups >");
        let findings = examine("redis", &server.url(), &["--group", "search"]);
        expect(&findings, &[("group", "ok"), ("group_members", "problem")]);
        let findings = examine("redis", &server.url(), &["--group", "serach"]);
        expect(&findings, &[("group", "warning"), ("group_members", "unknown"), ("lag", "unknown")]);
        assert!(findings["group"].1.contains("there are search"), "{findings:?}");
    }

    pub(crate) fn a_secondary_that_does_not_run(server: servers::Redis) {
        block_on(used(&server));
        block_on(async { use_it(Redis::new(server.url(), TOPIC).sink().open().await.unwrap(), None).await });
        let findings = examine("redis", &server.url(), &["--group", "search"]);
        expect(&findings, &[("lag", "warning")]);
        assert!(findings["lag"].1.starts_with("1 event behind the end, though nothing runs"), "{findings:?}");
    }

    pub(crate) fn a_user_who_may_little(server: servers::Redis) {
        block_on(used(&server));
        let rules = "ACL SETUSER maps on >secret resetkeys ~backups ~backups:backup-tracker resetchannels -@all \
                     +@stream +eval +exists +time +hget +hset +hdel +hgetall +wait";
        ask::<()>(&server, rules);
        let url = server.url().replace("redis://", "redis://maps:secret@");
        let findings = examine("redis", &url, &["--group", "search"]);
        expect(
            &findings,
            &[
                ("broker", "ok"),
                ("eviction", "unknown"),
                ("sync", "unknown"),
                ("stream", "ok"),
                ("write", "unknown"),
                ("group", "ok"),
                ("read", "unknown"),
                ("clock", "ok"),
            ],
        );
        ask::<()>(&server, "ACL SETUSER maps +acl|whoami +acl|dryrun");
        expect(&examine("redis", &url, &[]), &[("write", "ok"), ("follow", "ok")]);
        ask::<()>(&server, "ACL SETUSER maps -xadd");
        expect(&examine("redis", &url, &[]), &[("write", "warning"), ("follow", "ok")]);
        ask::<()>(&server, "ACL SETUSER maps -xgroup");
        expect(&examine("redis", &url, &[]), &[("write", "warning"), ("follow", "warning")]);

        let wrong = server.url().replace("redis://", "redis://maps:wrong@");
        let findings = examine("redis", &wrong, &[]);
        expect(&findings, &[("broker", "problem"), ("stream", "unknown"), ("clock", "unknown")]);
        ask::<()>(&server, "CONFIG SET requirepass secret");
        let findings = examine("redis", &server.url(), &[]);
        expect(&findings, &[("broker", "problem"), ("stream", "unknown")]);
    }

    pub(crate) fn a_server_that_is_away(mut server: servers::Redis) {
        server.kill().unwrap();
        let findings = examine("redis", &server.url(), &["--timeout", "2s"]);
        assert!(findings.iter().all(|(check, (verdict, _))| verdict == if check == "broker" { "problem" } else { "unknown" }));
    }
}

mod on_nats {
    use super::*;

    async fn used(server: &servers::Nats, create: CreateStream) {
        let nats = Nats::new(server.url(), TOPIC).create_stream(create);
        let source = BoxSource::new(nats.source("search").open().await.unwrap());
        use_it(nats.sink().open().await.unwrap(), Some(source)).await;
    }

    pub(crate) fn all_is_well(server: servers::Nats) {
        block_on(used(&server, CreateStream::new(1)));
        let findings = examine("nats", &server.url(), &["--group", "search", "--application", "shop"]);
        expect(
            &findings,
            &[
                ("broker", "ok"),
                ("stream", "ok"),
                ("retention", "ok"),
                ("retention_size", "ok"),
                ("discard", "ok"),
                ("replication", "warning"),
                ("storage", "ok"),
                ("duplicates", "ok"),
                ("event_size", "ok"),
                ("write", "unknown"),
                ("bucket", "warning"),
                ("group", "ok"),
                ("read", "ok"),
                ("application", "ok"),
                ("lag", "ok"),
                ("clock", "ok"),
            ],
        );
        assert_eq!(findings["lag"].1, "0 events behind the end");
        let findings = examine("nats", &server.url(), &["--group", "serach"]);
        expect(&findings, &[("group", "warning"), ("lag", "unknown")]);
    }

    pub(crate) fn nothing_is_made(server: servers::Nats) {
        for _ in 0..2 {
            let findings = examine("nats", &server.url(), &["--group", "search", "--create-topic"]);
            expect(
                &findings,
                &[("broker", "ok"), ("stream", "problem"), ("bucket", "problem"), ("read", "unknown")],
            );
        }
    }

    pub(crate) fn a_stream_that_forgets(server: servers::Nats) {
        let config = stream::Config {
            num_replicas: 1,
            max_age: std::time::Duration::from_secs(3600),
            duplicate_window: std::time::Duration::from_secs(1),
            max_messages: 50,
            max_message_size: 1000,
            discard: stream::DiscardPolicy::New,
            storage: stream::StorageType::Memory,
            ..stream::Config::default()
        };
        block_on(used(&server, CreateStream::native(config)));
        let findings = examine("nats", &server.url(), &["--group", "search"]);
        expect(
            &findings,
            &[
                ("stream", "ok"),
                ("retention", "warning"),
                ("retention_size", "warning"),
                ("discard", "warning"),
                ("storage", "warning"),
                ("duplicates", "warning"),
                ("event_size", "warning"),
                ("bucket", "warning"),
            ],
        );
        expect(&examine("nats", &server.url(), &["--absence", "30m"]), &[("retention", "ok")]);
    }

    pub(crate) fn a_stream_that_opening_refuses_or_that_was_emptied(server: servers::Nats) {
        block_on(async {
            used(&server, CreateStream::new(1)).await;
            let nats = Nats::new(server.url(), TOPIC);
            use_it(nats.sink().open().await.unwrap(), None).await;
            use_it(nats.sink().open().await.unwrap(), None).await;
            let client = backup_tracker_nats::async_nats::connect(server.url()).await.unwrap();
            let mut stream = jetstream::new(client).get_stream(TOPIC).await.unwrap();
            stream.purge().await.unwrap();
            let findings = examine("nats", &server.url(), &["--group", "search"]);
            expect(&findings, &[("stream", "ok"), ("group", "problem")]);

            let mut config = stream.info().await.unwrap().config.clone();
            config.subjects = vec!["elsewhere".to_owned()];
            let client = backup_tracker_nats::async_nats::connect(server.url()).await.unwrap();
            jetstream::new(client).update_stream(&config).await.unwrap();
        });
        let findings = examine("nats", &server.url(), &[]);
        expect(&findings, &[("stream", "problem"), ("read", "unknown")]);
    }

    pub(crate) fn a_server_that_is_away(mut server: servers::Nats) {
        server.kill().unwrap();
        let findings = examine("nats", &server.url(), &["--timeout", "2s", "--group", "search"]);
        assert!(findings.iter().all(|(check, (verdict, _))| verdict == if check == "broker" { "problem" } else { "unknown" }));
    }
}

/// A case's name, and what it does with a server of its own.
type Case<S> = (&'static str, fn(S));

fn trials<S: 'static>(
    name: &'static str,
    missing: Option<Missing>,
    start: fn() -> io::Result<S>,
    cases: &[Case<S>],
) -> Vec<Trial> {
    cases
        .iter()
        .map(|&(case, run)| {
            let reason = missing.as_ref().map(ToString::to_string);
            Trial::ignorable_test(format!("{name}: {case}"), move || -> Result<Completion, Failed> {
                if let Some(reason) = reason {
                    return Ok(Completion::ignored_with(reason));
                }
                run(start()?);
                Ok(Completion::Completed)
            })
        })
        .collect()
}

fn main() {
    let redis: &[Case<servers::Redis>] = &[
        ("all is well", on_redis::all_is_well),
        ("nothing is made", on_redis::nothing_is_made),
        ("a server that forgets", on_redis::a_server_that_forgets),
        ("a group that others use", on_redis::a_group_that_others_use),
        ("a secondary that does not run", on_redis::a_secondary_that_does_not_run),
        ("a user who may little", on_redis::a_user_who_may_little),
        ("a server that is away", on_redis::a_server_that_is_away),
    ];
    let nats: &[Case<servers::Nats>] = &[
        ("all is well", on_nats::all_is_well),
        ("nothing is made", on_nats::nothing_is_made),
        ("a stream that forgets", on_nats::a_stream_that_forgets),
        (
            "a stream that opening refuses, or that was emptied",
            on_nats::a_stream_that_opening_refuses_or_that_was_emptied,
        ),
        ("a server that is away", on_nats::a_server_that_is_away),
    ];
    let mut all = trials("redis", servers::Redis::find().err(), servers::Redis::start, redis);
    all.extend(trials("nats", servers::Nats::find().err(), servers::Nats::start, nats));
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}
