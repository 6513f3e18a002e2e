//! `backup-tracker recover`: for the script of a primary that is to begin in order.

use std::io::{self, Write};

use clap::Args;

use super::announcing::{ReadyOptions, Why};
use crate::exit::Exit;
use crate::options::ApplicationOption;

/// Brings an application back to READY where the log leaves it in a backup, a restore, or nowhere; else it does nothing.
///
/// It is for whoever makes the application's backups, when nothing of an earlier one runs any more: after a crash, at boot. It
/// never asks. Only where a `run` on this machine is still at work does it leave everything as it is, and fail. For an
/// application whose primary belongs to somebody else there is `announce ready`, which asks first and leaves a reason.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    application: ApplicationOption,

    #[command(flatten)]
    ready: ReadyOptions,
}

const AFTER: &str = "\
Exit status:
  0  the application is READY; 1  it is not: the broker cannot be reached, or a `run` is at work
  2  wrong call or configuration

Example:
  backup-tracker recover --application shop --bootstrap-server kafka-1:9092";

/// Runs the command.
pub(crate) async fn run(arguments: &Arguments, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let Arguments { application, ready } = arguments;
    ready.announce(application, &Why::Recovery, out).await
}
