//! Runs the program `idle` at its smallest size at every server that there is; where there is none the case shows as ignored.
//! No time that it measures is looked at.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

use std::process::{Command, ExitCode, Output};

use backup_tracker_test_servers::{Kafka, Missing, Nats, Redis};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::Value;

fn main() -> ExitCode {
    let at = |transport: &'static str, needs: fn() -> Result<(), Missing>| {
        Trial::ignorable_test(
            format!("every_subject_waits_and_is_measured/{transport}"),
            move || match needs() {
                _ if !cfg!(target_os = "linux") => {
                    Ok(Completion::ignored_with("needs /proc as Linux writes it"))
                }
                Err(missing) => Ok(Completion::ignored_with(missing.reason)),
                Ok(()) => {
                    every_subject_waits_and_is_measured(transport);
                    Ok(Completion::Completed)
                }
            },
        )
    };
    let trials = vec![
        at("memory", || Ok(())),
        at("kafka", || Kafka::find().map(drop)),
        at("nats", || Nats::find().map(drop)),
        at("redis", || Redis::find().map(drop)),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn every_subject_waits_and_is_measured(transport: &str) {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("idle.json");
    let mut program = Command::new(env!("CARGO_BIN_EXE_idle"));
    program.args(["--scale", "smallest", "--transport", transport, "--json"]).arg(&json);
    let Output { status, stdout, stderr } = program.output().unwrap();
    let (said, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{said}{stderr}");

    let results: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(results["missing"], Value::Array(Vec::new()), "{said}");
    let samples = results["samples"].as_array().unwrap();
    let subjects: Vec<&str> = samples.iter().map(|sample| sample["subject"].as_str().unwrap()).collect();
    let expected: &[&str] = match transport {
        "memory" => &["nothing", "raw", "secondaries"],
        _ => &["nothing", "raw", "secondaries", "watch", "watch_http"],
    };
    assert_eq!(subjects, expected, "{said}");
    for sample in samples {
        let used = |what: &str| sample["usage"][what].as_u64().unwrap();
        assert_eq!(sample["transport"], transport);
        assert!(used("own") > 0 && used("resident") >= used("own") && used("threads") > 1, "{sample}");
        assert!(sample["usage"]["processor"].is_f64() && sample["silence"] == 1.0, "{sample}");
    }
    assert!(said.contains(&format!("{transport}: a silent secondary costs")), "{said}");
}
