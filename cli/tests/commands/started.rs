//! A `run` that goes on.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::Bench;
use crate::lines::Lines;
use crate::process::ends;
use crate::program::forks;

/// A command that says that it runs, and its process id, and then sleeps.
pub(crate) const SLEEPER: [&str; 3] = ["sh", "-c", "echo $$; exec sleep 1000"];

impl Bench {
    pub(crate) fn start(&self, command: &[&str]) -> Run {
        self.start_in_session(&["setsid"], &[], Stdio::null(), command)
    }

    /// Started by this program, with a pipe as standard input.
    pub(crate) fn start_by(&self, by: &[&str], command: &[&str]) -> Run {
        self.start_in_session(&["setsid"], by, Stdio::piped(), command)
    }

    pub(crate) fn start_on(&self, terminal: OwnedFd, command: &[&str]) -> Run {
        self.start_in_session(&["setsid", "--ctty"], &[], terminal.into(), command)
    }

    /// In a session of its own, and with the signals as they are by default: neither the terminal nor the
    /// signals of whoever runs the tests are its own.
    fn start_in_session(&self, session: &[&str], by: &[&str], stdin: Stdio, command: &[&str]) -> Run {
        let run = self.command(&[&["run", "--application", "shop", "--"], command].concat());
        let mut program = Command::new(session[0]);
        program.args(&session[1..]).env_clear().args(["env", "--default-signal"]).args(by);
        program.arg(run.get_program()).args(run.get_args());
        // What a killed `run` leaves behind must not hold on to our own standard error.
        let process = program.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = forks::spawn(process);
        let out = Lines::of(process.stdout.take().unwrap());
        Run { process, out }
    }
}

/// It goes on until this is dropped.
pub(crate) struct Run {
    process: Child,
    out: Lines,
}

impl Run {
    /// The next line that the command writes.
    pub(crate) fn line(&self) -> String {
        self.out.next()
    }

    /// Writes a line to the command.
    pub(crate) fn write(&self, line: &str) {
        writeln!(self.process.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    /// The process id that the command says.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.line().parse().unwrap()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The exit status, once the program has ended; its standard input ends first.
    pub(crate) fn status(mut self) -> Option<i32> {
        drop(self.process.stdin.take());
        ends(Pid::from_child(&self.process));
        self.process.wait().unwrap().code()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
