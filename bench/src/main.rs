//! Measures backup-tracker against the clients that it is built on.

mod broker;
mod brokers;
mod child;
mod events;
mod finish;
mod machine;
mod options;
mod quantity;
mod report;
mod result;
mod run;
mod samples;
mod scale;
mod table;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::options::{Hidden, Options};

/// A transport that was asked for by its name is not to be had.
const MISSING: u8 = 3;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if let Some(Hidden::Start(start)) = &options.hidden {
        child::run(start).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // Before all that takes long.
    let printed =
        options.printed.iter().map(|path| report::Printed::read(path)).collect::<Result<Vec<_>>>()?;
    let mut out = std::io::stdout();
    let (results, missing) = if options.from.is_empty() {
        run::run(&options, &mut out).await?
    } else {
        (report::read(&options.from)?, false)
    };
    writeln!(out, "{}", table::table(&results))?;
    if let Some(folder) = &options.report {
        report::write(&results, &printed, folder)?;
    }
    Ok(if missing { ExitCode::from(MISSING) } else { ExitCode::SUCCESS })
}
