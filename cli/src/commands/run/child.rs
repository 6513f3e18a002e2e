//! The command that is run, and the signals that are passed on to it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::future::poll_fn;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::task::Poll;

use futures_util::FutureExt;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child as Process, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals that are the command's business. While this exists they do not end this program.
#[derive(Debug)]
pub(super) struct Signals(Vec<(Signal, Stream)>);

impl Signals {
    /// SIGHUP only where it is not ignored, as `nohup` wants it.
    pub(super) fn catch() -> io::Result<Self> {
        let all = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];
        let caught = all.into_iter().filter(|caught| *caught != Signal::HUP || !is_ignored(Signal::HUP));
        let stream = |caught: Signal| Ok((caught, signal(SignalKind::from_raw(caught.as_raw()))?));
        caught.map(stream).collect::<io::Result<_>>().map(Self)
    }

    /// The next one. Cancel safe.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.0 {
                if stream.poll_recv(context) == Poll::Ready(Some(())) {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// One that came already and asks a program to end.
    pub(super) fn came(&mut self) -> Option<Signal> {
        let mut came = None;
        while let Some(signal) = self.next().now_or_never() {
            if !matches!(signal, Signal::USR1 | Signal::USR2) {
                came = came.or(Some(signal));
            }
        }
        came
    }
}

/// Whether the program was started with this signal ignored (proc(5), `SigIgn`).
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal.as_raw() - 1) & 1 == 1
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
    /// Starts it. Without a controlling terminal it gets a process group of its own, so that a signal reaches whatever it has started. On a
    /// terminal it stays in the group that may read from there, which gets Ctrl-C from the terminal itself.
    pub(super) fn spawn(command: &[OsString], environment: [(&str, &str); 3]) -> io::Result<Self> {
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
            (Some(_), Group::Terminal) if matches!(signal, Signal::INT | Signal::QUIT) => Ok(()),
            (Some(pid), Group::Terminal) => kill_process(pid, signal),
            (None, _) => Ok(()),
        }
    }
}
