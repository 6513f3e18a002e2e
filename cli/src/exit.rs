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
    /// As the command that was run, or as a shell reports that it was not. Never 0.
    Command(u8),
    /// Ctrl-C.
    Interrupted,
    /// Whoever read the output stopped reading, so that nobody learned the result.
    OutputClosed,
}

impl Exit {
    /// The end of a command with this exit status.
    pub(crate) const fn of(command: u8) -> Self {
        if command == 0 { Self::Success } else { Self::Command(command) }
    }

    /// The exit status. The last two are what a shell reports for a program that such a signal ends: 128 and the signal's
    /// number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::TimedOut => 124,
            Self::Command(status) => status,
            Self::Interrupted => 130,
            Self::OutputClosed => 141,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
