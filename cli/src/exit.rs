//! How the program ends.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is as it should be.
    Success,
    /// It is not, and the output says why.
    Failure,
    /// The program was called in a way that it does not understand, or is configured wrongly; standard error says how.
    Usage,
    /// A time limit that the user gave has ended.
    TimedOut,
    /// Ctrl-C.
    Interrupted,
    /// Whoever read the output stopped reading, so that nobody learned the result.
    OutputClosed,
}

impl From<Exit> for ExitCode {
    /// The last two are what a shell reports for a program that such a signal ends: 128 and the signal's number.
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::TimedOut => 124,
            Exit::Interrupted => 130,
            Exit::OutputClosed => 141,
        })
    }
}
