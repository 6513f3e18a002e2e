//! What counts as given: a blank value does not, because an environment often has variables that are set to nothing.

use std::ffi::{OsStr, OsString};

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, Command, ValueEnum};

/// A text that is more than blanks.
pub(crate) fn text(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|text| !text.trim().is_empty())
}

/// A path that is not empty.
pub(crate) fn path(value: Option<&OsString>) -> Option<&OsStr> {
    value.map(OsString::as_os_str).filter(|path| !path.is_empty())
}

/// One of some words, or blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<T>(pub(crate) Option<T>);

/// Reads a [`Word`].
#[derive(Clone, Debug)]
pub(crate) struct Words<T: ValueEnum + Clone + Send + Sync + 'static>(EnumValueParser<T>);

impl<T: ValueEnum + Clone + Send + Sync + 'static> Words<T> {
    pub(crate) fn new() -> Self {
        Self(EnumValueParser::new())
    }
}

impl<T: ValueEnum + Clone + Send + Sync + 'static> TypedValueParser for Words<T> {
    type Value = Word<T>;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> clap::error::Result<Word<T>> {
        if value.to_str().is_some_and(|text| text.trim().is_empty()) {
            return Ok(Word(None));
        }
        self.0.parse_ref(command, arg, value).map(|word| Word(Some(word)))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}
