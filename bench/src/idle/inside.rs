//! This program in another role: as the process that is measured.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::subject::{READY, ROLE, Subject};
use crate::{raw, secondaries};

/// Where the program was started to play a role, plays it to the end. To be asked before anything else is done.
///
/// `watch` is `backup-tracker watch`, whole, with the same options: it is a function of that program's own library, and so it is
/// built together with this program. The other role waits until its standard input ends.
pub(crate) fn play_a_role() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first()?.as_str() {
        "watch" => Some(backup_tracker_cli::main()),
        ROLE => match wait(&arguments[1..]) {
            Ok(()) => Some(ExitCode::SUCCESS),
            Err(error) => {
                // Where that fails, too, there is nowhere left to say so.
                drop(writeln!(std::io::stderr(), "error: {error:#}"));
                Some(ExitCode::FAILURE)
            }
        },
        _ => None,
    }
}

fn wait(arguments: &[String]) -> Result<()> {
    let [subject, transport, count, address] = arguments else {
        bail!("this role takes a subject, a transport, a count and an address");
    };
    let (transport, count) = (transport.parse()?, count.parse()?);
    // As `tokio::main` makes it: what a service has.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut held = Vec::new();
    match Subject::named(subject).context("there is no such subject")? {
        Subject::Nothing => runtime.block_on(async {}),
        Subject::Secondaries => held = runtime.block_on(secondaries::start(transport, address, count))?,
        Subject::Raw => runtime.block_on(raw::start(transport, address, count))?,
        Subject::Watch | Subject::WatchHttp => bail!("it plays another role"),
    }
    let mut out = std::io::stdout();
    writeln!(out, "{READY}")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    // Killed is as good as closed, and nobody waits for it.
    drop(held);
    runtime.shutdown_background();
    Ok(())
}
