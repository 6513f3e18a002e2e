//! The command that is run.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child as Process, Command};

use super::signals::{Caught, Signals};

/// What a shell reports for a program that ended so.
pub(super) fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    pid: Option<Pid>,
    group: Group,
}

/// The process group of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// One of its own.
    Own,
    /// That of this program, on a terminal.
    Terminal,
}

impl Child {
    /// Starts it. Without a controlling terminal it gets a process group of its own, so that a signal reaches
    /// whatever it has started. On a terminal it stays in the group that may read from there.
    pub(super) fn spawn(command: &[OsString], environment: [(&str, &str); 4]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let group = if File::open("/dev/tty").is_ok() { Group::Terminal } else { Group::Own };
        let mut command = Command::new(program);
        command.args(arguments).envs(environment);
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
            let caught = tokio::select! {
                biased;
                status = self.process.wait() => return status,
                caught = signals.next() => caught,
            };
            match self.pass_on(caught) {
                // It is over, and will be noticed now.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => tracing::warn!("signal {:?} could not be passed on: {error}", caught.signal),
            }
        }
    }

    /// Ctrl-C and Ctrl-\ at the terminal reach the whole group from there.
    fn pass_on(&self, Caught { signal, sent }: Caught) -> Result<(), Errno> {
        match (self.pid, self.group) {
            (Some(pid), Group::Own) => kill_process_group(pid, signal),
            (Some(_), Group::Terminal) if !sent && matches!(signal, Signal::INT | Signal::QUIT) => Ok(()),
            (Some(pid), Group::Terminal) => kill_process(pid, signal),
            (None, _) => Ok(()),
        }
    }
}
