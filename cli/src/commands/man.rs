//! `backup-tracker man`: its manual pages.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

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
    command: Option<String>,

    /// Write every page into this folder: backup-tracker.1, backup-tracker-status.1 and so on.
    #[arg(long = "all", value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  backup-tracker man | man -l -
  backup-tracker man doctor | man -l -
  backup-tracker man --all /usr/local/share/man/man1";

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut dyn Write) -> io::Result<Exit> {
    let mut program = Cli::command();
    // So that every command has the options of the program.
    program.build();
    if let Some(folder) = &arguments.folder {
        for (name, page) in pages(&program)? {
            let path = folder.join(format!("{name}.1"));
            if let Err(error) = fs::write(&path, page) {
                say::error(format_args!("--all: {} cannot be written: {error}", path.display()));
                return Ok(Exit::Failure);
            }
        }
        return Ok(Exit::Success);
    }
    let (wanted, name) = match &arguments.command {
        None => (&program, "backup-tracker".to_owned()),
        Some(name) => match program.find_subcommand(name) {
            Some(command) => (command, name_of(command)),
            None => {
                let names: Vec<_> = shown(&program).map(Command::get_name).collect();
                say::error(format_args!("`{name}` is no command; it is one of {}", names.join(", ")));
                return Ok(Exit::Usage);
            }
        },
    };
    out.write_all(&page(wanted, name)?)?;
    out.flush()?;
    Ok(Exit::Success)
}

fn shown(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn name_of(command: &Command) -> String {
    format!("backup-tracker-{}", command.get_name())
}

fn pages(program: &Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let of_commands = shown(program).map(|command| (name_of(command), command));
    std::iter::once(("backup-tracker".to_owned(), program))
        .chain(of_commands)
        .map(|(name, command)| Ok((name.clone(), page(command, name)?)))
        .collect()
}

fn page(command: &Command, name: String) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let source = concat!("backup-tracker ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).title(name).source(source).render(&mut page)?;
    Ok(page)
}
