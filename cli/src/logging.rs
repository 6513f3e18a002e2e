//! Logs on standard error, which is apart from the output.

use std::io::{self, IsTerminal};

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::EnvFilter;

/// Sends logs to standard error from now on: none, and more with each `-v`.
pub(crate) fn start(verbose: u8, color: ColorChoice) {
    let level = match verbose {
        0 => "off",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(level));
    let color = match color {
        ColorChoice::Auto => {
            io::stderr().is_terminal() && AutoStream::choice(&io::stderr()) != ColorChoice::Never
        }
        choice => choice != ColorChoice::Never,
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(color).init();
}
