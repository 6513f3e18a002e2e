//! `backup-tracker wait`: for scripts and init containers that must not go on before an application is in a state.

mod telling;

use std::io::{self, Write};
use std::time::Duration;

use backup_tracker::BackupState;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use self::telling::Telling;
use super::reading::json::StateJson;
use super::reading::{LogOptions, Reading, json, open, patience, say, time};
use crate::exit::Exit;
use crate::ledger::{Account, Ledger};
use crate::options::{ApplicationOption, OpenError};

/// Waits until an application is in a state; if it is there already, not at all.
///
/// It decides only when it has read all that the log holds, as a secondary does. Outages are waited out, and told on standard
/// error, as is what it waits for. An application that was never announced is STARTING. It leaves nothing behind at the broker:
/// --group, --read-policy and --create-topic are without effect.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    application: ApplicationOption,

    /// The state to wait for.
    #[arg(long, value_name = "STATE", value_enum, ignore_case = true)]
    until: Until,

    /// For how long to wait at most: 90s, 5m, 1h30m [default: for ever].
    #[arg(long, value_name = "TIME", value_parser = time::parse_duration)]
    timeout: Option<Duration>,

    /// Write one JSON document instead of a line of text.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    log: LogOptions,
}

const AFTER: &str = "\
Exit status:
  0  the application is in that state; 1  it cannot be known: no topic, no permission
  2  wrong call or configuration; 124  the time is over

Examples:
  backup-tracker wait --application shop --until ready --timeout 5m --bootstrap-server kafka-1:9092 && reindex
  backup-tracker wait --application shop --until backing-up --transport redis --url redis://redis-1";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Until {
    Ready,
    #[value(alias = "BACKING_UP")]
    BackingUp,
    Restoring,
    Starting,
}

impl From<Until> for BackupState {
    fn from(until: Until) -> Self {
        match until {
            Until::Ready => Self::Ready,
            Until::BackingUp => Self::BackingUp,
            Until::Restoring => Self::Restoring,
            Until::Starting => Self::Starting,
        }
    }
}

/// What came of waiting.
#[derive(Debug)]
struct Outcome {
    reached: bool,
    /// What the log holds; `None` if it was not read to its end.
    ledger: Option<Ledger>,
}

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    application: &'a str,
    until: BackupState,
    reached: bool,
    waited_seconds: f64,
    current: Option<StateJson<'a>>,
}

/// Runs the command.
pub(crate) async fn run(arguments: &Arguments, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let name = match arguments.application.name() {
        Ok(name) => name,
        Err(error) => return Ok(say::failed(&error.into())),
    };
    let until = BackupState::from(arguments.until);
    let started = Instant::now();
    let mut telling = Telling::new(name, until, arguments.timeout);
    let outcome = match wait(arguments, name, until, &mut telling).await {
        Ok(outcome) => outcome,
        Err(error) => return Ok(say::failed(&error)),
    };
    let now_millis = time::now_millis();
    let Outcome { reached, ledger } = &outcome;
    let account = ledger.as_ref().and_then(|ledger| ledger.account(name));
    if arguments.json {
        let document = Document {
            application: name,
            until,
            reached: *reached,
            waited_seconds: started.elapsed().as_secs_f64(),
            current: ledger.as_ref().map(|_| StateJson::new(name, account, now_millis)),
        };
        json::write(out, &document)?;
    } else if *reached {
        writeln!(out, "{} {}", say::plain(name), state(account))?;
    }
    if *reached {
        return Ok(Exit::Success);
    }
    telling.gave_up();
    Ok(Exit::TimedOut)
}

async fn wait(
    arguments: &Arguments,
    name: &str,
    until: BackupState,
    telling: &mut Telling,
) -> Result<Outcome, OpenError> {
    let log = arguments.log.log();
    let mut notices = say::Notices::default();
    let mut waits = patience().waits();
    telling.now(format!("connecting for {log}"));
    let source = loop {
        let Some(opened) = telling.within(open(&log)).await else {
            return Ok(Outcome { reached: false, ledger: None });
        };
        match opened {
            Ok(source) => break source,
            Err(OpenError::Broker(error)) if error.is_transient() => notices.troubled(&error),
            Err(error) => return Err(error),
        }
        if telling.within(sleep(waits.next().unwrap_or_default())).await.is_none() {
            return Ok(Outcome { reached: false, ledger: None });
        }
    };
    notices.fine();

    let mut reading = Reading::new(source);
    let reached = loop {
        if reading.is_caught_up() {
            let account = reading.ledger().account(name);
            if account.map_or(BackupState::Starting, Account::state) == until {
                break true;
            }
            telling.now(format!("it {}", state(account)));
        } else {
            telling.now(format!("reading {log}"));
        }
        let Some(progress) = telling.within(reading.advance()).await else { break false };
        notices.of(&progress?);
    };
    let known = reading.is_caught_up();
    let ledger = reading.close().await;
    Ok(Outcome { reached, ledger: known.then_some(ledger) })
}

fn state(account: Option<&Account>) -> String {
    let Some(account) = account.filter(|account| account.last().is_some()) else {
        return "is STARTING: it was never announced, as far as the log goes back".to_owned();
    };
    match account.since_millis() {
        Some(since) => format!("is {} since {}", account.state(), time::to_the_second(since)),
        None => format!("is {}", account.state()),
    }
}
