//! What can be wrong with options, and what can go wrong when they are put to use.

use std::fmt;

/// What is wrong with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptionsErrorKind {
    /// An option that is needed is not there.
    Missing,
    /// Two options contradict each other.
    Contradiction,
    /// The value means nothing.
    Invalid,
    /// A file that an option names cannot be read.
    Unreadable,
    /// A client property that would break what the library promises, or that has no counterpart here.
    Refused,
}

/// An option that will not do. `Display` is one line that names the option and says how to mend it. A program exits with
/// status 2 for it, as it does for what `clap` itself refuses.
///
/// No value that may be a secret is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    kind: OptionsErrorKind,
    option: String,
    problem: String,
    mend: String,
}

impl OptionsError {
    pub(crate) fn new(
        kind: OptionsErrorKind,
        option: impl fmt::Display,
        problem: impl fmt::Display,
        mend: impl fmt::Display,
    ) -> Self {
        Self { kind, option: line(option), problem: line(problem), mend: line(mend) }
    }

    pub(crate) fn missing(
        option: impl fmt::Display,
        problem: impl fmt::Display,
        mend: impl fmt::Display,
    ) -> Self {
        Self::new(OptionsErrorKind::Missing, option, problem, mend)
    }

    pub(crate) fn contradiction(
        option: impl fmt::Display,
        problem: impl fmt::Display,
        mend: impl fmt::Display,
    ) -> Self {
        Self::new(OptionsErrorKind::Contradiction, option, problem, mend)
    }

    pub(crate) fn invalid(
        option: impl fmt::Display,
        problem: impl fmt::Display,
        mend: impl fmt::Display,
    ) -> Self {
        Self::new(OptionsErrorKind::Invalid, option, problem, mend)
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> OptionsErrorKind {
        self.kind
    }

    /// The option, as it is written on the command line, with what it applies to where it is a file or a property:
    /// `--kafka-property acks`.
    #[must_use]
    pub fn option(&self) -> &str {
        &self.option
    }

    /// What to do about it.
    #[must_use]
    pub fn mend(&self) -> &str {
        &self.mend
    }
}

/// The text in one line, whatever it quotes.
fn line(text: impl fmt::Display) -> String {
    text.to_string()
        .split(|c: char| c.is_control())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.option, self.problem, self.mend)
    }
}

impl std::error::Error for OptionsError {}

/// Why there is no tracker, sink or source.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The options will not do. Nothing was connected, or the broker's client refused a setting.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The broker, or the way to it.
    #[error(transparent)]
    Broker(#[from] backup_tracker::Error),
}
