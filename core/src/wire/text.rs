//! Texts of a record that are looked at where they stand, without a copy.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use uuid::Uuid;

use crate::state::{BackupState, UnknownState};

/// Something that is made from a text, whatever the text is.
pub(super) trait FromText {
    fn from_text(text: &str) -> Self;
}

/// Reads a text, and makes something from it.
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As for a `String`, so that the same texts are taken: some readers take only short ones otherwise.
        deserializer.deserialize_string(Reader(PhantomData)).map(Self)
    }
}

struct Reader<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(text))
    }
}

/// A word where a state is expected.
pub(super) enum Word {
    State(BackupState),
    /// One that only one format has, or nobody.
    Other(String),
}

impl FromText for Word {
    fn from_text(text: &str) -> Self {
        match text.parse() {
            Ok(state) => Self::State(state),
            Err(UnknownState(word)) => Self::Other(word),
        }
    }
}

impl FromText for Arc<str> {
    fn from_text(text: &str) -> Self {
        text.into()
    }
}

/// An identity, or why it is none.
impl FromText for Result<Uuid, uuid::Error> {
    fn from_text(text: &str) -> Self {
        Uuid::try_parse(text)
    }
}
