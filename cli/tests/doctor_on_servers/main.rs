//! `doctor` over real Kafka, Redis and NATS.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

#[path = "../commands/program.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod program;

mod kafka;
mod nats;
mod redis;

use std::collections::BTreeMap;
use std::io;
use std::process::Command;

use backup_tracker::BackupState::{Ready, Starting};
use backup_tracker::wire::encode;
use backup_tracker::{BackupTransition, BoxSource, EventSource, Sink, WireFormat};
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
    let address = if transport == "kafka" { "--bootstrap-server" } else { "--url" };
    let mut command: Command = program(&["doctor", "--json", "--transport", transport, address, url]);
    let ended = Ended::of(command.args(arguments));
    let document = ended.document("doctor");
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let all = document["findings"].as_array().unwrap();
    let findings: Findings = all
        .iter()
        .map(|finding| (text(finding, "check"), (text(finding, "verdict"), text(finding, "seen"))))
        .collect();
    assert_eq!(findings.len(), all.len(), "a check is there twice");
    assert_eq!(findings.len(), if transport == "kafka" { 18 } else { 16 }, "{findings:#?}");
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

/// A case's name, and what it does with a server of its own.
type Case<S> = (&'static str, fn(S));

fn trials<S: 'static>(
    name: &'static str,
    missing: Option<Missing>,
    start: impl Fn() -> io::Result<S> + Clone + Send + 'static,
    cases: &[Case<S>],
) -> Vec<Trial> {
    cases
        .iter()
        .map(|&(case, run)| {
            let (reason, start) = (missing.as_ref().map(ToString::to_string), start.clone());
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
    let mut all = trials("redis", servers::Redis::find().err(), servers::Redis::start, redis::CASES);
    all.extend(trials("nats", servers::Nats::find().err(), servers::Nats::start, nats::CASES));
    all.extend(trials("kafka", servers::Kafka::find().err(), kafka::shared(), kafka::CASES));
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}
