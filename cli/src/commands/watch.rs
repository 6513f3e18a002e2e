//! `backup-tracker watch`: follows an application, prints each transition, runs hooks and answers probes.

mod delivery;
mod feed;
mod follow;
mod hook;
mod http;
mod report;
mod session;
mod show;
mod signals;
mod source;
mod view;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::reading::say;
use super::reading::time::parse_duration;
use crate::exit::Exit;
use crate::options::{ApplicationOption, BackupTrackerOptions, KafkaOptions};

/// How long a hook may take, unless `--exec-timeout` says otherwise.
const EXEC_TIMEOUT: &str = "30s";

/// Follows an application and prints each of its transitions; runs a hook at each, and answers probes over HTTP, if asked to.
///
/// It follows as a secondary of the application. With a group it keeps a durable position, which moves only when the
/// application is Ready: after a restart it reads the operation that is running once more. Give it a group of its own, not that of the
/// service beside it. Without a group it leaves no trace in the broker, and learns the present state from what the log holds.
///
/// While the broker cannot be reached it tries again, for ever, and says so on standard error.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER_HELP, after_help = "Examples, exit statuses and more: --help")]
pub(crate) struct Arguments {
    #[command(flatten)]
    application: ApplicationOption,

    /// Write one JSON object a line: each transition, and what becomes of hooks and connections.
    #[arg(long)]
    json: bool,

    /// What to print, and to run hooks for, of what the log held before this start [default: all with a group, last without].
    #[arg(long, value_enum, value_name = "WHICH")]
    replay: Option<Replay>,

    /// Follow without a position even if there is a group, from --group, CONSUMER_GROUP or the properties.
    #[arg(long)]
    no_group: bool,

    /// A hook: a command for `sh -c` that is run at each transition, one at a time, in order.
    #[arg(long, value_name = "COMMAND", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    exec: Option<String>,

    /// How long a hook may take. Then its process group is sent SIGTERM, and SIGKILL 2 s later.
    #[arg(long, value_name = "TIME", default_value = EXEC_TIMEOUT, value_parser = parse_duration, requires = "exec")]
    exec_timeout: Duration,

    /// What to do when a hook fails: go on, or exit with status 1, so that a supervisor starts again, and with it the hooks of
    /// the operation that is running.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnFailure::Continue, requires = "exec")]
    on_exec_failure: OnFailure,

    /// Whether the group's position moves at Ready before the hook is run or after it has ended.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = CommitWhen::AfterExec, requires = "exec")]
    commit: CommitWhen,

    /// Serve /livez, /readyz, /state, /events and /metrics on this address and port, and on no other. Port 0 chooses a free one.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    http: Option<SocketAddr>,

    /// Answer /readyz with 503 also while the state is Starting: until the primary has spoken.
    #[arg(long, requires = "http")]
    unready_while_starting: bool,

    #[command(flatten)]
    backups: BackupTrackerOptions,

    #[command(flatten)]
    kafka: KafkaOptions,
}

const AFTER_HELP: &str = include_str!("watch/help.txt");

/// What of the log's past is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Replay {
    /// Every transition that the log holds behind the position.
    All,
    /// Only the last of them, which tells the present state.
    Last,
    /// None.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnFailure {
    Continue,
    Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CommitWhen {
    /// A hook that ends this program is not run again for the same Ready; in exchange, it may never be run to its end.
    BeforeExec,
    /// No hook of Ready is missed; in exchange, the hooks of an operation may be run again after a restart.
    AfterExec,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_not_an_address| {
        "write an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned()
    })
}

/// Follows until a signal, a failure for good, or the end of the output's reader.
pub(crate) async fn run(arguments: Arguments, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    if let Err(error) = arguments.application.name() {
        return Ok(say::failed(&error.into()));
    }
    session::run(Arc::new(arguments), out).await
}
