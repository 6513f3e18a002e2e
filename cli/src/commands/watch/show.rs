//! Reports as lines: transitions on standard output, everything else on standard error; as JSON, all on standard output.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use backup_tracker::BackupState;

use super::report::{HealthStatus, HookOutcome, HookReport, Report, Step};
use crate::commands::reading::say;

#[derive(Clone, Copy, Debug)]
pub(super) enum Show {
    Human,
    Json,
}

impl Show {
    pub(super) fn report(self, out: &mut (dyn Write + Send), report: &Report) -> io::Result<()> {
        self.on_stderr(report);
        match (self, report) {
            (Self::Json, report) => {
                let mut line = serde_json::to_string(report)?;
                line.push('\n');
                out.write_all(line.as_bytes())?;
            }
            (Self::Human, Report::Transition(step)) => transition(out, step)?,
            (Self::Human, _) => return Ok(()),
        }
        out.flush()
    }

    /// Trouble is said in both forms: logs are read there.
    fn on_stderr(self, report: &Report) {
        match report {
            Report::Health { status: HealthStatus::Troubled, error: Some(error), .. } => {
                say::warning(format_args!("{error}; trying again"));
            }
            Report::Health { status: HealthStatus::ListenerSlow, .. } => {
                say::warning(format_args!(
                    "a hook, or the reader of the output, takes long; later steps wait for it"
                ));
            }
            Report::Health { status: HealthStatus::Healthy, before: HealthStatus::ListenerSlow, .. } => {
                say::note(format_args!("later steps are told again"));
            }
            Report::Health { status: HealthStatus::Healthy, .. } => {
                say::note(format_args!("the broker answers again"));
            }
            Report::Lost { application, error } => say::warning(format_args!(
                "{error}; what {application} was doing is unknown until its primary speaks"
            )),
            Report::Hook(hook) if hook.outcome != HookOutcome::Succeeded => {
                say::warning(format_args!("{}", Failed(hook)));
            }
            Report::Listening { address } if matches!(self, Self::Human) => {
                say::note(format_args!("listening on http://{address}"));
            }
            Report::Following { application, keeps_position, group, .. } if matches!(self, Self::Human) => {
                match (keeps_position, group) {
                    (true, Some(group)) => say::note(format_args!(
                        "following {application} as group {group}, whose position moves at Ready"
                    )),
                    (true, None) => {
                        say::note(format_args!("following {application} as the group of the properties"))
                    }
                    (false, _) => say::note(format_args!("following {application} without a group")),
                }
            }
            _ => {}
        }
    }
}

fn transition(out: &mut (dyn Write + Send), step: &Step) -> io::Result<()> {
    let Step { state, from, id, timestamp, timestamp_millis, replay, missed, .. } = step;
    match timestamp {
        Some(timestamp) => write!(out, "{timestamp:<24}")?,
        None => write!(out, "{timestamp_millis} ms")?,
    }
    let style = style_of(*state);
    write!(out, "  {from:<10} -> {style}{state:<10}{style:#}  {id}")?;
    for (is, words) in [(replay, "replay"), (missed, "something before it was missed")] {
        if *is {
            write!(out, "  {words}")?;
        }
    }
    writeln!(out)
}

const fn style_of(state: BackupState) -> Style {
    match state {
        BackupState::Starting => Style::new().dimmed(),
        BackupState::Ready => AnsiColor::Green.on_default(),
        BackupState::BackingUp => AnsiColor::Yellow.on_default().bold(),
        BackupState::Restoring => AnsiColor::Cyan.on_default().bold(),
    }
}

/// One line about a hook that did not succeed.
pub(super) struct Failed<'a>(pub(super) &'a HookReport);

impl std::fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let HookReport { outcome, id, state, exit_code, signal, duration_seconds, error } = self.0;
        write!(f, "--exec: the hook for {state} ({id}) ")?;
        match (outcome, exit_code, signal) {
            (HookOutcome::Succeeded, ..) => f.write_str("succeeded")?,
            (HookOutcome::Failed, Some(code), _) => write!(f, "failed with exit status {code}")?,
            (HookOutcome::Failed, _, Some(signal)) => write!(f, "was ended by signal {signal}")?,
            (HookOutcome::Failed, None, None) => f.write_str("failed")?,
            (HookOutcome::TimedOut, ..) => f.write_str("was ended at its time limit, --exec-timeout,")?,
            (HookOutcome::NotStarted, ..) => f.write_str("could not be started")?,
            (HookOutcome::Interrupted, ..) => f.write_str("was ended together with this program")?,
        }
        if *outcome != HookOutcome::NotStarted {
            write!(f, " after {duration_seconds:.1} s")?;
        }
        match error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}
