//! What it costs to wait: the processor time and the memory of a secondary in a minute in which nothing happens.
//!
//! Each subject is a process of its own, so that nothing else is counted: this program once more, in another role
//! ([`inside`]), or as `backup-tracker watch`. All of them wait in the same minute and at the same servers, so that whatever
//! else the machine does meets them alike; a process is charged its own processor time, whatever runs beside it.
//!
//! The numbers come from `/proc`, so that this is for Linux alone; elsewhere it says so and measures nothing.

mod inside;
mod measure;
mod process;
mod raw;
mod secondaries;
mod server;
mod subject;
mod table;
mod transport;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::measure::{Settings, measure};
use crate::transport::Transport;

/// Measures what a secondary costs while nothing happens: processor time and memory, beside the raw clients at the same servers.
#[derive(Debug, Parser)]
#[command(name = "idle", after_help = "It starts its servers by itself, and ends them.")]
struct Options {
    /// How much is measured.
    #[arg(long, value_enum, default_value_t = Scale::Full)]
    scale: Scale,

    /// On which transports; all that this machine has the servers for, unless given.
    #[arg(long, value_enum)]
    transport: Vec<Transport>,

    /// The program `backup-tracker`, to measure `watch` as it is shipped. Unless given, `watch` is measured as a part of this
    /// program, which is larger, so that more of its file is resident.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// A file for the results, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scale {
    /// A second of silence and a few readers: whether it works. The numbers mean nothing.
    Smallest,
    /// A minute; 10 secondaries at Kafka, 100 at NATS and at Redis, and 1,000 in memory.
    Full,
}

fn main() -> Result<ExitCode> {
    if let Some(exit) = inside::play_a_role() {
        return Ok(exit);
    }
    let options = Options::parse();
    let settings = match options.scale {
        Scale::Smallest => Settings::SMALLEST,
        Scale::Full => Settings::FULL,
    };
    let transports = if options.transport.is_empty() { &Transport::ALL } else { &*options.transport };
    let table = measure(&settings, transports, options.program.as_deref())?;
    write!(io::stdout(), "{table}")?;
    if let Some(path) = options.json {
        let json = serde_json::to_vec_pretty(&table)?;
        fs::write(&path, json).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
