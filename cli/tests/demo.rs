//! Runs the real program.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backup-tracker")).arg("demo").args(arguments).output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The lines of a run that must be good.
fn json_lines(transport: &str) -> Vec<Value> {
    let Output { status, stdout, stderr } = demo(&["--json", "--transport", transport]);
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert_eq!(status.code(), Some(0), "{stdout}\n{stderr}");
    assert_eq!(stderr, "");
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_event<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn check_json(transport: &str) {
    let lines = json_lines(transport);

    let begin = &lines[0];
    assert_eq!(begin["event"], "begin");
    assert_eq!(begin["application"], "shop");
    assert_eq!(begin["primary"], "orders");
    assert_eq!(begin["secondaries"].as_array().unwrap().len(), 3);
    assert!(begin["log"].is_string());

    let mut last = 0.0;
    for line in &lines {
        if let Some(at) = line.get("at_ms") {
            let at = at.as_f64().unwrap();
            assert!(at >= last, "times must not go back: {line}");
            assert!(line["service"].is_string());
            last = at;
        }
    }

    let announced = of_event(&lines, "announced");
    let states: Vec<_> = announced.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["READY", "BACKING_UP", "READY", "RESTORING", "READY"]);
    let told = of_event(&lines, "told");
    for line in &told {
        assert!(line["replay"].is_boolean() && line["missed"].is_boolean() && line["from"].is_string());
    }
    let ids_of = |service: &str| -> Vec<_> {
        told.iter().filter(|line| line["service"] == service).map(|line| line["id"].clone()).collect()
    };
    let ids: Vec<_> = announced.iter().map(|line| line["id"].clone()).collect();
    assert_eq!(ids_of("search"), ids);
    assert_eq!(ids_of("reports"), ids);
    let with_replay: Vec<_> = [0, 1, 1, 2, 3, 4].map(|index: usize| ids[index].clone()).into();
    assert_eq!(ids_of("billing"), with_replay);
    assert_eq!(of_event(&lines, "killed").len(), 1);

    let verdicts = of_event(&lines, "verdict");
    let judged: BTreeSet<_> = verdicts.iter().map(|line| line["service"].as_str().unwrap()).collect();
    assert_eq!(judged, BTreeSet::from(["search", "reports", "billing"]));
    for verdict in verdicts {
        assert_eq!(verdict["good"], true);
        assert_eq!(verdict["findings"], Value::Array(Vec::new()));
        assert!(verdict["pieces_of_work"].as_u64().unwrap() > 0);
        assert!(verdict["slowest_pause_ms"].is_number());
        assert!(verdict["sessions"][0]["expected"].is_number());
    }
    let summary = lines.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["good"], true);
    assert_eq!(summary["announced"], 5);
    assert_eq!(summary["trouble"], Value::Null);
}

#[test]
fn in_memory_every_secondary_sees_what_it_should() {
    check_json("memory");
}

#[test]
fn over_kafka_every_secondary_sees_what_it_should() {
    check_json("kafka");
}

#[test]
fn the_timeline_has_no_colour_in_a_pipe_and_fits_a_hundred_columns() {
    let Output { status, stdout, .. } = demo(&["--transport", "memory"]);
    let stdout = text(stdout);
    assert_eq!(status.code(), Some(0), "{stdout}");
    assert!(!stdout.contains('\u{1b}'));
    for words in ["orders announces BACKING_UP", "billing is killed", "billing is started again", "✔"] {
        assert!(stdout.contains(words), "{words} is missing in\n{stdout}");
    }
    for line in stdout.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
}

#[test]
fn colour_can_be_asked_for() {
    let stdout = text(demo(&["--transport", "memory", "--color", "always"]).stdout);
    assert!(stdout.contains("\u{1b}[30m\u{1b}[43m"), "no bar on yellow in\n{stdout}");
}

#[test]
fn what_is_not_understood_is_refused_with_status_2() {
    for arguments in [&["--transport", "pigeon"][..], &["--nonsense"], &["surplus"]] {
        let Output { status, stdout, stderr } = demo(arguments);
        assert_eq!(status.code(), Some(2), "{arguments:?}");
        assert!(stdout.is_empty() && !stderr.is_empty());
    }
}

#[test]
fn a_server_that_does_not_go_with_the_transport_is_refused_in_one_line_that_says_how_to_mend_it() {
    let secret = "s3cr3t";
    let (nats, redis) = (format!("nats://u:{secret}@h"), format!("redis://u:{secret}@h"));
    let (broken, empty) = (format!("nats://u:{secret}@h:port"), format!("nats://u:{secret}@"));
    for (arguments, words) in [
        (&["--transport", "kafka", "--url", &nats][..], "leave --url out"),
        (&["--url", &nats], "leave --url out"),
        (&["--transport", "memory", "--url", &redis], "leave --url out"),
        (&["--transport", "nats"], "add --url nats://localhost:4222"),
        (&["--transport", "redis", "--json"], "add --url redis://localhost:6379"),
        (&["--transport", "nats", "--url", &redis], "write nats://"),
        (&["--transport", "nats", "--url", &broken], "write nats://"),
        (&["--transport", "nats", "--url", &empty], "write nats://"),
        (&["--transport", "nats", "--url", ""], "write nats://"),
        (&["--transport", "redis", "--url", &nats], "write redis://"),
        (&["--transport", "redis", "--url", "localhost"], "write redis://"),
    ] {
        let Output { status, stdout, stderr } = demo(arguments);
        let stderr = text(stderr);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stdout.is_empty(), "{arguments:?}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("--url") && stderr.contains(words), "{arguments:?}: {stderr}");
        assert!(!stderr.contains(secret), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_it_without_a_word() {
    let program = env!("CARGO_BIN_EXE_backup-tracker");
    let mut child = Command::new(program)
        .args(["demo", "--transport", "memory"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(text(output.stderr), "");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_quietly_with_status_130() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let mut child = Command::new(env!("CARGO_BIN_EXE_backup-tracker"))
        .args(["demo", "--transport", "memory", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // By the second line the demo is under way, and listens to the signal.
    assert!(lines.next().is_some() && lines.next().is_some());
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(!rest.iter().any(|line| line.contains("summary")), "it went on to its end");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(text(output.stderr), "");
}
