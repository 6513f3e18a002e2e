//! How it ends.

use std::os::unix::process::CommandExt;
use std::process::Stdio;

use backup_tracker::BackupState::{BackingUp, Ready};
use tempfile::TempDir;

use crate::bench::{Bench, Program, eventually, lines_of, send};
use crate::forks;

const WAITING_HOOK: &str = "echo $BACKUP_TRACKER_STATE >> log; echo begun >&2; while [ ! -e go ]; do sleep 0.02; done; echo done >> log";

/// In a process group of its own, as a shell starts a command.
fn watch(bench: &Bench, folder: &TempDir, arguments: &[&str]) -> Program {
    bench.watch_with(&[&["--group", "watcher", "--exec", WAITING_HOOK], arguments].concat(), |command| {
        command.current_dir(folder.path()).process_group(0);
    })
}

#[test]
fn ctrl_c_ends_it_with_130_and_sigterm_with_0() {
    let bench = Bench::new();
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        let mut program = bench.watch(&[]);
        program.stderr.with("note: following shop without a group");
        program.signal(signal);
        assert_eq!(program.ended().code(), Some(code));
        assert_eq!(program.stderr.rest(), Vec::<String>::new());
    }
}

#[test]
fn a_signal_lets_the_hook_that_runs_come_to_its_end_and_starts_no_other() {
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        let bench = Bench::new();
        let folder = TempDir::new().unwrap();
        let log = || lines_of(&folder.path().join("log"));
        let mut program = watch(&bench, &folder, &["--json", "--http", "127.0.0.1:0"]);
        let url = program.url();
        bench.announce(&[BackingUp, Ready]);
        program.event("transition");
        program.event("transition");
        program.stderr.with("begun");
        // To the whole group, as a terminal does.
        send(signal, &format!("-{}", program.child.id()));
        eventually("being unready", || {
            crate::http::json(&format!("{url}/readyz"))["unready_because"] == "closing"
        });
        assert_eq!(log(), ["BACKING_UP"]);
        std::fs::write(folder.path().join("go"), "").unwrap();
        assert_eq!(program.ended().code(), Some(code));
        assert_eq!(log(), ["BACKING_UP", "done"]);
        program.stderr.with("1 more hooks were due");

        // The hook of Ready was never run, so the operation comes once more.
        let mut again = watch(&bench, &folder, &["--json"]);
        assert_eq!(again.event("hook")["state"], "BACKING_UP");
        assert_eq!(again.event("hook")["state"], "READY");
        again.terminate();
    }
}

#[test]
fn a_second_signal_ends_the_hook_at_once() {
    let bench = Bench::new();
    let folder = TempDir::new().unwrap();
    let mut program = watch(&bench, &folder, &["--json"]);
    bench.announce(&[Ready]);
    program.stderr.with("begun");
    program.signal("INT");
    program.signal("TERM");
    // Signals of two kinds come in no order.
    assert!([Some(0), Some(130)].contains(&program.ended().code()));
    program.stderr.with("was ended together with this program");
    assert_eq!(program.event("hook")["outcome"], "interrupted");
}

#[test]
fn the_reader_of_the_output_may_go_away_and_the_hook_still_ends() {
    let bench = Bench::new();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("go"), "").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    bench.announce(&[Ready]);
    let mut command = bench.command(&["--group", "watcher", "--exec", WAITING_HOOK]);
    let command = command.current_dir(folder.path()).stdout(writer).stderr(Stdio::piped());
    let output = forks::spawn(command).wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(141), "{stderr}");
    assert!(!stderr.contains("error") && !stderr.contains("ended by"), "{stderr}");
    // Whether the hook has begun by then is a matter of luck; if so, it has ended in good order.
    let log = lines_of(&folder.path().join("log"));
    assert!(log.is_empty() || log == ["READY", "done"], "{log:?}");
}

#[test]
fn a_broker_that_is_not_there_is_waited_for_and_a_signal_ends_the_waiting() {
    let bench = Bench::new();
    forks::broker_down(&bench.mock);
    let mut waiting = bench.watch(&[]);
    let mut impatient = bench.watch(&[]);
    for program in [&waiting, &impatient] {
        program.stderr.with("waiting for the broker");
    }
    impatient.signal("TERM");
    assert_eq!(impatient.ended().code(), Some(0));

    bench.mock.broker_up(1).unwrap();
    waiting.stderr.with("following");
    bench.announce(&[Ready]);
    assert!(waiting.stdout.next().contains("READY"));
    waiting.terminate();
}
