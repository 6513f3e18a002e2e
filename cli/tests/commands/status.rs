use std::time::{Duration, Instant};

use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use backup_tracker::{BackupTransition, ErrorKind};
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bench::{Bench, MINUTE, TEN, nowhere};
use crate::program::{Ended, forks, program};

const OTHER_ACTION: &str = r#"{"id":"3f2b8a5e-7c1d-4e6f-9a0b-1c2d3e4f5a6b","application":"shop","action":"compact","timestamp":1752230923000,"from":"READY","to":"PROCESSING"}"#;

/// Three applications with garbage in between. Gives the ids of the last steps of `books`, `music` and `shop`.
fn write(bench: &mut Bench) -> [Uuid; 3] {
    bench.step("books", TEN, Starting, Ready);
    bench.garbage(Some("no JSON"));
    bench.step("shop", TEN, Starting, Ready);
    let repeated = BackupTransition::new(Uuid::from_u128(1 << 100), "shop", TEN + MINUTE, Ready, BackingUp);
    bench.announce(&repeated);
    bench.garbage(None);
    bench.announce(&repeated);
    bench.step("shop", TEN, BackingUp, Restoring);
    let books = bench.step("books", TEN + MINUTE, Ready, Ready);
    let music = bench.step("music", TEN + 2 * MINUTE, Ready, Restoring);
    let shop = bench.step("shop", TEN + 5 * MINUTE, BackingUp, Ready);
    bench.garbage(Some(OTHER_ACTION));
    [books, music, shop]
}

#[test]
fn a_table_of_every_application_with_remarks_on_standard_error() {
    let mut bench = Bench::new();
    let [books, music, shop] = write(&mut bench);
    let ended = bench.run(&["status"]);
    let lines = ended.lines();
    assert_eq!(lines[0], "APPLICATION STATE SINCE FOR LAST EVENT");
    for (line, (application, since, id)) in lines[1..].iter().zip([
        ("books READY", "2025-07-11T10:00:00Z", books),
        ("music RESTORING", "2025-07-11T10:02:00Z", music),
        ("shop READY", "2025-07-11T10:05:00Z", shop),
    ]) {
        assert!(line.starts_with(&format!("{application} {since} ")), "{line}");
        assert!(line.ends_with(&format!(" {id}")), "{line}");
    }
    assert_eq!(lines.len(), 4);
    assert!(!ended.stdout.contains('\u{1b}'));
    for words in [
        "skipped 6 records: no announcement",
        "shop: skipped 1 record: the state table forbids the step",
        "shop: skipped 1 record: the event stands in the log more than once",
        "shop: skipped 3 records: about neither",
    ] {
        assert!(ended.stderr.contains(words), "no `{words}` in\n{}", ended.stderr);
    }
}

#[test]
fn json_follows_the_schema() {
    let mut bench = Bench::new();
    let [books, music, shop] = write(&mut bench);
    let document = bench.run(&["status", "--json"]).document("status");
    assert_eq!((&document["transport"], &document["topic"]), (&json!("kafka"), &json!("backups")));
    assert_eq!((&document["records"], &document["undecodable"]), (&json!(17), &json!(6)));
    let applications = document["applications"].as_array().unwrap();
    let brief = |one: &Value| {
        ["application", "state", "since", "since_millis"].map(|field| one[field].clone()).to_vec()
    };
    assert_eq!(
        brief(&applications[0]),
        [json!("books"), json!("READY"), json!("2025-07-11T10:00:00Z"), json!(TEN)]
    );
    assert_eq!(applications[1]["state"], "RESTORING");
    for (application, id) in applications.iter().zip([books, music, shop]) {
        assert_eq!(application["last"]["id"], json!(id));
        assert_eq!(application["last"]["headers"]["content-type"], "application/json");
        assert_eq!(application["announced"], true);
        let lasting = application["seconds"].as_f64().unwrap();
        let since = application["since_millis"].as_f64().unwrap();
        let until = document["read_at_millis"].as_f64().unwrap();
        assert!((lasting - (until - since) / 1000.0).abs() < 0.001, "{application}");
    }
    assert_eq!(
        applications[2]["counts"],
        json!({"applied": 3, "gaps": 0, "forbidden": 1, "duplicate": 1, "other_operation": 0, "other_action": 3})
    );
}

#[test]
fn one_application_and_one_that_nobody_announced() {
    let mut bench = Bench::new();
    write(&mut bench);
    let lines = bench.run(&["status", "--application", "music"]).lines();
    assert!(lines.len() == 2 && lines[1].starts_with("music RESTORING"), "{lines:?}");

    let nobody = ["status", "--application", "nobody"];
    let lines = bench.run(&nobody).lines();
    assert!(
        lines.len() == 1 && lines[0].starts_with("nobody was never announced on topic `backups`"),
        "{lines:?}"
    );
    let document = bench.run(&[&nobody[..], &["--json"]].concat()).document("status");
    let application = &document["applications"][0];
    assert_eq!((&application["announced"], &application["state"]), (&json!(false), &json!("STARTING")));
    assert_eq!((&application["since"], &application["last"]), (&Value::Null, &Value::Null));
}

#[test]
fn an_empty_topic_and_one_that_holds_only_garbage() {
    let bench = Bench::new();
    let empty = bench.run(&["status"]);
    assert_eq!(
        empty.lines(),
        ["nothing was announced on topic `backups` (kafka), as far as the log goes back"]
    );
    assert_eq!(empty.stderr, "");
    bench.garbage(Some("{}"));
    let document = bench.run(&["status", "--json"]).document("status");
    assert_eq!((&document["applications"], &document["undecodable"]), (&json!([]), &json!(3)));
}

#[test]
fn a_timestamp_in_the_future_counts_as_now_and_is_remarked_on() {
    let mut bench = Bench::new();
    bench.step("shop", 32_503_680_000_000, Starting, Ready);
    let mut eternal = |name| bench.step(name, u64::MAX, Starting, Ready);
    eternal("eternal");
    let ended = bench.run(&["status", "--application", "shop"]);
    assert!(ended.lines()[1].starts_with("shop READY 3000-01-01T00:00:00Z 0s "), "{ended:?}");
    assert!(ended.stderr.contains("shop: its last announcement lies in the future"), "{ended:?}");
    let document = bench.run(&["status", "--json"]).document("status");
    for application in document["applications"].as_array().unwrap() {
        assert_eq!((&application["seconds"], &application["clock_skew"]), (&json!(0.0), &json!(true)));
    }
    assert_eq!(document["applications"][0]["since"], Value::Null);
    assert_eq!(document["applications"][0]["since_millis"], json!(i64::MAX));
}

#[test]
fn a_broker_that_is_not_there_ends_it_with_status_1_in_time() {
    let servers = nowhere();
    let began = Instant::now();
    let ended = Ended::of(&mut program(&["status", "--bootstrap-server", &servers, "--timeout", "2s"]));
    assert_eq!((ended.status, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("note: still connecting for topic `backups` (kafka)"), "{ended:?}");
    assert!(ended.stderr.contains("error: open the log: unavailable: no answer within 2s"), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn a_topic_that_does_not_exist_is_status_1_and_a_wrong_call_status_2() {
    let bench = Bench::new();
    let ended = bench.run(&["status", "--application", "shop", "--transport", "redis"]);
    assert_eq!((ended.status, &*ended.stdout), (Some(2), ""));
    assert!(ended.stderr.contains("--url"), "{ended:?}");
    for (arguments, option) in [
        (&["status"][..], "--bootstrap-server"),
        (&["status", "--timeout", "soon"], "--timeout"),
        (&["status", "--transport", "pigeon"], "--transport"),
    ] {
        let ended = Ended::of(&mut program(arguments));
        assert_eq!((ended.status, &*ended.stdout), (Some(2), ""));
        assert!(ended.stderr.contains(option), "{ended:?}");
    }
}

#[test]
fn nobody_sees_that_somebody_looked() {
    let mut bench = Bench::new();
    write(&mut bench);
    // Whoever stores a position from now on, or asks for one, is refused: the first that does is the group below.
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED];
    bench.mock.request_errors(RDKafkaApiKey::OffsetCommit, &refused);
    bench.mock.request_errors(RDKafkaApiKey::OffsetFetch, &refused);
    let wait = ["wait", "--application", "shop", "--until", "ready", "--timeout", "60s"];
    for arguments in [&["status"][..], &["history"], &wait] {
        assert_eq!(bench.run(arguments).status, Some(0));
    }
    for what in ["asked", "stored"] {
        assert_eq!(bench.open_group().unwrap_err().kind(), ErrorKind::Denied, "somebody {what} before");
    }
    bench.open_group().unwrap();
}

#[test]
fn a_name_that_would_steer_the_terminal_does_not() {
    let mut bench = Bench::new();
    bench.step("\u{1b}[2Jshop\n", TEN, Starting, Ready);
    bench.step("bücher", TEN, Starting, Ready);
    let name = "\\u{1b}[2Jshop\\n";
    for command in ["status", "history"] {
        let ended = bench.run(&[command]);
        assert!(ended.stdout.contains(name) && ended.stdout.contains("bücher"), "{ended:?}");
        assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
    }
    let document = bench.run(&["status", "--json"]).document("status");
    assert_eq!(document["applications"][0]["application"], "\u{1b}[2Jshop\n");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_it_without_a_word() {
    let mut bench = Bench::new();
    write(&mut bench);
    let mut command = bench.command(&["history", "--json"]);
    let mut child =
        forks::spawn(command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()));
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141), "{output:?}");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("error"));
}
