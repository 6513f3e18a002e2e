//! `doctor`, run as a program, on librdkafka's mock cluster.

use std::collections::BTreeMap;

use backup_tracker::BackupState::{BackingUp, Ready, Starting};
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::types::RDKafkaRespErr;
use serde_json::Value;

use crate::bench::{Bench, MINUTE, TEN, nowhere};
use crate::program::{Ended, program};

/// Each check's verdict, of a document that follows the schema.
fn verdicts(ended: &Ended) -> BTreeMap<String, String> {
    let document = ended.document("doctor");
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let findings = document["findings"].as_array().unwrap();
    let verdicts: BTreeMap<_, _> =
        findings.iter().map(|finding| (text(finding, "check"), text(finding, "verdict"))).collect();
    assert_eq!(verdicts.len(), findings.len(), "a check is there twice");
    assert_eq!(verdicts.len(), 18);
    let problems = verdicts.values().filter(|verdict| *verdict == "problem").count();
    assert_eq!(document["healthy"], problems == 0);
    assert_eq!(ended.status, Some(i32::from(problems > 0)), "{ended:?}");
    verdicts
}

/// The mock does not answer every question; so it is not waited for long.
fn examined(bench: &Bench, arguments: &[&str]) -> Ended {
    bench.run(&[&["doctor", "--timeout", "3s"], arguments].concat())
}

fn seen(ended: &Ended, check: &str) -> String {
    let document = ended.document("doctor");
    let finding = document["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == check);
    finding.unwrap()["seen"].as_str().unwrap().to_owned()
}

#[test]
fn a_topic_that_works_has_no_problem_and_what_the_mock_does_not_tell_is_unknown() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Starting, Ready);
    bench.open_group().unwrap();
    let ended = examined(&bench, &["--json", "--group", "search", "--application", "shop"]);
    let verdicts = verdicts(&ended);
    for (check, verdict) in [
        ("broker", "ok"),
        ("topic", "ok"),
        ("partitions", "warning"),
        ("replication", "warning"),
        ("cleanup", "unknown"),
        ("retention", "unknown"),
        ("group_retention", "unknown"),
        ("group_members", "unknown"),
        ("write", "unknown"),
        ("group", "ok"),
        ("read", "ok"),
        ("application", "ok"),
        ("lag", "warning"),
        ("clock", "unknown"),
    ] {
        assert_eq!(verdicts[check], verdict, "{check}: {}", seen(&ended, check));
    }
    assert!(seen(&ended, "application").starts_with("shop is READY for "));
    assert!(seen(&ended, "lag").starts_with("1 event behind the end"));
    assert!(seen(&ended, "group").contains("start is fixed"));
}

#[test]
fn it_leaves_nothing_behind() {
    let bench = Bench::new();
    for _ in 0..2 {
        let ended =
            examined(&bench, &["--json", "--group", "search", "--create-topic", "--backup-topic", "backups"]);
        assert_eq!(verdicts(&ended)["group"], "warning", "the first run made a group");
        assert_eq!(seen(&ended, "read"), "nothing was announced yet, or retention has removed it");
        let missing = examined(&bench, &["--json", "--create-topic", "--backup-topic", "elsewhere"]);
        assert_eq!(verdicts(&missing)["topic"], "problem", "the first run made a topic");
    }
}

#[test]
fn a_missing_topic_is_a_problem_and_nothing_behind_it_is_ok() {
    let bench = Bench::new();
    let ended = examined(&bench, &["--json", "--backup-topic", "elsewhere", "--group", "search"]);
    let verdicts = verdicts(&ended);
    assert_eq!((&*verdicts["broker"], &*verdicts["topic"]), ("ok", "problem"));
    let others = verdicts.iter().filter(|(check, _)| !["broker", "topic"].contains(&check.as_str()));
    for (check, verdict) in others {
        assert_eq!(verdict, "unknown", "{check}");
    }
    assert_eq!(ended.stderr, "error: there is 1 problem; its next step stands below it\n");
}

#[test]
fn a_broker_that_is_not_there_is_the_one_problem() {
    let servers = nowhere();
    let ended = Ended::of(&mut program(&[
        "doctor",
        "--json",
        "--timeout",
        "1s",
        "--bootstrap-server",
        &servers,
        "--group",
        "search",
    ]));
    let verdicts = verdicts(&ended);
    assert_eq!(verdicts["broker"], "problem");
    assert!(
        verdicts.iter().all(|(check, verdict)| check == "broker" || verdict == "unknown"),
        "{verdicts:?}"
    );
}

#[test]
fn people_get_a_list_with_the_next_steps() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    bench.garbage(Some("garbage"));
    let ended = examined(&bench, &["--application", "shpo"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let text = &ended.stdout;
    assert!(text.starts_with("topic `backups` (kafka)\nok       broker"), "{text}");
    let line = |words: &str| {
        text.lines()
            .position(|line| line.contains(words))
            .unwrap_or_else(|| panic!("no `{words}` in\n{text}"))
    };
    assert!(
        text.lines()
            .nth(line("4 events, 3 of them no announcement") + 1)
            .unwrap()
            .contains("→ find out who else")
    );
    assert!(
        text.lines()
            .nth(line("shpo was never announced here") + 1)
            .unwrap()
            .contains("→ announced were shop")
    );
    // What is unknown for one reason is told in one line.
    assert_eq!(text.matches("no group is named").count(), 2, "{text}");
    assert!(!text.contains('\u{1b}'), "colour, and no terminal");
    assert!(examined(&bench, &["--color", "always"]).stdout.contains("\u{1b}[33m"));
}

#[test]
fn an_operation_that_takes_far_longer_than_any_before_is_a_warning() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    bench.step("shop", TEN + MINUTE, BackingUp, Ready);
    let of_shop = ["--json", "--application", "shop"];
    assert_eq!(verdicts(&examined(&bench, &of_shop))["application"], "ok");
    bench.step("shop", TEN + 2 * MINUTE, Ready, BackingUp);
    let ended = examined(&bench, &of_shop);
    assert_eq!(verdicts(&ended)["application"], "warning");
    assert!(seen(&ended, "application").ends_with("the longest operation before it took 1m"));
}

#[test]
fn an_announcement_from_the_future_shows_that_a_clock_is_wrong() {
    let mut bench = Bench::new();
    let hour = 60 * MINUTE;
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    bench.step("shop", now + hour, Starting, Ready);
    let ended = examined(&bench, &["--json"]);
    assert_eq!(verdicts(&ended)["clock"], "warning");
    assert!(seen(&ended, "clock").starts_with("shop was announced 59m"));
}

#[test]
fn a_refused_group_is_a_problem_of_the_group_alone() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Starting, Ready);
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    bench
        .mock
        .request_errors(backup_tracker_kafka::rdkafka::types::RDKafkaApiKey::OffsetFetch, &[refused; 8]);
    let ended = examined(&bench, &["--json", "--group", "search"]);
    let verdicts = verdicts(&ended);
    assert_eq!(
        (&*verdicts["group"], &*verdicts["broker"], &*verdicts["read"]),
        ("problem", "ok", "ok"),
        "{ended:?}"
    );
}

#[test]
fn a_refused_producer_is_a_warning_because_a_secondary_needs_none() {
    let bench = Bench::new();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    bench
        .mock
        .request_errors(backup_tracker_kafka::rdkafka::types::RDKafkaApiKey::InitProducerId, &[refused; 8]);
    let ended = examined(&bench, &["--json"]);
    assert_eq!(verdicts(&ended)["write"], "warning", "{ended:?}");
}

#[test]
fn replicas_that_lag_show() {
    let mock = MockCluster::new(3).unwrap();
    mock.create_topic("backups", 1, 3).unwrap();
    let servers = mock.bootstrap_servers();
    let ended =
        Ended::of(&mut program(&["doctor", "--json", "--timeout", "3s", "--bootstrap-server", &servers]));
    let verdicts = verdicts(&ended);
    assert_eq!((&*verdicts["partitions"], &*verdicts["replication"]), ("ok", "ok"));
    assert!(seen(&ended, "broker").starts_with("reached; 3 brokers: "));
}

#[test]
fn a_wrong_call_is_told_in_one_line_and_checks_nothing() {
    for (arguments, words) in [
        (&["doctor"][..], "--bootstrap-server"),
        (&["doctor", "--transport", "redis"], "--url"),
        (&["doctor", "--transport", "nats", "--url", "redis://a"], "--url"),
        (&["doctor", "--absence", "long"], "--absence"),
        (&["doctor", "--bootstrap-server", "a:1", "--kafka-property", "no.such=1"], "no.such"),
    ] {
        let ended = Ended::of(&mut program(arguments));
        assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(words), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}
