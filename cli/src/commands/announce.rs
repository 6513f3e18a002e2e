//! `backup-tracker announce`: the operator's way out when a primary is gone for good.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::announcing::{Ready, Why};
use super::reading::time;
use crate::exit::Exit;
use crate::options::{ApplicationOption, BackupTrackerOptions, KafkaOptions};

/// Announces in the place of a primary that is gone for good.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Ready(ReadyArguments),
}

/// Says READY for an application: every secondary resumes.
///
/// It first says what the log holds, and what it is about to do, and asks. If the backup or the restore does run after all, it
/// will be damaged. The reason goes into a header of the announcement, where `history --json` shows it.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
struct ReadyArguments {
    #[command(flatten)]
    application: ApplicationOption,

    /// Why, for whoever reads the log later.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,

    /// Do not ask.
    #[arg(long)]
    yes: bool,

    /// How long the broker may take to answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse_duration)]
    timeout: Duration,

    /// Write one JSON document instead of a line of text.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    backups: BackupTrackerOptions,

    #[command(flatten)]
    kafka: KafkaOptions,
}

const AFTER: &str = "\
Exit status:
  0  the application is READY; 1  it is not: the answer was no, the broker cannot be reached, or a `run` is at work
  2  wrong call or configuration; also without a terminal to ask at, and without --yes

Example:
  backup-tracker announce ready --application shop --reason 'host orders-1 burnt down' --bootstrap-server kafka-1:9092";

/// Runs the command.
pub(crate) async fn run(arguments: &Arguments, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let What::Ready(arguments) = &arguments.what;
    let ReadyArguments { application, reason, yes, timeout, json, backups, kafka } = arguments;
    let why = Why::Operator { reason, yes: *yes };
    Ready { application, timeout: *timeout, json: *json, backups, kafka }.announce(&why, out).await
}

/// It is one line, and says something.
fn reason(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("it is blank; say why"),
        text if text.contains(char::is_control) => Err("it has control characters; write one line of text"),
        text => Ok(text.to_owned()),
    }
}
