//! `recover` and `announce ready`.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::bench::{Bench, TEN, nowhere};
use crate::program::{Ended, Running, program};

const REASON: &str = "the host burnt down";

fn announce(bench: &Bench, more: &[&str]) -> Ended {
    bench.run(&[&["announce", "ready", "--application", "shop", "--reason", REASON], more].concat())
}

#[test]
fn recover_ends_what_the_log_says_is_running_and_then_does_nothing() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Starting, BackingUp);
    let recover = ["recover", "--application", "shop", "--json"];
    let document = bench.run(&recover).document("ready");
    assert_eq!((&document["from"], &document["announced"]), (&json!("BACKING_UP"), &json!(true)));
    assert_eq!(document["since"], "2025-07-11T10:00:00Z");
    assert_eq!(bench.state(), "READY");
    let document = bench.run(&recover).document("ready");
    assert_eq!((&document["from"], &document["announced"]), (&json!("READY"), &json!(false)));
    let text = bench.run(&recover[..3]);
    assert!(text.lines()[0].ends_with("nothing to do"), "{text:?}");
    assert_eq!(bench.run(&["status", "--json"]).document("status")["records"], 2);
}

#[test]
fn recover_announces_an_application_that_never_was() {
    let bench = Bench::new();
    let ended = bench.run(&["recover", "--application", "shop"]);
    assert_eq!(ended.lines(), ["shop is READY now; it was never announced before"]);
    assert_eq!(bench.state(), "READY");
}

#[test]
fn a_broker_that_is_gone_is_status_1_in_time() {
    let arguments = ["--application", "shop", "--timeout", "1s", "--bootstrap-server", &nowhere()];
    for command in [&["recover"][..], &["announce", "ready", "--reason", "x", "--yes"]] {
        let ended = Ended::of(&mut program(&[command, &arguments].concat()));
        assert_eq!((ended.status, &*ended.stdout), (Some(1), ""), "{ended:?}");
    }
}

#[test]
fn an_operators_reason_is_in_the_log() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    let ended = announce(&bench, &["--yes"]);
    assert_eq!(ended.lines(), ["shop is READY now; it was BACKING_UP since 2025-07-11T10:00:00Z"]);
    let document = bench.run(&["history", "--json"]).document("history");
    let end = &document["applications"][0]["operations"][0]["end"];
    assert_eq!(end["headers"]["backup-tracker-reason"], REASON);
    assert_eq!(end["from"], "BACKING_UP");
}

#[test]
fn without_a_terminal_it_wants_a_yes() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    let ended = Ended::of(
        bench
            .command(&["announce", "ready", "--application", "shop", "--reason", REASON])
            .stdin(Stdio::null()),
    );
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("shop is BACKING_UP since 2025-07-11T10:00:00Z"), "{ended:?}");
    assert!(ended.stderr.contains("--yes"), "{ended:?}");
    assert_eq!(bench.state(), "BACKING_UP");
}

/// Both ends of a terminal.
pub(crate) fn terminal() -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = File::options().read(true).write(true).open(path).unwrap();
    (ours.into(), theirs.into())
}

#[test]
fn on_a_terminal_it_asks_and_only_a_yes_is_one() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    for (answer, status, state) in
        [("\n", 1, "BACKING_UP"), ("no\n", 1, "BACKING_UP"), ("y\n", 0, "READY"), ("", 0, "READY")]
    {
        let (mut ours, theirs) = terminal();
        ours.write_all(answer.as_bytes()).unwrap();
        let arguments = ["announce", "ready", "--application", "shop", "--reason", REASON];
        let ended = Ended::of(bench.command(&arguments).stdin(theirs));
        assert_eq!(ended.status, Some(status), "{ended:?}");
        assert_eq!(ended.stderr.contains("Announce READY? [y/N]"), !answer.is_empty(), "{ended:?}");
        assert_eq!(bench.state(), state, "{ended:?}");
    }
}

#[test]
fn what_has_changed_while_it_asked_is_no_more_what_the_answer_was_about() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    let (mut ours, theirs) = terminal();
    let arguments = ["announce", "ready", "--application", "shop", "--reason", REASON];
    let mut asking = Running::start(bench.command(&arguments).stdin(theirs));
    asking.asks("Announce READY? [y/N] ");
    bench.step("shop", TEN, BackingUp, Ready);
    bench.step("shop", TEN, Ready, Restoring);
    ours.write_all(b"y\n").unwrap();
    let ended = asking.ends();
    assert_eq!((ended.status, &*ended.stdout), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("shop is RESTORING since 2025-07-11T10:00:00Z"), "{ended:?}");
    assert!(ended.stderr.contains("meanwhile; nothing was announced"), "{ended:?}");
    assert_eq!(bench.state(), "RESTORING");
}
