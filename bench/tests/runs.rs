//! Runs the real program at its smallest size on every server that there is; where there is none the case shows as ignored.
//! No time that it measures is looked at.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use backup_tracker_test_servers::{Kafka, Missing, Nats, Redis};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::Value;

const QUANTITIES: [&str; 4] = ["announcement", "parts", "catching_up", "start"];
const TITLES: [&str; 4] =
    ["Announcement to gate shut", "Parts of an announcement", "Catching up", "Start to synced"];

fn main() -> ExitCode {
    let trials = vec![
        trial("on_memory", || Ok(()), || measures_everything("memory")),
        trial("on_kafka", || Kafka::find().map(drop), || measures_everything("kafka")),
        trial("on_nats", || Nats::find().map(drop), || measures_everything("nats")),
        trial("on_redis", || Redis::find().map(drop), || measures_everything("redis")),
        trial("a_server_that_is_missing_is_named", || Ok(()), a_server_that_is_missing_is_named),
        trial("a_report_is_written_from_what_was_kept", || Ok(()), a_report_is_written_from_what_was_kept),
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, needs: fn() -> Result<(), Missing>, case: fn()) -> Trial {
    Trial::ignorable_test(name, move || match needs() {
        Err(missing) => Ok(Completion::ignored_with(missing.reason)),
        Ok(()) => {
            case();
            Ok(Completion::Completed)
        }
    })
}

fn bench(json: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backup-tracker-bench"));
    command.args(["--scale", "smallest", "--json"]).arg(json).args(arguments);
    command
}

/// A run that must be good. Returns what it says.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{stdout}\n{stderr}");
    stdout
}

fn read(json: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap()
}

fn measures_everything(transport: &str) {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("new/results.json");
    let said = run(&mut bench(&json, &["--transport", transport]));
    for title in TITLES {
        // While it runs, and in the table at the end.
        let times = if is_measured(title, transport) { 2 } else { 0 };
        assert_eq!(said.matches(title).count(), times, "{title} in\n{said}");
    }

    let results = read(&json);
    assert_eq!(results["format"], 1);
    assert_eq!(results["scale"], "smallest");
    assert!(results["machine"]["cores"].as_u64().unwrap() > 0);
    for field in ["system", "processor"] {
        assert!(results["machine"][field].is_string(), "{results}");
    }
    assert_eq!(results["missing"], Value::Array(Vec::new()));
    let used = &results["transports"][0];
    assert_eq!(used["transport"], transport);
    assert!(!used["client"].as_str().unwrap().contains("unknown"), "{used}");
    assert!(!used["server"].as_str().unwrap().contains("unknown"), "{used}");
    let measurements = results["measurements"].as_array().unwrap();
    for quantity in QUANTITIES {
        let found = measurements.iter().any(|row| row["quantity"] == quantity);
        assert_eq!(found, is_measured(quantity, transport), "{quantity} in {results}");
    }
    for row in measurements {
        check_shape(row, transport);
    }
}

/// In memory, ours and raw are not one log, of which each could have a part.
fn is_measured(name: &str, transport: &str) -> bool {
    transport != "memory" || !name.to_lowercase().starts_with("parts")
}

fn check_shape(row: &Value, transport: &str) {
    assert_eq!(row["transport"], transport);
    assert!(row["size"].as_u64().unwrap() > 0 && row["rounds"].as_u64().unwrap() > 0, "{row}");
    assert!(
        ["events", "secondaries", "parts that are ours"].iter().any(|counted| row["of"] == *counted),
        "{row}"
    );
    for side in ["ours", "raw"] {
        let times = ["min", "median", "p99", "max"].map(|name| row[side][name].as_f64().unwrap());
        assert!(times[0] > 0.0 && times.is_sorted(), "{row}");
    }
    let ratio = &row["ratio"];
    assert!(ratio["median"].as_f64().unwrap() > 0.0 && ratio["p99"].as_f64().unwrap() > 0.0, "{row}");
    assert_eq!(ratio["quartiles"].as_array().unwrap().len(), 3, "{row}");
    assert!(row["goal"].is_null() || row["goal"]["met"].is_boolean(), "{row}");
}

/// Java is looked for in no other places than these two.
fn a_server_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    // What watches over the servers that are to be had.
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("sh")).unwrap();
    let mut command = bench(&json, &["--transport", "kafka", "--quantity", "announcement"]);
    command.env("PATH", folder.path()).env_remove("JAVA_HOME");
    let Output { status, stdout, .. } = command.output().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("kafka is not measured: needs Java"), "{said}");
    assert_eq!(read(&json)["missing"][0]["transport"], "kafka");

    // Nobody asked for it by name, so that the rest is enough.
    let mut command = bench(&json, &["--transport", "all", "--quantity", "announcement"]);
    let said = run(command.env("PATH", folder.path()).env_remove("JAVA_HOME"));
    assert!(said.contains("kafka is not measured"), "{said}");
    assert!(read(&json)["measurements"].as_array().unwrap().iter().any(|row| row["transport"] == "memory"));
}

fn a_report_is_written_from_what_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    run(&mut bench(&json, &["--transport", "memory"]));
    let docs = folder.path().join("docs");
    let mut command = Command::new(env!("CARGO_BIN_EXE_backup-tracker-bench"));
    run(command.arg("--from").arg(&json).arg("--report").arg(&docs));
    let page = std::fs::read_to_string(docs.join("performance.md")).unwrap();
    for title in TITLES {
        assert_eq!(page.contains(&format!("## {title}")), is_measured(title, "memory"), "{page}");
    }
    assert!(page.contains("performance/announcement-memory.svg"), "{page}");
    let picture = std::fs::read_to_string(docs.join("performance/announcement-memory.svg")).unwrap();
    assert!(picture.starts_with("<svg"), "{picture}");
}
