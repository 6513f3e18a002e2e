//! The program, run.

#[path = "forks.rs"]
pub(crate) mod forks;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The program with these arguments, and with nothing of the environment.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backup-tracker"));
    command.env_clear().args(arguments);
    command
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = forks::output(command);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The text that was written, with runs of spaces as one, of a run that ended well.
    #[allow(dead_code, reason = "each test program uses a part")]
    pub(crate) fn lines(&self) -> Vec<String> {
        assert_eq!(self.status, Some(0), "{self:?}");
        self.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The document that was written, checked against the command's schema.
    pub(crate) fn document(&self, schema: &str) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        checked(&self.stdout, schema)
    }
}

/// A document, checked against a schema.
pub(crate) fn checked(document: &str, schema: &str) -> Value {
    let path = format!("{}/schemas/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let value = serde_json::from_str(document).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document}");
    value
}

/// A run that goes on.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    heard: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = forks::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, heard: String::new() }
    }

    /// Waits until a line of standard error contains these words. The program's own time limit ends this, too.
    pub(crate) fn hears(&mut self, words: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "no `{words}` in\n{}", self.heard);
            self.heard.push_str(&line);
            if line.contains(words) {
                return;
            }
        }
    }

    /// Waits until standard error says this, a question without an end of line.
    #[allow(dead_code, reason = "each test program uses a part")]
    pub(crate) fn asks(&mut self, question: &str) {
        while !self.heard.ends_with(question) {
            let mut byte = [0];
            self.stderr.read_exact(&mut byte).unwrap();
            self.heard.push(char::from(byte[0]));
        }
    }

    #[allow(dead_code, reason = "each test program uses a part")]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The program's standard input, if it is a pipe.
    #[allow(dead_code, reason = "each test program uses a part")]
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Waits until the program gives back a line that it is given: then it runs.
    #[allow(dead_code, reason = "each test program uses a part")]
    pub(crate) fn echoes(&mut self, mut stdin: &ChildStdin) {
        writeln!(stdin, "echo").unwrap();
        let out = self.child.stdout.as_mut().unwrap();
        let mut echo = [0; 5];
        out.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"echo\n");
    }

    pub(crate) fn ends(mut self) -> Ended {
        self.stderr.read_to_string(&mut self.heard).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        Ended { status: output.status.code(), stdout, stderr: self.heard }
    }
}
