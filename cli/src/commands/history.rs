//! `backup-tracker history`: which backups and restores there were.

mod report;
mod timeline;

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::reading::json::{CountsJson, Head, StepJson};
use super::reading::{LogOptions, json, read_all, remarks, say, time};
use crate::exit::Exit;
use crate::ledger::{Account, Operation};
use crate::options::ApplicationOption;

/// Shows the backups and restores of every application on the topic: begin, end, duration and outcome.
///
/// It reads the whole topic, and goes back as far as the topic does. It leaves nothing behind at the broker: --group,
/// --read-policy and --create-topic are without effect. Times are the primary's.
///
/// Outcomes: `ended`, the primary announced the end (whether the backup is good it does not announce); `interrupted`, the
/// primary began anew or said Ready without an end, so that the duration is the longest there may have been; `taken back`, the
/// primary could not announce it safely and never began; `running`.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    application: ApplicationOption,

    /// Only the newest operations of each application.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,

    /// Only operations that ran at this time or later: 2026-01-31T12:00:00Z, 2026-01-31 (UTC), or how long ago: 2h, 7d.
    #[arg(long, value_name = "TIME", value_parser = time::parse_moment)]
    since: Option<u64>,

    /// Write one JSON document instead of tables and timelines.
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
  backup-tracker history --bootstrap-server kafka-1:9092
  backup-tracker history --bootstrap-server kafka-1:9092 --application shop --last 10
  backup-tracker history --transport redis --url redis://redis-1 --since 7d --json |
    jq '.applications[].operations[] | select(.outcome == \"interrupted\")'";

/// An application and what of its operations was asked for, oldest first.
#[derive(Debug)]
struct Chapter<'a> {
    application: &'a str,
    account: Option<&'a Account>,
    operations: &'a [Operation],
}

impl<'a> Chapter<'a> {
    fn new(
        application: &'a str,
        account: Option<&'a Account>,
        arguments: &Arguments,
        now_millis: u64,
    ) -> Self {
        let mut operations = account.map_or(&[][..], Account::operations);
        if let Some(since) = arguments.since {
            let too_old = |operation: &Operation| operation.span(now_millis).1 < since;
            let first = operations.iter().position(|operation| !too_old(operation));
            operations = &operations[first.unwrap_or(operations.len())..];
        }
        if let Some(last) = arguments.last.and_then(|last| usize::try_from(last).ok()) {
            operations = &operations[operations.len().saturating_sub(last)..];
        }
        Self { application, account, operations }
    }
}

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    applications: Vec<ApplicationJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ApplicationJson<'a> {
    application: &'a str,
    operations: Vec<OperationJson<'a>>,
    counts: CountsJson,
}

#[derive(Debug, Serialize)]
struct OperationJson<'a> {
    operation: backup_tracker::BackupState,
    begin: Option<StepJson<'a>>,
    end: Option<StepJson<'a>>,
    seconds: Option<f64>,
    clock_skew: bool,
    outcome: &'static str,
}

impl<'a> ApplicationJson<'a> {
    fn new(chapter: &Chapter<'a>, now_millis: u64) -> Self {
        let operations = chapter.operations.iter().map(|operation| {
            let lasting = operation.lasting(now_millis);
            OperationJson {
                operation: operation.kind,
                begin: operation.begin.as_ref().map(StepJson::from),
                end: operation.end.as_ref().map(StepJson::from),
                seconds: lasting.map(|lasting| lasting.duration.as_secs_f64()),
                clock_skew: lasting.is_some_and(|lasting| lasting.skewed),
                outcome: operation.outcome.as_str(),
            }
        });
        Self {
            application: chapter.application,
            operations: operations.collect(),
            counts: chapter.account.map(|account| account.counts().into()).unwrap_or_default(),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: &Arguments, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let log = arguments.log.log();
    let ledger = match read_all(&log, arguments.timeout).await {
        Ok(ledger) => ledger,
        Err(error) => return Ok(say::failed(&error)),
    };
    let now_millis = time::now_millis();
    let chapters: Vec<_> = match arguments.application.given() {
        Some(name) => vec![Chapter::new(name, ledger.account(name), arguments, now_millis)],
        None => ledger
            .accounts()
            .map(|account| Chapter::new(account.application(), Some(account), arguments, now_millis))
            .collect(),
    };
    if arguments.json {
        let applications = chapters.iter().map(|chapter| ApplicationJson::new(chapter, now_millis)).collect();
        json::write(out, &Document { head: Head::new(&log, &ledger, now_millis), applications })?;
    } else {
        if chapters.is_empty() {
            writeln!(out, "nothing was announced on {log}, as far as the log goes back")?;
        }
        report::write(out, &chapters, arguments.since, now_millis)?;
        out.flush()?;
        remarks::of(&ledger, chapters.iter().filter_map(|chapter| chapter.account), now_millis);
    }
    Ok(Exit::Success)
}
