use std::fs::File;

use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use rustix::process::{Signal, kill_process};
use serde_json::json;
use tempfile::tempdir;

use crate::bench::{Bench, TEN, nowhere};
use crate::process::{ends, kill};
use crate::program::{Ended, checked, program};
use crate::started::{Run, SLEEPER};

impl Bench {
    /// What was announced of `shop`, as the log holds it.
    pub(crate) fn steps(&self) -> Vec<String> {
        let document = self.run(&["history", "--application", "shop", "--json"]).document("history");
        let application = &document["applications"][0];
        let operations = application["operations"].as_array().into_iter().flatten();
        operations.map(|one| format!("{} {}", one["operation"], one["outcome"]).replace('"', "")).collect()
    }

    pub(crate) fn state(&self) -> String {
        let document = self.run(&["status", "--application", "shop", "--json"]).document("status");
        document["applications"][0]["state"].as_str().unwrap().to_owned()
    }

    fn run_command(&self, options: &[&str], command: &[&str]) -> Ended {
        self.run(&[&["run", "--application", "shop"], options, &["--"], command].concat())
    }
}

#[test]
fn a_command_runs_between_its_announcements_and_its_status_is_the_programs() {
    let bench = Bench::new();
    let said =
        bench.run_command(&[], &["sh", "-c", "echo $BACKUP_TRACKER_APPLICATION $BACKUP_TRACKER_STATE"]);
    assert_eq!(said.lines(), ["shop BACKING_UP"]);
    assert_eq!(said.stderr, "");
    let failed = bench.run_command(&["--restore"], &["sh", "-c", "echo $BACKUP_TRACKER_STATE; exit 7"]);
    assert_eq!((failed.status, &*failed.stdout), (Some(7), "RESTORING\n"));
    assert_eq!(bench.steps(), ["BACKING_UP ended", "RESTORING ended"]);
}

#[test]
fn everybody_is_paused_while_it_runs() {
    let bench = Bench::new();
    let run = bench.start(&["sh", "-c", "echo up; read line"]);
    assert_eq!(run.line(), "up");
    // Standard input is empty.
    assert_eq!(run.status(), Some(1));
    let run = bench.start(&SLEEPER);
    let pid = run.pid();
    assert_eq!(bench.state(), "BACKING_UP");
    kill(pid);
    assert_eq!(run.status(), Some(137));
    assert_eq!(bench.state(), "READY");
}

#[test]
fn after_sigkill_the_next_run_takes_over_and_so_does_recover() {
    let bench = Bench::new();
    for recover in [false, true] {
        let run = bench.start(&SLEEPER);
        let command = run.pid();
        run.signal(Signal::KILL);
        assert_eq!(run.status(), None);
        kill(command);
        assert_eq!(bench.state(), "BACKING_UP");
        let next = if recover {
            bench.run(&["recover", "--application", "shop"])
        } else {
            bench.run_command(&[], &["true"])
        };
        assert_eq!(next.status, Some(0), "{next:?}");
        assert_eq!(next.stderr.contains("is gone; taking over"), !recover, "{next:?}");
        assert_eq!(bench.state(), "READY");
    }
    assert_eq!(bench.steps().len(), 3);
}

#[test]
fn a_command_that_outlives_its_run_is_at_work() {
    let bench = Bench::new();
    let run = bench.start(&["sh", "-c", "sleep 1000 & echo $$; echo $!; wait"]);
    let (shell, orphan) = (run.pid(), run.pid());
    run.signal(Signal::KILL);
    assert_eq!(run.status(), None);
    let next = bench.run_command(&["--take-over"], &["echo", "ran"]);
    assert_eq!((next.status, &*next.stdout), (Some(125), ""), "{next:?}");
    assert_eq!(bench.run(&["recover", "--application", "shop"]).status, Some(1));
    assert_eq!(bench.state(), "BACKING_UP");
    kill(orphan);
    ends(shell);
    assert_eq!(bench.run(&["recover", "--application", "shop"]).status, Some(0));
    assert_eq!(bench.state(), "READY");
}

#[test]
fn what_somebody_else_has_begun_meanwhile_is_not_ended() {
    let mut bench = Bench::new();
    let run = bench.start(&SLEEPER);
    let command = run.pid();
    bench.step("shop", TEN, BackingUp, Ready);
    bench.step("shop", TEN, Ready, Restoring);
    kill_process(command, Signal::TERM).unwrap();
    assert_eq!(run.status(), Some(143));
    assert_eq!(bench.state(), "RESTORING");
    assert_eq!(bench.steps(), ["BACKING_UP ended", "RESTORING running"]);
}

#[test]
fn a_success_after_which_somebody_else_had_taken_over_is_none() {
    let mut bench = Bench::new();
    let run = bench.start(&["sh", "-c", "trap 'kill $!; exit 0' TERM; sleep 1000 & echo $$; wait"]);
    let command = run.pid();
    bench.step("shop", TEN, BackingUp, Ready);
    kill_process(command, Signal::TERM).unwrap();
    assert_eq!(run.status(), Some(1));
    assert_eq!(bench.steps(), ["BACKING_UP ended"]);
}

#[test]
fn of_several_that_begin_at_once_no_two_run_side_by_side() {
    let bench = Bench::new();
    let folder = tempdir().unwrap();
    let lock = folder.path().join("lock");
    let command = format!("mkdir {0} || exit 99; sleep 0.3; rmdir {0}", lock.display());
    let runs: Vec<_> = (0..4).map(|_| bench.start(&["sh", "-c", &command])).collect();
    let statuses: Vec<_> = runs.into_iter().map(Run::status).collect();
    assert!(statuses.iter().all(|status| matches!(status, Some(0 | 125))), "{statuses:?}");
    assert!(statuses.contains(&Some(0)), "{statuses:?}");
    assert_eq!(bench.state(), "READY");
}

#[test]
fn a_run_that_is_at_work_is_left_alone() {
    let bench = Bench::new();
    let run = bench.start(&SLEEPER);
    let command = run.pid();
    for options in [&[][..], &["--take-over"], &["--anyway"]] {
        let second = bench.run_command(options, &["echo", "ran"]);
        assert_eq!((second.status, &*second.stdout), (Some(125), ""), "{second:?}");
        assert!(second.stderr.contains("that process, or its command, is at work"), "{second:?}");
    }
    for command in [&["recover"][..], &["announce", "ready", "--reason", "x", "--yes"]] {
        let ended = bench.run(&[command, &["--application", "shop"]].concat());
        assert_eq!(ended.status, Some(1), "{ended:?}");
    }
    assert_eq!(bench.state(), "BACKING_UP");
    kill(command);
    assert_eq!(run.status(), Some(137));
    assert_eq!(bench.steps(), ["BACKING_UP ended"]);
}

#[test]
fn an_operation_of_which_nothing_is_known_is_taken_over_only_when_asked_for() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Starting, Restoring);
    let ended = bench.run_command(&[], &["echo", "ran"]);
    assert_eq!((ended.status, &*ended.stdout), (Some(125), ""));
    assert!(ended.stderr.contains("RESTORING since 2025-07-11T10:00:00Z"), "{ended:?}");
    assert!(ended.stderr.contains("--take-over"), "{ended:?}");
    assert_eq!(bench.state(), "RESTORING");
    let ended = bench.run_command(&["--take-over"], &["echo", "ran"]);
    assert_eq!((ended.status, &*ended.stdout), (Some(0), "ran\n"));
    assert_eq!(bench.steps(), ["RESTORING ended", "BACKING_UP ended"]);
}

#[test]
fn a_command_that_cannot_be_executed_says_so_and_its_end_is_announced() {
    let bench = Bench::new();
    let missing = bench.run_command(&[], &["/no/such/command"]);
    assert_eq!(missing.status, Some(127));
    assert!(missing.stderr.contains("/no/such/command"), "{missing:?}");
    let folder = tempdir().unwrap();
    let file = folder.path().join("data");
    File::create(&file).unwrap();
    let refused = bench.run_command(&[], &[file.to_str().unwrap()]);
    assert_eq!(refused.status, Some(126), "{refused:?}");
    assert_eq!(bench.state(), "READY");
}

#[test]
fn without_an_announcement_the_command_is_not_run_unless_it_is_to_run_anyway() {
    let servers = nowhere();
    let run = |options: &[&str], command: &[&str]| {
        let run = ["run", "--application", "shop", "--bootstrap-server", &servers, "--timeout", "1s"];
        Ended::of(&mut program(&[&run[..], options, &["--"], command].concat()))
    };
    let ended = run(&[], &["echo", "ran"]);
    assert_eq!((ended.status, &*ended.stdout), (Some(125), ""));
    assert!(ended.stderr.contains("the command was not run"), "{ended:?}");
    let ended = run(&["--anyway"], &["sh", "-c", "echo $BACKUP_TRACKER_STATE [$BACKUP_TRACKER_ID]; exit 3"]);
    assert_eq!((ended.status, &*ended.stdout), (Some(3), "READY []\n"));
    assert!(ended.stderr.contains("WHILE NOBODY PAUSES"), "{ended:?}");
}

#[test]
fn wrong_calls_end_with_2() {
    let bench = Bench::new();
    for arguments in [&["run", "--", "true"][..], &["run", "--application", "shop"], &["recover"]] {
        let ended = bench.run(arguments);
        assert_eq!(ended.status, Some(2), "{ended:?}");
    }
    let ended =
        Ended::of(&mut program(&["run", "--application", "shop", "--transport", "nats", "--", "true"]));
    assert_eq!(ended.status, Some(2), "{ended:?}");
}

#[test]
fn the_report_follows_its_schema() {
    let bench = Bench::new();
    let ended = bench.run_command(&["--json"], &["sh", "-c", "exit 7"]);
    let report = checked(&ended.stderr, "run");
    assert_eq!((&report["command_status"], &report["exit_status"]), (&json!(7), &json!(7)));
    assert_eq!((&report["operation"], &report["end_announced"]), (&json!("BACKING_UP"), &json!(true)));
    let ended = bench.run_command(&["--json"], &["/no/such"]);
    let report = checked(ended.stderr.lines().last().unwrap(), "run");
    assert_eq!((&report["command_status"], &report["exit_status"]), (&json!(null), &json!(127)));
}

#[test]
fn the_steps_fit_the_state_that_the_log_left() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    bench.step("shop", TEN, BackingUp, Ready);
    let ended = bench.run_command(&["--restore"], &["true"]);
    assert_eq!(ended.status, Some(0));
    let document = bench.run(&["status", "--application", "shop", "--json"]).document("status");
    assert_eq!(document["applications"][0]["counts"]["gaps"], 0, "{document}");
    assert_eq!(bench.steps(), ["BACKING_UP ended", format!("{Restoring} ended").as_str()]);
    assert_eq!(bench.state(), Ready.as_str());
}
