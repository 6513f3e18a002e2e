//! The commands, one a file.

mod completions;
mod demo;
mod doctor;
mod history;
mod man;
mod reading;
mod status;
mod wait;

use std::io::{self, Write};

use clap::Subcommand;

use crate::exit::Exit;

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Completions(completions::Arguments),
    Demo(demo::Arguments),
    Doctor(Box<doctor::Arguments>),
    History(Box<history::Arguments>),
    Man(man::Arguments),
    Status(Box<status::Arguments>),
    Wait(Box<wait::Arguments>),
}

impl Command {
    /// Carries out the command. An error is one of writing to `out`; all else is the command's own business, and in its
    /// exit status.
    pub(crate) async fn run(self, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
        match self {
            Self::Completions(arguments) => completions::run(&arguments, out),
            Self::Demo(arguments) => demo::run(&arguments, out).await,
            Self::Doctor(arguments) => doctor::run(&arguments, out).await,
            Self::History(arguments) => history::run(&arguments, out).await,
            Self::Man(arguments) => man::run(&arguments, out),
            Self::Status(arguments) => status::run(&arguments, out).await,
            Self::Wait(arguments) => wait::run(&arguments, out).await,
        }
    }
}
