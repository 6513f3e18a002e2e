//! `backup-tracker run`: any command as the backup or the restore of an application.

mod child;

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use backup_tracker::{
    BackupState, BackupTracker, BackupTransition, Delivery, ErrorKind, PrimaryBackupTracker, RetryPolicy,
};
use clap::Args;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use self::child::{Child, Signals, code, code_of};
use super::announcing::{LastWord, Runner};
use super::reading::{Log, say, time};
use crate::exit::Exit;
use crate::options::{ApplicationOption, BackupTrackerOptions, KafkaOptions, OpenError};

/// How long the last announcements may take once all is over.
const CLOSING: Duration = Duration::from_secs(5);
/// How long to wait before the end is tried again; each attempt has retries of its own.
const AGAIN: Duration = Duration::from_millis(200);

/// Runs a command as the backup (or the restore) of an application: announces the beginning, runs it, and announces the end.
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

    /// End an operation that the log says is running, where it cannot be seen from here whether it still does.
    #[arg(long)]
    take_over: bool,

    /// How long to try to announce the beginning.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse_duration)]
    timeout: Duration,

    /// How long to try to announce the end. Until then everybody is paused.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time::parse_duration)]
    end_timeout: Duration,

    /// Write one JSON document about the run to standard error when it is over. Standard output is the command's.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    backups: BackupTrackerOptions,

    #[command(flatten)]
    kafka: KafkaOptions,

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

/// Why the beginning is not announced.
#[derive(Debug, thiserror::Error)]
enum NotBegun {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Announce(#[from] backup_tracker::Error),
    #[error("{0}")]
    Busy(String),
    #[error("signal")]
    Signal(rustix::process::Signal),
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
        let prepared = tokio::select! {
            biased;
            signal = signals.next() => Err(NotBegun::Signal(signal)),
            prepared = self.prepare() => prepared,
        };
        let primary = match prepared {
            Ok(primary) => primary,
            Err(cause) => return self.not_begun(&cause, signals).await,
        };
        let exit = match self.begin(&primary).await {
            Ok(begin) => {
                self.begin_announced = true;
                let exit = match signals.came() {
                    Some(signal) => Exit::Command(code(signal)),
                    None => {
                        let outcome = self.command(self.operation(), signals).await;
                        self.ended(outcome)
                    }
                };
                self.end_announced = self.end(&primary, begin, signals).await;
                if self.end_announced || exit != Exit::Success { exit } else { Exit::Failure }
            }
            Err(cause) => self.not_begun(&cause, signals).await,
        };
        match timeout(CLOSING, primary.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("{error}"),
            Err(_elapsed) => tracing::warn!("the broker does not answer while the connection is closed"),
        }
        exit
    }

    /// Announces the beginning, and sees that nobody else began at the same time: the first one in the log is at work.
    async fn begin(&self, primary: &PrimaryBackupTracker) -> Result<Uuid, NotBegun> {
        let begin = match self.operation() {
            BackupState::Restoring => primary.start_restore().await?.id,
            _ => primary.start_backup().await?.id,
        };
        match LastWord::of(&self.log(), self.name, self.arguments.timeout).await {
            Ok(last) if last.runs(begin) => Ok(begin),
            Ok(last) => Err(NotBegun::Busy(format!("{}: it was a moment earlier", last.describe()))),
            Err(error) => {
                // Nobody is to stay paused for what does not run.
                if let Err(error) = self.finish(primary).await {
                    tracing::warn!("{error}");
                }
                Err(error.into())
            }
        }
    }

    async fn finish(&self, primary: &PrimaryBackupTracker) -> backup_tracker::Result<BackupTransition> {
        match self.operation() {
            BackupState::Restoring => primary.finish_restore().await,
            _ => primary.finish_backup().await,
        }
    }

    fn log(&self) -> Log<'_> {
        Log { backups: &self.arguments.backups, kafka: &self.arguments.kafka }
    }

    /// A primary that may begin: where the log says that an operation runs, its end is announced.
    async fn prepare(&self) -> Result<PrimaryBackupTracker, NotBegun> {
        let Arguments { timeout, take_over, .. } = self.arguments;
        let log = self.log();
        let last = LastWord::of(&log, self.name, *timeout).await?;
        if last.state.is_operation() {
            let what = last.describe();
            match last.runner().and_then(|runner| runner.is_alive()) {
                Some(true) => {
                    return Err(NotBegun::Busy(format!(
                        "{what}, and that process, or its command, is at work; wait for it"
                    )));
                }
                Some(false) => say::note(format_args!("{what}, and that process is gone; taking over")),
                None if *take_over => say::note(format_args!("{what}; taking over")),
                None => {
                    let mend =
                        "see whether that is over; if so, --take-over (or `backup-tracker recover`) ends it";
                    return Err(NotBegun::Busy(format!("{what}; {mend}")));
                }
            }
        }
        let retry = RetryPolicy::new().give_up_after(*timeout);
        let primary = last.primary(&log, retry, None).await?;
        if last.state.is_operation() {
            primary.startup_complete().await?;
        }
        Ok(primary)
    }

    async fn command(&self, state: BackupState, signals: &mut Signals) -> io::Result<ExitStatus> {
        let environment = [
            ("BACKUP_TRACKER_APPLICATION", self.name),
            ("BACKUP_TRACKER_STATE", state.as_str()),
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

    async fn not_begun(&mut self, cause: &NotBegun, signals: &mut Signals) -> Exit {
        match cause {
            NotBegun::Signal(signal) => return Exit::Command(code(*signal)),
            NotBegun::Open(OpenError::Options(error)) => return say::failed(&error.clone().into()),
            NotBegun::Open(OpenError::Broker(error)) if error.kind() == ErrorKind::Config => {
                return say::failed(&error.clone().into());
            }
            NotBegun::Busy(why) => {
                say::error(format_args!("{why}; the command was not run"));
                return Exit::Command(125);
            }
            NotBegun::Open(_) | NotBegun::Announce(_) => {}
        }
        if let NotBegun::Announce(error) = cause
            && error.delivery() == Delivery::Unknown
        {
            say::error(format_args!(
                "it may be in the log all the same; if {name} stays paused, `backup-tracker recover --application {name}`",
                name = say::plain(self.name)
            ));
        }
        if !self.arguments.anyway {
            say::error(format_args!(
                "the beginning could not be announced, and the command was not run: {cause}"
            ));
            return Exit::Command(125);
        }
        say::error(format_args!(
            "the beginning could not be announced: {cause}; running the command anyway, WHILE NOBODY PAUSES"
        ));
        let outcome = self.command(BackupState::Ready, signals).await;
        self.ended(outcome)
    }

    /// Announces the end, for as long as that takes. Says whether the operation was ours until then.
    async fn end(&self, primary: &PrimaryBackupTracker, begin: Uuid, signals: &mut Signals) -> bool {
        let (name, limit) = (say::plain(self.name), self.arguments.end_timeout);
        let deadline = Instant::now() + limit;
        // They were for the command.
        signals.came();
        let mut told = false;
        loop {
            let attempt = tokio::select! {
                biased;
                attempt = timeout_at(deadline, self.announce_end(primary, begin)) => attempt,
                signal = signals.next() => {
                    say::note(format_args!("{signal:?}: giving up"));
                    break;
                }
            };
            match attempt {
                Ok(Ok(Ended::ByUs)) => {
                    if told {
                        say::note(format_args!("the end of the operation of {name} is announced"));
                    }
                    return true;
                }
                Ok(Ok(Ended::BySomebodyElse(last))) => {
                    say::error(format_args!(
                        "{last}: somebody else ended the operation, or took over, before the command had ended; its \
                         result may be damaged, and nothing was announced"
                    ));
                    return false;
                }
                Ok(Err(OpenError::Broker(error))) if error.kind() == ErrorKind::IllegalTransition => {}
                Ok(Err(error)) if !told => {
                    told = true;
                    let limit = time::brief(limit);
                    say::error(format_args!(
                        "the end could not be announced yet: {error}; {name} STAYS PAUSED; trying for {limit}"
                    ));
                }
                Ok(Err(_as_before)) => {}
                Err(_elapsed) => break,
            }
            sleep(AGAIN).await;
        }
        say::error(format_args!(
            "the end was not announced: {name} STAYS PAUSED until `backup-tracker recover --application {name}`"
        ));
        false
    }

    /// Looks at the log first: what somebody else has begun meanwhile must not be ended.
    async fn announce_end(&self, primary: &PrimaryBackupTracker, begin: Uuid) -> Result<Ended, OpenError> {
        let last = LastWord::of(&self.log(), self.name, self.arguments.timeout).await?;
        if !last.runs(begin) {
            // An attempt whose outcome was not known may have reached the log.
            let ours = last.is_ours() && !last.state.is_operation();
            return Ok(if ours { Ended::ByUs } else { Ended::BySomebodyElse(last.describe()) });
        }
        self.finish(primary).await?;
        Ok(Ended::ByUs)
    }
}

/// Who announced the end.
enum Ended {
    ByUs,
    BySomebodyElse(String),
}
