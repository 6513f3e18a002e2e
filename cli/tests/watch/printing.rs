//! What is printed.

use backup_tracker::BackupState::{BackingUp, Ready, Restoring};
use serde_json::Value;

use crate::bench::Bench;
use crate::forks;

/// State, from, and whether it is of the past.
fn of(transition: &Value) -> (String, String, bool) {
    let text = |name: &str| transition[name].as_str().unwrap().to_owned();
    (text("state"), text("from"), transition["replay"].as_bool().unwrap())
}

fn step(state: &str, from: &str, replay: bool) -> (String, String, bool) {
    (state.to_owned(), from.to_owned(), replay)
}

#[test]
fn each_transition_is_printed_in_order() {
    let bench = Bench::new();
    let mut program = bench.watch(&["--group", "watcher"]);
    program.stderr.with("following shop as group watcher");
    bench.announce(&[Ready, BackingUp, Ready, Restoring, Ready]);
    for words in [
        "STARTING   -> READY     ",
        "READY      -> BACKING_UP",
        "BACKING_UP -> READY     ",
        "READY      -> RESTORING ",
        "RESTORING  -> READY     ",
    ] {
        let line = program.stdout.next();
        assert!(line.contains(words), "{line}");
        // Digits of a second only where there are some: 2026-01-02T03:04:05.678Z
        assert!(line[..24].trim_end().ends_with('Z') && &line[24..26] == "  ", "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains("missed"), "{line}");
    }
    program.terminate();
    assert_eq!(program.stdout.rest(), Vec::<String>::new());
}

#[test]
fn with_a_group_a_restart_reads_the_running_operation_once_more_and_nothing_else() {
    let bench = Bench::new();
    let mut killed = bench.watch(&["--group", "watcher", "--json"]);
    bench.announce(&[Ready, BackingUp]);
    assert_eq!(killed.event("transition")["state"], "READY");
    assert_eq!(killed.event("transition")["state"], "BACKING_UP");
    killed.child.kill().unwrap();
    killed.ended();

    let mut second = bench.watch(&["--group", "watcher", "--json"]);
    assert_eq!(of(&second.event("transition")), step("BACKING_UP", "READY", true));
    assert_eq!(second.event("synced")["state"], "BACKING_UP");
    bench.announce(&[Ready]);
    assert_eq!(of(&second.event("transition")), step("READY", "BACKING_UP", false));
    second.terminate();

    let mut third = bench.watch(&["--group", "watcher", "--json"]);
    assert_eq!(third.event("synced")["state"], "READY");
    bench.announce(&[Restoring]);
    assert_eq!(of(&third.event("transition")), step("RESTORING", "READY", false));
    third.terminate();
}

#[test]
fn without_a_group_the_last_of_the_past_tells_the_present_state() {
    let bench = Bench::new();
    bench.announce(&[Ready, BackingUp, Ready, Restoring]);
    let mut last = bench.watch(&["--json"]);
    let mut all = bench.watch(&["--json", "--replay", "all"]);
    let mut none = bench.watch(&["--json", "--replay", "none"]);
    for program in [&last, &all, &none] {
        let following = program.event("following");
        assert_eq!((&following["keeps_position"], &following["group"]), (&Value::Bool(false), &Value::Null));
    }

    let states: Vec<_> = (0..4).map(|_| of(&all.event("transition")).0).collect();
    assert_eq!(states, ["READY", "BACKING_UP", "READY", "RESTORING"]);
    assert_eq!(of(&last.event("transition")), step("RESTORING", "READY", true));
    assert_eq!(none.event("synced")["state"], "RESTORING");

    bench.announce(&[Ready]);
    for program in [&mut last, &mut all, &mut none] {
        assert_eq!(of(&program.event("transition")), step("READY", "RESTORING", false));
        program.terminate();
    }
}

#[test]
fn a_group_of_the_environment_is_taken_unless_it_is_not_wanted() {
    let bench = Bench::new();
    bench.announce(&[Ready, BackingUp, Ready]);
    let with_variable = |arguments: &[&str]| {
        bench.watch_with(arguments, |command| {
            command.env("CONSUMER_GROUP", "search");
        })
    };
    let mut looking = with_variable(&["--json", "--no-group"]);
    assert_eq!(looking.event("following")["keeps_position"], false);
    assert_eq!(of(&looking.event("transition")), step("READY", "BACKING_UP", true));
    looking.terminate();

    let mut following = with_variable(&["--json"]);
    assert_eq!(following.event("following")["group"], "search");
    // Nobody has moved its position.
    let states: Vec<_> = (0..3).map(|_| of(&following.event("transition")).0).collect();
    assert_eq!(states, ["READY", "BACKING_UP", "READY"]);
    following.terminate();
}

#[test]
fn a_step_before_which_something_is_missing_says_so() {
    let bench = Bench::new();
    bench.announce(&[Ready, BackingUp]);
    let program = bench.watch(&["--read-policy", "latest"]);
    program.stderr.with("following shop");
    bench.announce(&[Ready]);
    let line = program.stdout.next();
    assert!(line.contains("BACKING_UP -> READY") && !line.contains("missed"), "{line}");

    // A primary that restarts begins in Starting.
    bench.restarted().announce(&[Ready]);
    let line = program.stdout.next();
    assert!(
        line.contains("STARTING   -> READY") && line.ends_with("something before it was missed"),
        "{line}"
    );
}

#[test]
fn json_lines_are_as_their_schema_says() {
    let schema: Value = serde_json::from_str(include_str!("../../schemas/watch.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let bench = Bench::new();
    bench.announce(&[Ready]);
    let hook = "test $BACKUP_TRACKER_STATE = READY";
    let mut program = bench.watch(&["--json", "--group", "watcher", "--http", "127.0.0.1:0", "--exec", hook]);
    let mut seen = Vec::new();
    let mut until = |event: &str, word: &str| loop {
        let line: Value = serde_json::from_str(&program.stdout.next()).unwrap();
        let found = line["event"] == event && (line["state"] == word || line["status"] == word);
        seen.push(line);
        if found {
            break;
        }
    };
    until("hook", "READY");
    bench.announce(&[BackingUp]);
    until("hook", "BACKING_UP");
    forks::broker_down(&bench.mock);
    until("health", "troubled");
    program.terminate();
    seen.extend(program.stdout.rest().iter().map(|line| serde_json::from_str(line).unwrap()));

    for line in &seen {
        let errors: Vec<_> = schema.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
    for event in ["listening", "following", "synced", "transition", "hook", "health"] {
        assert!(seen.iter().any(|line| line["event"] == event), "no {event} in {seen:?}");
    }
    // The schema is not one that lets everything pass.
    let mut changed = seen.iter().find(|line| line["event"] == "transition").unwrap().clone();
    changed["state"] = "ready".into();
    assert!(!schema.is_valid(&changed));
}
