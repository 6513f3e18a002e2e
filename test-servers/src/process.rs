//! A server's process: its start, its end, and the wait until it answers.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take until it answers.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server may take to end when it is asked to; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of its log is shown when it does not start; a Java program's reason stands above the calls that led to it.
const LOG_LINES: usize = 40;
/// Between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
/// How long one answer may take while the server starts.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// How often another free port is tried, in case that somebody else took the first.
const PORTS: usize = 5;

/// A command that can be started again and again, and the process that it is at the moment.
#[derive(Debug)]
pub(crate) struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
    child: Option<Child>,
    watchdog: Option<Watchdog>,
}

/// A shell that kills the server when this process ends without having done so, as a test that is killed does: then the
/// pipe between the two closes.
#[derive(Debug)]
struct Watchdog(Child);

impl Watchdog {
    fn start(server: u32) -> io::Result<Self> {
        let script = format!("read -r _; kill -9 {server} 2>/dev/null");
        let shell = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A terminal's interrupt reaches the whole group of processes, and this one has to outlive it.
            .process_group(0)
            .spawn()?;
        Ok(Self(shell))
    }

    /// Ends the watch. The server's id may be somebody else's from now on.
    fn stop(mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }
}

impl Process {
    pub(crate) const fn new(program: PathBuf, arguments: Vec<OsString>, log: PathBuf) -> Self {
        Self { program, arguments, log, child: None, watchdog: None }
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts the process without waiting for an answer. Does nothing while it runs.
    pub(crate) fn spawn(&mut self) -> io::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let id = child.id();
        self.child = Some(child);
        self.watchdog = Some(Watchdog::start(id)?);
        Ok(())
    }

    /// Waits until the server answers as it should.
    pub(crate) fn wait(&mut self, mut answers: impl FnMut() -> bool) -> io::Result<()> {
        let begin = Instant::now();
        while !self.look(begin, &mut answers)? {
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Whether the server answers as it should. An error when it has ended, or should have answered by now.
    pub(crate) fn look(&mut self, begin: Instant, answers: impl FnOnce() -> bool) -> io::Result<bool> {
        if answers() {
            return Ok(true);
        }
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            self.child = None;
            self.unwatch()?;
            return Err(self.failure(format_args!("ended with {status}")));
        }
        if begin.elapsed() > START_TIMEOUT {
            self.kill()?;
            return Err(self.failure(format_args!("did not answer within {START_TIMEOUT:?}")));
        }
        Ok(false)
    }

    fn failure(&self, what: std::fmt::Arguments<'_>) -> io::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_else(|error| format!("no log: {error}"));
        let lines: Vec<_> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        io::Error::other(format!("{} {what}; the end of its log:\n{end}", self.program.display()))
    }

    /// Ends the process as `kill -9` does. Done when this returns.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        self.unwatch()
    }

    fn unwatch(&mut self) -> io::Result<()> {
        self.watchdog.take().map_or(Ok(()), Watchdog::stop)
    }

    /// Asks the process to end, without waiting until it has.
    pub(crate) fn ask_to_end(&self) -> io::Result<()> {
        match &self.child {
            Some(child) => Ok(kill_process(Pid::from_child(child), Signal::TERM)?),
            None => Ok(()),
        }
    }

    /// Asks the process to end, and kills it when it takes too long. Done when this returns.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.ask_to_end()?;
        if let Some(child) = &mut self.child {
            let begin = Instant::now();
            while child.try_wait()?.is_none() && begin.elapsed() < STOP_TIMEOUT {
                thread::sleep(PAUSE);
            }
        }
        self.kill()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            // There is nobody to return it to, and a server that stays behind should not go unnoticed.
            let message = format!("{} was not ended: {error}\n", self.program.display());
            drop(io::stderr().write_all(message.as_bytes()));
        }
    }
}

/// The ports that this program was given. The system gives a port again as soon as nobody holds it, so that two nodes of one
/// cluster would now and then have the same.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that is free now, and never the same twice. Another program may take it before the server does: see
/// [`on_free_ports`].
pub(crate) fn free_port() -> io::Result<u16> {
    loop {
        let port = TcpListener::bind(address(0))?.local_addr()?.port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
}

/// Starts what needs free ports, and tries again with others when that fails.
pub(crate) fn on_free_ports<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut result = start();
    for _ in 1..PORTS {
        if result.is_ok() {
            break;
        }
        result = start();
    }
    result
}

pub(crate) const fn address(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Sends a request and returns the beginning of the answer as text; `None` when there is none.
pub(crate) fn ask(port: u16, request: &[u8]) -> Option<String> {
    exchange(port, request).map(|answer| String::from_utf8_lossy(&answer).into_owned())
}

/// Sends a request and returns the beginning of the answer; `None` when there is none.
pub(crate) fn exchange(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let exchange = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address(port), ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(request)?;
        let mut answer = vec![0; 512];
        let length = stream.read(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    };
    // While the server starts, anything may go wrong; what counts is whether it answers in the end.
    exchange().ok()
}

pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    File::create(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        // Among so many, the system alone repeats dozens.
        let ports: BTreeSet<_> = (0..2000).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 2000);
    }
}
