//! `examples/sidecar`: a worker that knows nothing of backup-tracker, and the program beside it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use backup_tracker::BackupState::Ready;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::bench::{Bench, Program};
use crate::forks;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/sidecar");
/// How long nothing must happen for the test to believe that nothing happens: a worker that is not paused has
/// done some pieces.
const QUIET: Duration = Duration::from_millis(500);

/// The folder that worker, hook and backup share.
struct Pod {
    bench: Bench,
    folder: TempDir,
}

impl Pod {
    fn new() -> Self {
        let bench = Bench::new();
        bench.announce(&[Ready]);
        Self { bench, folder: TempDir::new().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str) -> String {
        format!("{EXAMPLE}/{name} {}", self.folder.path().display())
    }

    /// The program, once it follows.
    fn sidecar(&self) -> Program {
        let hook = self.script("pause-or-resume");
        let program =
            self.bench.watch(&["--group", "sidecar", "--on-exec-failure", "exit", "--exec", &hook, "--json"]);
        program.event("synced");
        program
    }

    fn worker<S: AsRef<OsStr>>(&self, piece: &[S]) -> Program {
        let mut worker = Command::new(format!("{EXAMPLE}/worker"));
        worker.arg(self.folder.path()).args(piece);
        Program::start(worker)
    }

    /// A worker in the middle of a piece that takes as long as the test wants it to: until somebody writes
    /// into the pipe.
    fn worker_behind_a_gate(&self) -> (Program, PathBuf) {
        let gate = self.file("gate");
        assert!(forks::output(Command::new("mkfifo").arg(&gate)).status.success());
        let piece = format!("echo begun; read line <{}", gate.display());
        let worker = self.worker(&["sh", "-c", &piece]);
        worker.stdout.with("begun");
        (worker, gate)
    }

    /// A `run` of the backup, which says when the copy is made, and lasts until its standard input ends. It
    /// fails if the journal has changed by then.
    fn backup(&self) -> (Program, ChildStdin) {
        let backup = format!(
            "{} {copy} && echo copied && cat >/dev/null && cmp {} {copy}",
            self.script("backup"),
            self.file("journal").display(),
            copy = self.file("copy").display(),
        );
        let mut run = self.bench.program(&["run", "--application", "shop"]);
        run.args(["--", "sh", "-c", &backup]).stdin(Stdio::piped());
        let mut run = Program::start(run);
        let stdin = run.child.stdin.take().unwrap();
        (run, stdin)
    }
}

/// A worker that works does so all the time.
fn works(worker: &Program) {
    for _ in 0..3 {
        worker.stdout.with("piece");
    }
}

fn stands_still(worker: &Program) {
    assert_eq!(worker.stdout.within(QUIET), None);
}

fn hook_succeeds(sidecar: &Program, state: &str) {
    let hook = sidecar.event("hook");
    assert_eq!((&hook["state"], &hook["outcome"]), (&state.into(), &"succeeded".into()), "{hook}");
}

fn ends_well((mut run, stdin): (Program, ChildStdin)) {
    drop(stdin);
    let status = run.ended();
    assert_eq!(status.code(), Some(0), "{:?}", run.stderr.rest());
}

#[test]
fn the_worker_writes_nothing_while_the_backup_is_made_and_works_again_after_it() {
    let pod = Pod::new();
    let mut sidecar = pod.sidecar();
    let worker = pod.worker(&["sleep", "0.02"]);
    // The second follows at once upon the first, and must not take its pause for its own.
    for _ in 0..2 {
        works(&worker);
        let backup = pod.backup();
        backup.0.stdout.with("copied");
        worker.stdout.with("paused");
        stands_still(&worker);
        ends_well(backup);
        let copy = std::fs::read_to_string(pod.file("copy")).unwrap();
        assert!(copy.ends_with('\n') && copy.lines().all(|line| line.starts_with("piece ")), "{copy}");
        worker.stdout.with("resumed");
    }
    works(&worker);
    sidecar.terminate();
}

#[test]
fn a_sidecar_that_is_killed_and_started_again_in_the_middle_keeps_the_worker_paused() {
    let pod = Pod::new();
    let sidecar = pod.sidecar();
    let worker = pod.worker(&["sleep", "0.02"]);
    works(&worker);
    let backup = pod.backup();
    backup.0.stdout.with("copied");
    worker.stdout.with("paused");
    drop(sidecar);
    stands_still(&worker);
    let mut sidecar = pod.sidecar();
    hook_succeeds(&sidecar, "BACKING_UP");
    stands_still(&worker);
    ends_well(backup);
    hook_succeeds(&sidecar, "READY");
    worker.stdout.with("resumed");
    works(&worker);
    sidecar.terminate();
}

#[test]
fn a_backup_that_ends_while_the_sidecar_is_away_is_made_up_for() {
    let pod = Pod::new();
    let sidecar = pod.sidecar();
    let worker = pod.worker(&["sleep", "0.02"]);
    works(&worker);
    let backup = pod.backup();
    backup.0.stdout.with("copied");
    worker.stdout.with("paused");
    drop(sidecar);
    ends_well(backup);
    stands_still(&worker);
    let mut sidecar = pod.sidecar();
    worker.stdout.with("resumed");
    works(&worker);
    sidecar.terminate();
}

#[test]
fn a_copy_is_made_only_when_the_piece_that_is_under_way_is_done() {
    let pod = Pod::new();
    let mut sidecar = pod.sidecar();
    let (worker, gate) = pod.worker_behind_a_gate();
    let backup = pod.backup();
    sidecar.stderr.with("waiting until the worker stands still");
    assert_eq!(backup.0.stdout.within(QUIET), None);
    std::fs::write(&gate, "\n").unwrap();
    backup.0.stdout.with("copied");
    assert_eq!(std::fs::read_to_string(pod.file("copy")).unwrap(), "piece 1\n");
    ends_well(backup);
    worker.stdout.with("begun");
    sidecar.terminate();
    drop(worker);
    // Its piece waits still.
    std::fs::write(&gate, "\n").unwrap();
}

#[test]
fn a_hook_that_is_killed_in_the_middle_leaves_the_worker_paused() {
    let pod = Pod::new();
    let mut sidecar = pod.sidecar();
    let (worker, gate) = pod.worker_behind_a_gate();
    let backup = pod.backup();
    let waits = sidecar.stderr.with("waiting until the worker stands still");
    let pid = waits.split(['[', ']']).nth(1).unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(sidecar.ended().code(), Some(1));

    std::fs::write(&gate, "\n").unwrap();
    assert_eq!(worker.stdout.with("piece"), "piece 1");
    worker.stdout.with("paused");
    stands_still(&worker);
    assert_eq!(
        backup.0.stdout.within(QUIET),
        None,
        "a copy was made of a worker of which nobody knew that it stood still"
    );
    // As a supervisor does.
    let mut sidecar = pod.sidecar();
    backup.0.stdout.with("copied");
    ends_well(backup);
    worker.stdout.with("resumed");
    worker.stdout.with("begun");
    sidecar.terminate();
    drop(worker);
    // Its piece waits still.
    std::fs::write(&gate, "\n").unwrap();
}
