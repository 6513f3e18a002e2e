//! Runs the program in `java`: a reader and writer of the wire formats on Jackson.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

/// The program, built by `scripts/build-interop`.
#[derive(Clone, Debug)]
pub struct Jackson {
    built: PathBuf,
}

impl Jackson {
    /// Looks for it where the script puts it.
    ///
    /// # Errors
    ///
    /// Says in a line what is missing and what would help.
    pub fn find() -> Result<Self, String> {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop-java");
        if !built.join("classes/interop/Main.class").is_file() {
            return Err("needs the Java program of interop/java; run scripts/build-interop".to_owned());
        }
        match Command::new("java").arg("-version").output() {
            Ok(output) if output.status.success() => Ok(Self { built }),
            Ok(output) => {
                Err(format!("java does not run: {}", String::from_utf8_lossy(&output.stderr).trim()))
            }
            Err(error) => Err(format!("needs java: {error}")),
        }
    }

    /// Has it check files of vectors. What it prints names each vector that Jackson takes otherwise than the file says.
    ///
    /// # Errors
    ///
    /// When it cannot be run.
    pub fn vectors(&self, files: &[PathBuf]) -> io::Result<Output> {
        self.command().arg("vectors").args(files).output()
    }

    /// Has it read values, and returns what it writes of each, or why it refuses.
    ///
    /// # Errors
    ///
    /// When it cannot be run, fails, or answers less than it was asked.
    pub fn mirror(&self, values: &[(&str, Vec<u8>)]) -> io::Result<Vec<Result<Vec<u8>, String>>> {
        let mut question = String::new();
        for (format, value) in values {
            question.push_str(format);
            question.push(' ');
            question.extend(value.iter().map(|byte| format!("{byte:02x}")));
            question.push('\n');
        }
        let mut child = self.command().arg("mirror").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().ok_or_else(|| io::Error::other("no standard input"))?;
        // It answers while it is asked, and would wait for somebody to read.
        let asking = thread::spawn(move || input.write_all(question.as_bytes()));
        let output = child.wait_with_output()?;
        asking.join().map_err(|_panic| io::Error::other("asking panicked"))??;
        if !output.status.success() {
            return Err(io::Error::other(format!("the Java program ended with {}", output.status)));
        }
        let answers = String::from_utf8(output.stdout).map_err(io::Error::other)?;
        let answers: Vec<_> = answers.lines().map(answer).collect::<io::Result<_>>()?;
        if answers.len() != values.len() {
            return Err(io::Error::other(format!("{} answers to {} values", answers.len(), values.len())));
        }
        Ok(answers)
    }

    fn command(&self) -> Command {
        let mut classes = self.built.join("classes").into_os_string();
        classes.push(if cfg!(windows) { ";" } else { ":" });
        // Java itself expands the star.
        classes.push(self.built.join("lib/*"));
        let mut command = Command::new("java");
        command.arg("-cp").arg(classes).arg("interop.Main");
        command
    }
}

fn answer(line: &str) -> io::Result<Result<Vec<u8>, String>> {
    if let Some(refusal) = line.strip_prefix("! ") {
        return Ok(Err(refusal.to_owned()));
    }
    let digits = line.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).map_err(io::Error::other)?;
        u8::from_str_radix(pair, 16).map_err(io::Error::other)
    };
    digits.map(byte).collect::<io::Result<_>>().map(Ok)
}
