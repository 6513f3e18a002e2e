//! `backup-tracker demo`: a primary and three secondaries in one process, drawn as they go.

mod broker;
mod cast;
mod cluster;
mod finding;
mod json;
mod record;
mod script;
mod secondary;
mod server;
mod stage;
mod style;
mod summary;
mod timeline;
mod transport;
mod trouble;
mod verdict;

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::broker::DemoLog;
use self::json::JsonLines;
use self::record::{Entry, Recorder};
use self::stage::Stage;
use self::timeline::Timeline;
use self::transport::{ServerUrl, Transport};
use self::trouble::Trouble;
use self::verdict::{Judgement, judge};
use crate::exit::Exit;

/// How long the whole demo may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Shows a backup and a restore with four services, in a few seconds and with nothing to install.
///
/// It brings its own broker. On a NATS or Redis server that runs already, it makes a stream of its own, with a name that nobody
/// else uses, and removes it at the end.
///
/// A primary announces; three secondaries follow: one that behaves well, one whose listener is slow, and one that is killed
/// in the middle of the backup and started again. Each works behind its gate, and nobody may work while the primary copies
/// or restores its data. The timeline shows who is in which state when.
///
/// The exit status is 0 only if every secondary saw exactly what it should have seen: every announcement, once in each of
/// its sessions, in order; what was running at its restart once more; and no work during an operation.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What carries the announcements.
    #[arg(long, value_enum, default_value_t = Transport::Kafka)]
    transport: Transport,

    /// The server to run on, for `nats` and `redis` alone: `nats://[user:password@]host[:port]`, several of one cluster
    /// separated by commas, or `redis://[[user]:password@]host[:port][/database]`. With TLS: `tls://`, `rediss://`.
    #[arg(long)]
    url: Option<ServerUrl>,

    /// Write one JSON object a line, as things happen, instead of the timeline.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  backup-tracker demo
  backup-tracker demo --transport memory
  backup-tracker demo --transport nats --url nats://localhost:4222
  backup-tracker demo --transport redis --url redis://localhost:6379
  backup-tracker demo --json | jq -c 'select(.event == \"verdict\")'";

/// How a run is shown.
trait Show: Send {
    fn begin(&mut self, out: &mut (dyn Write + Send), log: &str) -> io::Result<()>;
    fn entry(&mut self, out: &mut (dyn Write + Send), entry: &Entry) -> io::Result<()>;
    fn end(&mut self, out: &mut (dyn Write + Send), outcome: &Outcome) -> io::Result<()>;
}

/// What became of a run.
#[derive(Debug)]
struct Outcome {
    judgement: Judgement,
    /// What kept the script from its end.
    trouble: Option<Trouble>,
    took: Duration,
}

impl Outcome {
    fn is_good(&self) -> bool {
        self.trouble.is_none() && self.judgement.is_good()
    }
}

/// Runs the demo.
pub(crate) async fn run(arguments: &Arguments, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let choice = match arguments.transport.with(arguments.url.as_ref()) {
        Ok(choice) => choice,
        Err(misuse) => {
            complain(&misuse);
            return Ok(Exit::Usage);
        }
    };
    let mut show: Box<dyn Show> =
        if arguments.json { Box::new(JsonLines) } else { Box::new(Timeline::default()) };
    match DemoLog::start(choice).await {
        Ok(log) => on_stage(log, &mut *show, out).await,
        Err(error) => Ok(no_log(&error)),
    }
}

/// Plays, and clears away what was put on a server for it, however it ends: also when this future is dropped.
async fn on_stage(log: DemoLog, show: &mut dyn Show, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let log_in_words = log.describe();
    let stage = Stage::new(log)?;
    if let Err(error) = stage.prepare().await {
        return Ok(no_log(&error));
    }
    let (recorder, entries) = Recorder::new();
    let exit = perform(&log_in_words, stage.play(recorder), entries, show, out).await?;
    match stage.clear() {
        Ok(()) => Ok(exit),
        Err(left) => {
            complain(&left);
            Ok(Exit::Failure)
        }
    }
}

fn no_log(error: &Trouble) -> Exit {
    complain(&format_args!("the demo has no log to run on: {error}"));
    Exit::Failure
}

/// Says on standard error what is wrong. Where that fails, too, there is nowhere left to say so.
fn complain(what: &dyn fmt::Display) {
    drop(writeln!(io::stderr(), "error: {what}"));
}

async fn perform(
    log: &str,
    playing: impl Future<Output = Result<(), Trouble>> + Send,
    entries: mpsc::UnboundedReceiver<Entry>,
    show: &mut dyn Show,
    out: &mut (dyn Write + Send),
) -> io::Result<Exit> {
    show.begin(out, log)?;
    let (record, trouble) = play_and_show(playing, entries, show, out).await?;
    let took = record.last().map_or(Duration::ZERO, |last| last.at);
    let outcome = Outcome { judgement: judge(&record), trouble, took };
    show.end(out, &outcome)?;
    Ok(if outcome.is_good() { Exit::Success } else { Exit::Failure })
}

/// The record of the run, and what kept it from its end.
async fn play_and_show(
    playing: impl Future<Output = Result<(), Trouble>> + Send,
    mut entries: mpsc::UnboundedReceiver<Entry>,
    show: &mut dyn Show,
    out: &mut (dyn Write + Send),
) -> io::Result<(Vec<Entry>, Option<Trouble>)> {
    let mut record = Vec::new();
    let mut playing = std::pin::pin!(timeout(LIMIT, playing));
    let played = loop {
        tokio::select! {
            biased;
            Some(entry) = entries.recv() => {
                show.entry(out, &entry)?;
                record.push(entry);
            }
            played = &mut playing => break played,
        }
    };
    // What happened just before the end.
    while let Ok(entry) = entries.try_recv() {
        show.entry(out, &entry)?;
        record.push(entry);
    }
    let late = |_elapsed| Trouble::Late { what: "the end of the demo".to_owned(), limit: LIMIT };
    Ok((record, played.map_err(late).flatten().err()))
}

#[cfg(test)]
mod tests;
