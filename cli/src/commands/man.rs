//! `backup-tracker man`: its manual pages.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory, ValueHint};
use clap_mangen::Man;

use super::reading::say;
use crate::Cli;
use crate::exit::Exit;

/// Writes the manual page of the program or of one command, or all pages into a folder.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The command whose page is written [default: the program itself].
    #[arg(value_name = "COMMAND", conflicts_with = "folder")]
    command: Vec<String>,

    /// Write every page into this folder: backup-tracker.1, backup-tracker-status.1 and so on.
    #[arg(long = "all", value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  backup-tracker man | man -l -
  backup-tracker man announce ready | man -l -
  backup-tracker man --all /usr/local/share/man/man1";

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> io::Result<Exit> {
    let mut program = Cli::command();
    // So that every command has the options of the program.
    program.build();
    if let Some(folder) = &arguments.folder {
        return write_all(&program, folder);
    }
    let mut wanted = &program;
    for name in &arguments.command {
        let Some(command) = shown(wanted).find(|command| command.get_name() == name) else {
            let names: Vec<_> = shown(wanted).map(Command::get_name).collect();
            let (name, names) = (say::plain(name), names.join(", "));
            let mend =
                if names.is_empty() { "there is none".to_owned() } else { format!("it is one of {names}") };
            say::error(format_args!("`{name}` is no command of `{}`; {mend}", shown_name(wanted)));
            return Ok(Exit::Usage);
        };
        wanted = command;
    }
    out.write_all(&page(wanted)?)?;
    out.flush()?;
    Ok(Exit::Success)
}

/// Writes the pages of a command and of all below it.
fn write_all(command: &Command, folder: &Path) -> io::Result<Exit> {
    let path = folder.join(format!("{}.1", page_name(command)));
    if let Err(error) = fs::write(&path, page(command)?) {
        say::error(format_args!("--all: {} cannot be written: {error}", path.display()));
        return Ok(Exit::Failure);
    }
    for below in shown(command) {
        let exit = write_all(below, folder)?;
        if exit != Exit::Success {
            return Ok(exit);
        }
    }
    Ok(Exit::Success)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// As it is typed: `backup-tracker announce ready`.
fn shown_name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

fn page_name(command: &Command) -> String {
    shown_name(command).replace(' ', "-")
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let source = concat!("backup-tracker ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).title(page_name(command)).source(source).render(&mut page)?;
    Ok(page)
}
