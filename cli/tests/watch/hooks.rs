//! Hooks.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backup_tracker::BackupState::{BackingUp, Ready, Restoring};
use rustix::process::Pid;
use tempfile::TempDir;

use crate::bench::{Bench, lines_of};
use crate::process::ends;

/// A folder for what hooks leave behind, and their working directory.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        self.0.path()
    }
}

fn watch(bench: &Bench, folder: &Folder, hook: &str, arguments: &[&str]) -> crate::bench::Program {
    bench.watch_with(&[&["--group", "watcher", "--exec", hook], arguments].concat(), |command| {
        command.current_dir(folder);
    })
}

#[test]
fn hooks_run_in_order_one_at_a_time_with_the_transition_in_their_environment() {
    let bench = Bench::new();
    let folder = Folder::new();
    // A lock that is held already is another hook that runs.
    let hook = r#"
        mkdir lock || echo overlap >> overlaps
        echo "$BACKUP_TRACKER_APPLICATION $BACKUP_TRACKER_STATE $BACKUP_TRACKER_FROM $BACKUP_TRACKER_REPLAY \
$BACKUP_TRACKER_MISSED $BACKUP_TRACKER_ID $BACKUP_TRACKER_TIMESTAMP $BACKUP_TRACKER_TIMESTAMP_MILLIS" >> log
        sleep 0.2
        rmdir lock"#;
    bench.announce(&[Ready]);
    let mut program = watch(&bench, &folder, hook, &["--json"]);
    let mut steps = vec![program.event("transition")];
    bench.announce(&[BackingUp, Ready, Restoring, Ready]);
    let mut hooks = 0;
    while hooks < 5 {
        let line = program.json();
        match line["event"].as_str().unwrap() {
            "transition" => steps.push(line),
            "hook" => hooks += 1,
            _ => {}
        }
        // All are printed long before the last hook ends: hooks hold up nothing but the position.
        assert!(hooks < 5 || steps.len() == 5, "{steps:?}");
    }
    program.terminate();

    let expected: Vec<_> = steps
        .iter()
        .map(|step| {
            let text = |name: &str| step[name].as_str().unwrap();
            format!(
                "shop {} {} {} {} {} {} {}",
                text("state"),
                text("from"),
                step["replay"],
                step["missed"],
                text("id"),
                text("timestamp"),
                step["timestamp_millis"],
            )
        })
        .collect();
    assert_eq!(lines_of(&folder.file("log")), expected);
    assert!(expected[0].starts_with("shop READY STARTING true false "), "{}", expected[0]);
    assert!(expected[1].starts_with("shop BACKING_UP READY false false "), "{}", expected[1]);
    assert!(!folder.file("overlaps").exists());
}

#[test]
fn the_time_limit_ends_the_hook_and_everything_that_it_has_started() {
    let bench = Bench::new();
    let folder = Folder::new();
    let hook = r#"
        (trap "" TERM; sh -c 'echo $PPID' > stubborn.new; mv stubborn.new stubborn; while :; do sleep 0.1; done) &
        echo $$ > leader
        wait; wait"#;
    let mut program = watch(&bench, &folder, hook, &["--json", "--exec-timeout", "500ms"]);
    let begun = Instant::now();
    bench.announce(&[Ready]);
    let ended = program.event("hook");
    assert_eq!(ended["outcome"], "timed_out");
    assert!(ended["duration_seconds"].as_f64().unwrap() >= 0.5);
    assert!(begun.elapsed() < Duration::from_secs(20));
    for name in ["leader", "stubborn"] {
        let pid = lines_of(&folder.file(name)).remove(0).parse().unwrap();
        ends(Pid::from_raw(pid).unwrap());
    }
    program.stderr.with("the hook for READY");
    program.terminate();
}

#[test]
fn what_a_hook_started_has_a_moment_to_put_things_in_order() {
    let bench = Bench::new();
    let folder = Folder::new();
    let hook =
        "sh -c 'trap \"sleep 0.3; touch tidy; exit\" TERM; touch begun; while :; do sleep 0.05; done'; true";
    let mut program = watch(&bench, &folder, hook, &["--json", "--exec-timeout", "1s"]);
    bench.announce(&[Ready]);
    assert_eq!(program.event("hook")["outcome"], "timed_out");
    assert!(folder.file("begun").exists() && folder.file("tidy").exists());
    program.terminate();
}

#[test]
fn a_failure_is_visible_and_the_next_hook_runs_all_the_same() {
    let bench = Bench::new();
    let folder = Folder::new();
    let hook = "echo to stdout; echo to stderr >&2; test $BACKUP_TRACKER_STATE = READY || exit 7";
    let mut program = watch(&bench, &folder, hook, &["--json", "--http", "127.0.0.1:0"]);
    let url = program.url();
    bench.announce(&[BackingUp, Ready]);
    let failed = program.event("hook");
    assert_eq!((&failed["outcome"], &failed["exit_code"]), (&"failed".into(), &7.into()));
    let succeeded = program.event("hook");
    assert_eq!((&succeeded["outcome"], &succeeded["exit_code"]), (&"succeeded".into(), &0.into()));
    // What the hook prints is on standard error; on standard output every line was an object.
    program.stderr.with("to stdout");
    program.stderr.with("to stderr");
    program.stderr.with("--exec: the hook for BACKING_UP");

    let state = crate::http::json(&format!("{url}/state"));
    assert_eq!((&state["hooks"]["failed"], &state["hooks"]["succeeded"]), (&1.into(), &1.into()));
    let metrics = crate::http::get(&format!("{url}/metrics")).1;
    for line in [
        r#"backup_tracker_hooks_total{application="shop",outcome="failed"} 1"#,
        r#"backup_tracker_hooks_total{application="shop",outcome="timed_out"} 0"#,
        r#"backup_tracker_hooks_waiting{application="shop"} 0"#,
        r#"backup_tracker_hook_duration_seconds_count{application="shop"} 2"#,
    ] {
        assert!(metrics.lines().any(|is| is == line), "no {line} in\n{metrics}");
    }
    program.terminate();
}

#[test]
fn a_failure_that_ends_the_program_leaves_the_position_so_that_the_hook_is_run_again() {
    let bench = Bench::new();
    let folder = Folder::new();
    let hook = "echo $BACKUP_TRACKER_STATE $BACKUP_TRACKER_REPLAY >> log; test -e mended";
    let exit = ["--json", "--on-exec-failure", "exit"];
    let mut program = watch(&bench, &folder, hook, &exit);
    program.event("synced");
    bench.announce(&[Ready]);
    assert_eq!(program.ended().code(), Some(1));
    let stderr = program.stderr.rest();
    assert!(stderr.iter().any(|line| line.contains("--on-exec-failure")), "{stderr:?}");

    std::fs::write(folder.file("mended"), "").unwrap();
    let mut again = watch(&bench, &folder, hook, &exit);
    assert_eq!(again.event("hook")["outcome"], "succeeded");
    assert_eq!(lines_of(&folder.file("log")), ["READY false", "READY true"]);
    again.terminate();
}

#[test]
fn a_hook_that_runs_after_the_commit_is_not_run_again() {
    let bench = Bench::new();
    let folder = Folder::new();
    let hook = "echo $BACKUP_TRACKER_STATE >> log; test $BACKUP_TRACKER_STATE != READY";
    let arguments = ["--json", "--on-exec-failure", "exit", "--commit", "before-exec"];
    let mut program = watch(&bench, &folder, hook, &arguments);
    bench.announce(&[Ready]);
    assert_eq!(program.ended().code(), Some(1));

    let mut again = watch(&bench, &folder, hook, &arguments);
    again.event("synced");
    bench.announce(&[BackingUp]);
    again.event("hook");
    assert_eq!(lines_of(&folder.file("log")), ["READY", "BACKING_UP"]);
    again.terminate();
}

#[test]
fn the_position_waits_for_the_hook_of_ready() {
    let bench = Bench::new();
    let folder = Folder::new();
    let hook = "echo $BACKUP_TRACKER_STATE >> log; echo begun >&2; while [ ! -e go ]; do sleep 0.02; done";
    let mut killed = watch(&bench, &folder, hook, &[]);
    killed.stderr.with("following");
    bench.announce(&[Ready]);
    killed.stderr.with("begun");
    killed.child.kill().unwrap();
    killed.ended();
    std::fs::write(folder.file("go"), "").unwrap();

    let mut again = watch(&bench, &folder, hook, &["--json"]);
    assert_eq!(again.event("hook")["outcome"], "succeeded");
    assert_eq!(lines_of(&folder.file("log")), ["READY", "READY"]);
    // Now it has moved, which only the next one shows.
    bench.announce(&[BackingUp]);
    assert_eq!(again.event("hook")["state"], "BACKING_UP");
    again.child.kill().unwrap();
    again.ended();
    let mut third = watch(&bench, &folder, hook, &["--json"]);
    assert_eq!(third.event("hook")["state"], "BACKING_UP");
    third.terminate();
}
