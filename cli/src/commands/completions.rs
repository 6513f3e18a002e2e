//! `backup-tracker completions`: what a shell needs to complete a command line.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::Cli;
use crate::exit::Exit;

/// Writes a script that lets a shell complete commands, options and their values.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  source <(backup-tracker completions bash)
  backup-tracker completions bash > /etc/bash_completion.d/backup-tracker
  backup-tracker completions zsh > ~/.zfunc/_backup-tracker
  backup-tracker completions fish > ~/.config/fish/completions/backup-tracker.fish";

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> io::Result<Exit> {
    // By way of memory: what writes the script panics when that fails.
    let mut script = Vec::new();
    generate(arguments.shell, &mut Cli::command(), "backup-tracker", &mut script);
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Success)
}
