//! `backup-tracker announce`: the operator's way out when a primary is gone for good.

use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::announcing::{ReadyOptions, Why};
use crate::exit::Exit;
use crate::options::ApplicationOption;

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

    #[command(flatten)]
    ready: ReadyOptions,
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
    let ReadyArguments { application, reason, yes, ready } = arguments;
    ready.announce(application, &Why::Operator { reason, yes: *yes }, out).await
}

/// It is one line, and says something.
fn reason(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("it is blank; say why"),
        text if text.contains(char::is_control) => Err("it has control characters; write one line of text"),
        text => Ok(text.to_owned()),
    }
}
