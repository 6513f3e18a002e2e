//! What goes to standard error: all that is not the result.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use backup_tracker::{Error, ErrorKind};

use super::Progress;
use crate::exit::Exit;
use crate::options::OpenError;

fn say(label: &str, what: fmt::Arguments<'_>) {
    // Where that fails there is nowhere left to say so.
    drop(writeln!(io::stderr(), "{label}: {what}"));
}

pub(in crate::commands) fn note(what: fmt::Arguments<'_>) {
    say("note", what);
}

pub(in crate::commands) fn warning(what: fmt::Arguments<'_>) {
    say("warning", what);
}

pub(in crate::commands) fn error(what: fmt::Arguments<'_>) {
    say("error", what);
}

/// A name out of a log, fit for a terminal: whatever would steer it is escaped.
pub(in crate::commands) fn plain(name: &str) -> Cow<'_, str> {
    if !name.contains(char::is_control) {
        return Cow::Borrowed(name);
    }
    name.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// Says what is wrong, and what the program exits with.
pub(in crate::commands) fn failed(error: &OpenError) -> Exit {
    self::error(format_args!("{error}"));
    match error {
        OpenError::Broker(error) if error.kind() != ErrorKind::Config => Exit::Failure,
        _ => Exit::Usage,
    }
}

/// Tells trouble once, and when it is over.
#[derive(Debug, Default)]
pub(in crate::commands) struct Notices {
    trouble: Option<String>,
}

impl Notices {
    pub(in crate::commands) fn of(&mut self, progress: &Progress) {
        match progress {
            Progress::Record | Progress::Counted => self.fine(),
            Progress::Lost(error) => {
                warning(format_args!("{error}; reading from the earliest record that there is"));
            }
            Progress::Trouble(error) => self.troubled(error),
        }
    }

    pub(in crate::commands) fn troubled(&mut self, error: &Error) {
        let trouble = error.to_string();
        if self.trouble.as_ref() != Some(&trouble) {
            warning(format_args!("{trouble}; trying again"));
            self.trouble = Some(trouble);
        }
    }

    pub(in crate::commands) fn fine(&mut self) {
        if self.trouble.take().is_some() {
            note(format_args!("the broker answers again"));
        }
    }

    /// What is wrong at the moment.
    pub(in crate::commands) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}
