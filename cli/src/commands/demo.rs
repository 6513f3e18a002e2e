//! `backup-tracker demo`: a primary and three secondaries in one process, drawn as they go.

mod broker;
mod cast;
mod cluster;
mod finding;
mod json;
mod record;
mod script;
mod secondary;
mod style;
mod summary;
mod timeline;
mod trouble;
mod verdict;

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::broker::DemoLog;
use self::json::JsonLines;
use self::record::{Entry, Recorder};
use self::timeline::Timeline;
use self::trouble::Trouble;
use self::verdict::{Judgement, judge};
use crate::exit::Exit;

/// How long the whole demo may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Shows a backup and a restore with four services, in a few seconds and with nothing to install.
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

    /// Write one JSON object a line, as things happen, instead of the timeline.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  backup-tracker demo
  backup-tracker demo --transport memory
  backup-tracker demo --json | jq -c 'select(.event == \"verdict\")'";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// A broker inside the demo's process that speaks the Kafka protocol: nothing to install.
    Kafka,
    /// A log in this process.
    Memory,
}

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
    let mut show: Box<dyn Show> =
        if arguments.json { Box::new(JsonLines) } else { Box::new(Timeline::default()) };
    let log = match DemoLog::start(arguments.transport).await {
        Ok(log) => log,
        Err(error) => {
            drop(writeln!(io::stderr(), "error: the demo has no log to run on: {error}"));
            return Ok(Exit::Failure);
        }
    };
    perform(&log, &mut *show, out).await
}

async fn perform(log: &DemoLog, show: &mut dyn Show, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    show.begin(out, &log.describe())?;
    let (recorder, entries) = Recorder::new();
    let (record, trouble) = play_and_show(log, recorder, entries, show, out).await?;
    let took = record.last().map_or(Duration::ZERO, |last| last.at);
    let outcome = Outcome { judgement: judge(&record), trouble, took };
    show.end(out, &outcome)?;
    Ok(if outcome.is_good() { Exit::Success } else { Exit::Failure })
}

/// The record of the run, and what kept it from its end.
async fn play_and_show(
    log: &DemoLog,
    recorder: Recorder,
    mut entries: mpsc::UnboundedReceiver<Entry>,
    show: &mut dyn Show,
    out: &mut (dyn Write + Send),
) -> io::Result<(Vec<Entry>, Option<Trouble>)> {
    let mut record = Vec::new();
    let mut playing = std::pin::pin!(timeout(LIMIT, script::play(log, &recorder)));
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
