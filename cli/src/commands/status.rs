//! `backup-tracker status`: how every application on the topic is.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use backup_tracker::BackupState;
use clap::Args;
use serde::Serialize;

use super::reading::json::{CountsJson, Head, StateJson};
use super::reading::table::Table;
use super::reading::{Log, LogOptions, json, read_all, remarks, say, time};
use crate::exit::Exit;
use crate::ledger::{Account, Ledger};
use crate::options::ApplicationOption;

/// Shows the state of every application on the topic: since when, and by which announcement.
///
/// It reads the whole topic, as a new secondary would, and decides as every secondary does. It leaves nothing behind at the
/// broker: --group, --read-policy and --create-topic are without effect. How long a state has lasted is told by this machine's
/// clock against the primary's timestamp.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    application: ApplicationOption,

    /// Write one JSON document instead of the table.
    #[arg(long)]
    json: bool,

    /// How long the broker may take to answer, and may return nothing while there is something to read.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    log: LogOptions,
}

const AFTER: &str = "\
Exit status:
  0  the log was read, whatever is in it; 1  it could not be read; 2  wrong call or configuration

Examples:
  backup-tracker status --bootstrap-server kafka-1:9092
  backup-tracker status --bootstrap-server kafka-1:9092 --application shop
  backup-tracker status --transport nats --url nats://nats-1:4222 --json | jq '.applications[] | select(.state != \"READY\")'";

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    applications: Vec<ApplicationJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ApplicationJson<'a> {
    #[serde(flatten)]
    state: StateJson<'a>,
    announced: bool,
    counts: CountsJson,
}

impl<'a> ApplicationJson<'a> {
    fn new(application: &'a str, account: Option<&'a Account>, now_millis: u64) -> Self {
        Self {
            state: StateJson::new(application, account, now_millis),
            announced: account.is_some_and(|account| account.last().is_some()),
            counts: account.map(|account| account.counts().into()).unwrap_or_default(),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: &Arguments, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let Arguments { application, json, timeout, log } = arguments;
    let log = log.log();
    let ledger = match read_all(&log, *timeout).await {
        Ok(ledger) => ledger,
        Err(error) => return Ok(say::failed(&error)),
    };
    let now_millis = time::now_millis();
    if *json {
        let applications = match application.given() {
            Some(name) => vec![ApplicationJson::new(name, ledger.account(name), now_millis)],
            None => ledger
                .accounts()
                .map(|account| ApplicationJson::new(account.application(), Some(account), now_millis))
                .collect(),
        };
        json::write(out, &Document { head: Head::new(&log, &ledger, now_millis), applications })?;
    } else {
        match application.given() {
            Some(name) => one(out, &log, &ledger, name, now_millis)?,
            None => all(out, &log, &ledger, now_millis)?,
        }
    }
    Ok(Exit::Success)
}

fn one(
    out: &mut (dyn Write + Send),
    log: &Log<'_>,
    ledger: &Ledger,
    name: &str,
    now_millis: u64,
) -> io::Result<()> {
    match ledger.account(name).filter(|account| account.last().is_some()) {
        None => {
            writeln!(
                out,
                "{name} was never announced on {log}, as far as the log goes back: it is STARTING"
            )?;
        }
        Some(account) => table([account], now_millis).write(out, "")?,
    }
    out.flush()?;
    remarks::of(ledger, ledger.account(name), now_millis);
    Ok(())
}

fn all(out: &mut (dyn Write + Send), log: &Log<'_>, ledger: &Ledger, now_millis: u64) -> io::Result<()> {
    if ledger.accounts().next().is_none() {
        writeln!(out, "nothing was announced on {log}, as far as the log goes back")?;
    } else {
        table(ledger.accounts(), now_millis).write(out, "")?;
    }
    out.flush()?;
    remarks::of(ledger, ledger.accounts(), now_millis);
    Ok(())
}

fn table<'a>(accounts: impl IntoIterator<Item = &'a Account>, now_millis: u64) -> Table {
    let plain = Style::new();
    let unknown = || "-".to_owned();
    let mut table = Table::new(["APPLICATION", "STATE", "SINCE", "FOR", "LAST EVENT"]);
    for account in accounts {
        let lasting = account.lasting(now_millis);
        table.row([
            (say::plain(account.application()).into_owned(), plain),
            (account.state().to_string(), of_state(account.state())),
            (account.since_millis().map_or_else(unknown, time::to_the_second), plain),
            (lasting.map_or_else(unknown, |lasting| time::brief(lasting.duration)), plain),
            (account.last().map_or_else(unknown, |last| last.transition.id.to_string()), plain),
        ]);
    }
    table
}

fn of_state(state: BackupState) -> Style {
    match state {
        BackupState::Starting => Style::new().dimmed(),
        BackupState::Ready => AnsiColor::Green.on_default(),
        BackupState::BackingUp => AnsiColor::Yellow.on_default(),
        BackupState::Restoring => AnsiColor::Cyan.on_default(),
    }
}
