//! The program `backup-tracker`, and [`options`]: groups of options that give any `clap` command a tracker.
//!
//! The program exits with
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | all is as it should be |
//! | 1 | it is not; the output says why |
//! | 2 | the program was called in a way that it does not understand, or is configured wrongly; standard error names the option |
//! | 124 | `wait`: the time is over |
//! | 125 | `run`: the command was not run, and nobody is paused |
//! | 126, 127 | `run`: the command could not be executed, was not found |
//! | the command's | `run`; 128 and the signal's number where a signal ended it |
//! | 130 | it was interrupted (Ctrl-C) |
//! | 141 | whoever read its output stopped reading before the end |

mod commands;
mod exit;
mod features;
mod ledger;
mod logging;
pub mod options;
mod usage;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::{ArgAction, Parser, ValueEnum};

use commands::Command;
use exit::Exit;

/// How long what runs in the background may take to end once the command is over.
const WIND_UP: Duration = Duration::from_secs(1);

/// Tells the services of one application, in order and durably, when a backup or a restore begins and ends.
#[derive(Debug, Parser)]
#[command(name = "backup-tracker", version, long_version = features::long_version(), arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// When to use colour. With `auto`, on a terminal, unless NO_COLOR is set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto, global = true)]
    color: Color,

    /// Write logs to standard error; twice for more, three times for everything. RUST_LOG says it in detail, and wins.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::answer(&error).into(),
    };
    logging::start(cli.verbose, cli.color.into());
    let mut out = AutoStream::new(io::stdout(), cli.color.into());
    let exit = match run(cli.command, &mut out) {
        Ok(exit) => exit,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::OutputClosed,
        Err(error) => {
            // Where that fails, too, there is nowhere left to say so.
            drop(writeln!(io::stderr(), "error: {error}"));
            Exit::Failure
        }
    };
    exit.into()
}

fn run(command: Command, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let catches_signals = command.catches_signals();
    let exit = runtime.block_on(async {
        tokio::select! {
            biased;
            interrupted = tokio::signal::ctrl_c(), if !catches_signals => interrupted.map(|()| Exit::Interrupted),
            exit = command.run(out) => exit,
        }
    });
    runtime.shutdown_timeout(WIND_UP);
    exit
}

/// The project's front page, whose examples are compiled here, where every transport is at hand.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_declared_without_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_the_program_are_understood_before_and_after_the_command() {
        for arguments in [["-v", "demo", "--color=never"], ["demo", "-v", "--color=never"]] {
            let cli = Cli::try_parse_from(std::iter::once("backup-tracker").chain(arguments)).unwrap();
            assert_eq!(cli.verbose, 1);
            assert!(matches!(cli.color, Color::Never));
        }
    }
}
