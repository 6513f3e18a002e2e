//! The signals that are the command's business.

use std::fs;
use std::future::pending;
use std::io;
use std::thread;

use rustix::process::Signal;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::siginfo::{Cause, Origin};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const ALL: [Signal; 6] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Those that come to this program. From its making on they do not end the program.
#[derive(Debug)]
pub(super) struct Signals {
    caught: UnboundedReceiver<Caught>,
    handle: Handle,
}

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caught {
    pub(super) signal: Signal,
    /// Whether another process sent it, and not the kernel on behalf of a terminal.
    pub(super) sent: bool,
}

impl Signals {
    /// Catches them, but for those that are ignored when the program begins, as `nohup` wants SIGHUP, and a
    /// shell SIGINT and SIGQUIT for what it begins in the background: these stay ignored, here and in the
    /// command.
    pub(super) fn catch() -> io::Result<Self> {
        let ignored = ignored();
        let wanted = ALL.into_iter().map(Signal::as_raw).filter(|signal| ignored >> (signal - 1) & 1 == 0);
        let mut signals = SignalsInfo::<WithOrigin>::new(wanted)?;
        let handle = signals.handle();
        let (catch, caught) = unbounded_channel();
        let pass_on = move || {
            for Origin { signal, cause, .. } in signals.forever() {
                let caught = Signal::from_named_raw(signal)
                    .map(|signal| Caught { signal, sent: matches!(cause, Cause::Sent(_)) });
                if caught.is_some_and(|caught| catch.send(caught).is_err()) {
                    return;
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(pass_on)?;
        Ok(Self { caught, handle })
    }

    /// The next one. Cancel safe.
    pub(super) async fn next(&mut self) -> Caught {
        match self.caught.recv().await {
            Some(caught) => caught,
            // The thread goes on for as long as this exists.
            None => pending().await,
        }
    }

    /// The next one that asks a program to end. Cancel safe.
    pub(super) async fn ending(&mut self) -> Signal {
        loop {
            let signal = self.next().await.signal;
            if asks_to_end(signal) {
                return signal;
            }
        }
    }

    /// One that came already and asks a program to end. All that came are forgotten.
    pub(super) fn came(&mut self) -> Option<Signal> {
        let mut came = None;
        while let Ok(Caught { signal, .. }) = self.caught.try_recv() {
            came = came.or_else(|| asks_to_end(signal).then_some(signal));
        }
        came
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// As people know it.
pub(super) fn name(signal: Signal) -> &'static str {
    signal_hook::low_level::signal_name(signal.as_raw()).unwrap_or("a signal")
}

fn asks_to_end(signal: Signal) -> bool {
    !matches!(signal, Signal::USR1 | Signal::USR2)
}

/// The signals that this program was started with ignored, a bit each (proc(5), `SigIgn`).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// What a shell reports for a program that this signal ends.
pub(super) fn code(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}
