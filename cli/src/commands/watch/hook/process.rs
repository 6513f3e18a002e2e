//! The process of one hook, and of everything that it starts.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::commands::watch::report::{HookOutcome, HookReport, Step};

/// How long a process group has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How often is looked whether anything of the group is left.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the command until it ends, its time is over, or `abandoned` is ready.
pub(super) async fn run(
    command: &str,
    limit: Duration,
    step: &Step,
    abandoned: impl Future<Output = ()> + Send,
) -> HookReport {
    let begun = Instant::now();
    let ended = match spawn(command, step) {
        Err(error) => End { error: Some(error.to_string()), ..End::of(HookOutcome::NotStarted) },
        Ok(mut child) => tokio::select! {
            biased;
            waited = child.wait() => match waited {
                Ok(status) if status.success() => End { status: Some(status), ..End::of(HookOutcome::Succeeded) },
                Ok(status) => End { status: Some(status), ..End::of(HookOutcome::Failed) },
                Err(error) => End { error: Some(error.to_string()), ..End::of(HookOutcome::Failed) },
            },
            () = sleep(limit) => end(child, HookOutcome::TimedOut).await,
            () = abandoned => end(child, HookOutcome::Interrupted).await,
        },
    };
    HookReport {
        outcome: ended.outcome,
        id: step.id,
        state: step.state,
        exit_code: ended.status.and_then(|status| status.code()),
        signal: ended.status.and_then(|status| status.signal()),
        // To the millisecond.
        duration_seconds: (begun.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        error: ended.error,
    }
}

struct End {
    outcome: HookOutcome,
    status: Option<ExitStatus>,
    error: Option<String>,
}

impl End {
    const fn of(outcome: HookOutcome) -> Self {
        Self { outcome, status: None, error: None }
    }
}

/// In a process group of its own: a Ctrl-C at the terminal is for this program alone, which lets the hook end.
fn spawn(command: &str, step: &Step) -> io::Result<Child> {
    let to_stderr = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        // Standard output is for transitions alone.
        .stdout(to_stderr()?)
        .stderr(to_stderr()?)
        .process_group(0)
        .env("BACKUP_TRACKER_APPLICATION", &*step.application)
        .env("BACKUP_TRACKER_STATE", step.state.as_str())
        .env("BACKUP_TRACKER_FROM", step.from.as_str())
        .env("BACKUP_TRACKER_ID", step.id.to_string())
        .env("BACKUP_TRACKER_TIMESTAMP", step.timestamp.as_deref().unwrap_or_default())
        .env("BACKUP_TRACKER_TIMESTAMP_MILLIS", step.timestamp_millis.to_string())
        .env("BACKUP_TRACKER_REPLAY", step.replay.to_string())
        .env("BACKUP_TRACKER_MISSED", step.missed.to_string())
        .spawn()
}

/// Ends the command and everything that it started in its process group.
async fn end(mut child: Child, outcome: HookOutcome) -> End {
    // A child that has not been waited for keeps its number, and its group's.
    let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else {
        return End { error: Some("its process has no number".to_owned()), ..End::of(outcome) };
    };
    let result = async {
        kill_process_group(group, Signal::TERM)?;
        let begun = Instant::now();
        // The shell ends at once, but what it started may need a moment to put things in order.
        while begun.elapsed() < GRACE && is_there(&mut child, group)? {
            sleep(LOOK).await;
        }
        match kill_process_group(group, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
        child.wait().await
    };
    match result.await {
        Ok(status) => End { status: Some(status), ..End::of(outcome) },
        Err(error) => {
            let error = format!("its process group {} may still run: {error}", group.as_raw_nonzero());
            End { error: Some(error), ..End::of(outcome) }
        }
    }
}

fn is_there(child: &mut Child, group: Pid) -> io::Result<bool> {
    // Takes the shell's own remains away, or its group would be there for ever.
    child.try_wait()?;
    match test_kill_process_group(group) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
