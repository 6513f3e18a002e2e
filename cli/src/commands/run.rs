//! `backup-tracker run`: any command as the backup or the restore of an application.

mod beginning;
mod child;
mod ending;
mod signals;

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use backup_tracker::{BackupState, ErrorKind};
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use self::beginning::{Begin, NotBegun};
use self::child::{Child, code_of};
use self::ending::{Ended, Owed};
use self::signals::{Signals, code};
use super::announcing::Runner;
use super::reading::{Log, LogOptions, say, time};
use crate::exit::Exit;
use crate::options::{ApplicationOption, OpenError};

/// Runs a command as the backup (or the restore) of an application: announces the beginning, runs it, and
/// announces the end.
///
/// The end is announced however the command ends. It is not run unless its beginning was announced.
#[derive(Debug, Args)]
#[command(after_help = include_str!("run/help.txt"))]
pub(crate) struct Arguments {
    #[command(flatten)]
    application: ApplicationOption,

    /// It is a restore, and not a backup.
    #[arg(long)]
    restore: bool,

    /// Run the command also where its beginning cannot be announced: then nobody pauses.
    #[arg(long)]
    anyway: bool,

    /// End an operation that the log says is running, where it cannot be seen from here whether it still
    /// does.
    #[arg(long)]
    take_over: bool,

    /// How long to try to announce the beginning.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse_duration)]
    timeout: Duration,

    /// How long to try to announce the end, or to take back a beginning. Until then everybody is paused.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time::parse_duration)]
    end_timeout: Duration,

    /// Write one JSON document about the run to standard error when it is over. Standard output is the
    /// command's.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    log: LogOptions,

    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How a command ended, and what was announced of it.
#[derive(Debug, Serialize)]
struct Report<'a> {
    application: &'a str,
    operation: BackupState,
    begin_announced: bool,
    end_announced: bool,
    /// `None` where it was not run.
    command_status: Option<u8>,
    exit_status: u8,
    begin: Option<String>,
    end: Option<String>,
    seconds: f64,
}

/// Runs the command.
pub(crate) async fn run(arguments: &Arguments) -> io::Result<Exit> {
    let name = match arguments.application.name() {
        Ok(name) => name,
        Err(error) => return Ok(say::failed(&error.into())),
    };
    let mut signals = Signals::catch()?;
    let mut run = Run { arguments, name, begin_announced: false, end_announced: false, command_status: None };
    let begin = time::now_millis();
    let exit = run.run(&mut signals).await;
    if arguments.json {
        let end = time::now_millis();
        let report = Report {
            application: name,
            operation: run.operation(),
            begin_announced: run.begin_announced,
            end_announced: run.end_announced,
            command_status: run.command_status,
            exit_status: exit.code(),
            begin: time::rfc3339(begin),
            end: time::rfc3339(end),
            seconds: Duration::from_millis(end.saturating_sub(begin)).as_secs_f64(),
        };
        super::reading::json::write(&mut io::stderr(), &report)?;
    }
    Ok(exit)
}

struct Run<'a> {
    arguments: &'a Arguments,
    name: &'a str,
    begin_announced: bool,
    end_announced: bool,
    command_status: Option<u8>,
}

impl Run<'_> {
    fn operation(&self) -> BackupState {
        if self.arguments.restore { BackupState::Restoring } else { BackupState::BackingUp }
    }

    async fn run(&mut self, signals: &mut Signals) -> Exit {
        let deadline = Instant::now() + self.arguments.timeout;
        let prepared = tokio::select! {
            biased;
            signal = signals.ending() => Err(NotBegun::Signal(signal)),
            prepared = self.prepare(deadline) => prepared,
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(cause) => return self.not_begun(&cause, None, signals).await,
        };
        let primary = &prepared.primary;
        let (exit, owed) = match self.begin(&prepared, signals).await {
            Begin::Runs(begin) => {
                let outcome = self.command(Some(begin), signals).await;
                (self.ended(outcome), Some(Owed::End(begin)))
            }
            Begin::Owes(owed, cause) => {
                let begin = match owed {
                    Owed::End(begin) => Some(begin),
                    Owed::WayBack => None,
                };
                (self.not_begun(&cause, begin, signals).await, Some(owed))
            }
            Begin::Not(cause) => (self.not_begun(&cause, None, signals).await, None),
        };
        self.begin_announced = matches!(owed, Some(Owed::End(_)));
        let ended = match owed {
            Some(owed) => self.end(primary, owed, signals).await,
            None => Ended::ByUs,
        };
        let owed = self.close(primary, owed.filter(|_| matches!(ended, Ended::Not))).await;
        self.end_announced =
            self.begin_announced && owed.is_none() && !matches!(ended, Ended::BySomebodyElse(_));
        let damaged = match (&ended, self.command_status) {
            (Ended::BySomebodyElse(last), Some(_)) => {
                say::error(format_args!(
                    "{last}: somebody else ended the operation, or took over, before the command had ended; its \
                     result may be damaged, and nothing was announced"
                ));
                true
            }
            _ => false,
        };
        let failed = self.command_status.is_some_and(|status| status != 0);
        if (owed.is_some() || damaged) && !failed { Exit::Failure } else { exit }
    }

    fn log(&self) -> Log<'_> {
        self.arguments.log.log()
    }

    /// Runs it as the operation that this event began, if one was announced.
    async fn command(&self, begin: Option<Uuid>, signals: &mut Signals) -> io::Result<ExitStatus> {
        let state = begin.map_or(BackupState::Ready, |_| self.operation());
        let environment = [
            ("BACKUP_TRACKER_APPLICATION", self.name),
            ("BACKUP_TRACKER_STATE", state.as_str()),
            ("BACKUP_TRACKER_ID", &begin.map(|begin| begin.to_string()).unwrap_or_default()),
            (Runner::VARIABLE, &Runner::this().to_string()),
        ];
        Child::spawn(&self.arguments.command, environment)?.ends(signals).await
    }

    /// The exit status of a command that has ended, or could not be begun.
    fn ended(&mut self, outcome: io::Result<ExitStatus>) -> Exit {
        match outcome {
            Ok(status) => {
                let code = code_of(status);
                self.command_status = Some(code);
                Exit::of(code)
            }
            Err(error) => {
                let command = self.arguments.command.first().map(|name| name.to_string_lossy());
                say::error(format_args!("{}: {error}", command.unwrap_or_default()));
                Exit::Command(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
            }
        }
    }

    /// Says why, and runs the command only if it is to be run anyway.
    async fn not_begun(&mut self, cause: &NotBegun, begin: Option<Uuid>, signals: &mut Signals) -> Exit {
        match cause {
            NotBegun::Signal(signal) => return Exit::Command(code(*signal)),
            NotBegun::Open(OpenError::Options(error)) => return say::failed(&error.clone().into()),
            NotBegun::Open(OpenError::Broker(error)) if error.kind() == ErrorKind::Config => {
                return say::failed(&error.clone().into());
            }
            NotBegun::Busy(_) => {}
            _ if self.arguments.anyway => {
                let who = if begin.is_some() { "" } else { ", WHILE NOBODY PAUSES" };
                say::error(format_args!("{cause}; running the command anyway{who}"));
                let outcome = self.command(begin, signals).await;
                return self.ended(outcome);
            }
            _ => {}
        }
        say::error(format_args!("{cause}; the command was not run"));
        Exit::Command(125)
    }
}
