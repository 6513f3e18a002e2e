//! The commands, one a file.

mod announce;
mod announcing;
mod completions;
mod demo;
mod doctor;
mod history;
mod man;
mod reading;
mod recover;
mod run;
mod status;
mod wait;
mod watch;

use std::io::{self, Write};

use clap::Subcommand;

use crate::exit::Exit;

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Announce(Box<announce::Arguments>),
    Completions(completions::Arguments),
    Demo(demo::Arguments),
    Doctor(Box<doctor::Arguments>),
    History(Box<history::Arguments>),
    Man(man::Arguments),
    Recover(Box<recover::Arguments>),
    Run(Box<run::Arguments>),
    Status(Box<status::Arguments>),
    Wait(Box<wait::Arguments>),
    Watch(Box<watch::Arguments>),
}

impl Command {
    /// Whether Ctrl-C is the command's own business, and does not simply end the program.
    pub(crate) const fn catches_signals(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Watch(_))
    }

    /// Carries out the command. An error is one of writing to `out`; all else is the command's own business, and in its
    /// exit status.
    pub(crate) async fn run(self, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
        match self {
            Self::Announce(arguments) => announce::run(&arguments, out).await,
            Self::Completions(arguments) => completions::run(&arguments, out),
            Self::Demo(arguments) => demo::run(&arguments, out).await,
            Self::Doctor(arguments) => doctor::run(&arguments, out).await,
            Self::History(arguments) => history::run(&arguments, out).await,
            Self::Man(arguments) => man::run(&arguments, out),
            Self::Recover(arguments) => recover::run(&arguments, out).await,
            Self::Run(arguments) => run::run(&arguments).await,
            Self::Status(arguments) => status::run(&arguments, out).await,
            Self::Wait(arguments) => wait::run(&arguments, out).await,
            Self::Watch(arguments) => watch::run(*arguments, out).await,
        }
    }
}
