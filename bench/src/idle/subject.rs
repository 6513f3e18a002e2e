//! What is measured, and the process that it is in.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::process::Usage;
use crate::server::{APPLICATION, Server, TOPIC};
use crate::transport::Transport;

/// The first argument of this program in the role that is measured.
pub(crate) const ROLE: &str = "idle-subject";
/// What it says when it has begun to wait.
pub(crate) const READY: &str = "ready";
/// What `watch --json` says then.
const SYNCED: &str = r#""event":"synced""#;

/// How long a subject may take until it waits.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to end when it is asked to; then it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// A runtime, and nothing else: what the others are compared with in memory.
    Nothing,
    /// Readers made of the client alone.
    Raw,
    Secondaries,
    /// `backup-tracker watch`.
    Watch,
    /// The same, with probes and metrics over HTTP.
    WatchHttp,
}

impl Subject {
    const ALL: [Self; 5] = [Self::Nothing, Self::Raw, Self::Secondaries, Self::Watch, Self::WatchHttp];

    /// What there is to measure. `watch` has no log in memory, which would be its own.
    pub(crate) fn at(transport: Transport) -> Vec<Self> {
        let watches = transport != Transport::Memory;
        Self::ALL.into_iter().filter(|subject| watches || !subject.is_watch()).collect()
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Raw => "raw",
            Self::Secondaries => "secondaries",
            Self::Watch => "watch",
            Self::WatchHttp => "watch --http",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.name() == name)
    }

    pub(crate) const fn is_watch(self) -> bool {
        matches!(self, Self::Watch | Self::WatchHttp)
    }
}

/// A subject that waits. Dropping it kills it.
pub(crate) struct Child {
    transport: Transport,
    subject: Subject,
    count: usize,
    process: Process,
}

impl Child {
    /// Starts it, and returns when it has begun to wait.
    ///
    /// `program` is `backup-tracker`; without it, this program plays it.
    pub(crate) fn start(
        server: &Server,
        subject: Subject,
        count: usize,
        program: Option<&Path>,
    ) -> Result<Self> {
        let mut command = command(server, subject, count, program)?;
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut child = Self { transport: server.transport(), subject, count, process };
        child.wait_until_ready()?;
        Ok(child)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let lines = BufReader::new(self.process.stdout.take().context("no standard output")?).lines();
        let (found, ready) = mpsc::channel();
        let word = if self.subject.is_watch() { SYNCED } else { READY };
        std::thread::spawn(move || {
            let is_ready = |line: io::Result<String>| line.is_ok_and(|line| line.contains(word));
            // To the end, so that the process is never held up by what it writes.
            for line in lines {
                if is_ready(line) && found.send(()).is_err() {
                    // Whoever asked has given up, and kills it.
                    return;
                }
            }
        });
        match ready.recv_timeout(START_TIMEOUT) {
            Ok(()) => Ok(()),
            Err(mpsc::RecvTimeoutError::Timeout) => bail!("it was not ready within {START_TIMEOUT:?}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("it ended: {}", self.process.wait()?),
        }
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let usage = Usage::of(self.process.id());
        // Of a process that has ended, /proc tells little or nothing.
        usage.with_context(|| format!("{} over {} has ended, it seems", self.subject.name(), self.transport))
    }

    pub(crate) const fn what(&self) -> (Transport, Subject, usize) {
        (self.transport, self.subject, self.count)
    }

    /// Ends it. An error if it had ended by itself: then it did not wait all the time.
    pub(crate) fn end(mut self) -> Result<()> {
        let early = self.process.try_wait()?;
        ensure!(early.is_none(), "{} over {} ended early", self.subject.name(), self.transport);
        // The end of its standard input is the end of the role; `watch` does not look at it.
        drop(self.process.stdin.take());
        let begun = Instant::now();
        while !self.subject.is_watch() && self.process.try_wait()?.is_none() && begun.elapsed() < END_TIMEOUT
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended, and there is nobody to tell that it could not be.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn command(server: &Server, subject: Subject, count: usize, program: Option<&Path>) -> Result<Command> {
    let mut command = match program.filter(|_| subject.is_watch()) {
        Some(program) => Command::new(program),
        None => Command::new(std::env::current_exe()?),
    };
    // The environment has options for `watch`, and for logs.
    command.env_clear();
    let (transport, address) = (server.transport(), server.address());
    if !subject.is_watch() {
        command.args([ROLE, subject.name(), transport.as_str(), &count.to_string(), &address]);
        return Ok(command);
    }
    let at = if transport == Transport::Kafka { "--bootstrap-server" } else { "--url" };
    command.args(["watch", "--json", "--application", APPLICATION, "--backup-topic", TOPIC]);
    command.args(["--transport", transport.as_str(), at, &address]);
    command.args(["--group", if subject == Subject::Watch { "watch" } else { "watch-http" }]);
    if subject == Subject::WatchHttp {
        command.args(["--http", "127.0.0.1:0"]);
    }
    Ok(command)
}
