//! The command that is run, and the signals that are passed on to it.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child as Process, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals that ask a program to end. While this exists they do not end this one.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
}

impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one. Cancel safe.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::INT,
            Some(()) = self.terminate.recv() => Signal::TERM,
            Some(()) = self.hangup.recv() => Signal::HUP,
            else => std::future::pending().await,
        }
    }
}

/// What a shell reports for a program that this signal ends.
pub(super) fn code(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}

/// What a shell reports for a program that ended so.
pub(super) fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    pid: Option<Pid>,
    /// A process group of its own, or that of the terminal.
    group: Group,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Own,
    Terminal,
}

impl Child {
    /// Starts it. Without a terminal it gets a process group of its own, so that a signal reaches whatever it has started. On a
    /// terminal it stays in the group that may read from there, which gets Ctrl-C from the terminal itself.
    pub(super) fn spawn(command: &[OsString], environment: &[(&str, &str)]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let group = if io::stdin().is_terminal() { Group::Terminal } else { Group::Own };
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().copied());
        if group == Group::Own {
            command.process_group(0);
        }
        let process = command.spawn()?;
        let pid = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { process, pid, group })
    }

    /// Waits for its end, and passes on what comes meanwhile.
    pub(super) async fn ends(mut self, signals: &mut Signals) -> io::Result<ExitStatus> {
        loop {
            let signal = tokio::select! {
                biased;
                status = self.process.wait() => return status,
                signal = signals.next() => signal,
            };
            match self.pass_on(signal) {
                // It is over, and will be noticed now.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => tracing::warn!("signal {signal:?} could not be passed on: {error}"),
            }
        }
    }

    fn pass_on(&self, signal: Signal) -> Result<(), Errno> {
        match (self.pid, self.group) {
            (Some(pid), Group::Own) => kill_process_group(pid, signal),
            (Some(_), Group::Terminal) if signal == Signal::INT => Ok(()),
            (Some(pid), Group::Terminal) => kill_process(pid, signal),
            (None, _) => Ok(()),
        }
    }
}
