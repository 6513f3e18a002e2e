//! The formats of a transition on the wire: written as the user chooses, read whatever they are.
//!
//! | format | content type | read by |
//! |---|---|---|
//! | [`WireFormat::BackupJson`] | `application/json` | the Java module `backup-tracker` |
//! | [`WireFormat::ActionJson`] | `application/json` | the Java module `action-tracker` |
//! | [`WireFormat::Cbor`] | `application/cbor` | this library |
//!
//! A reader tells them apart by the first byte, and the two JSON formats by their fields. Readers of every transport take
//! all three. The two JSON formats must not share a topic when Java services read it: a Java reader stops for good at a
//! field that it does not know.
//!
//! The operation that a step to Ready ends ([`BackupTransition::operation`]) is in no payload, because a Java reader stops at a
//! field that it does not know. It is in the header [`OPERATION_HEADER`], which Java ignores.
//!
//! The bytes are those of Java's serialiser, Jackson with its defaults, also in escapes. The package's folder `wire-vectors` has
//! records in every format with what they mean, for readers and writers in other languages.

mod cbor;
mod json;
mod others;
mod text;

use std::sync::Arc;

use bytes::Bytes;

use crate::event::{Event, Header, Record};
use crate::state::{BackupState, UnknownState};
use crate::transition::BackupTransition;
use text::Word;

pub use others::Others;

/// The name of the header that carries [`BackupTransition::operation`], as 36 characters in lower case.
pub const OPERATION_HEADER: &str = "backup-tracker-operation";

/// How a transition is written. Every reader understands all of them and tells them apart by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WireFormat {
    /// The JSON of the Java module `backup-tracker`: the default on Kafka.
    BackupJson,
    /// The JSON of the released Java module `action-tracker` (smart-caches 0.29.2 and later).
    ActionJson,
    /// A CBOR map with deterministic encoding (RFC 8949, section 4.2.1): the default elsewhere.
    Cbor,
}

impl WireFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::BackupJson, Self::ActionJson, Self::Cbor];

    /// The value of the header `content-type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::BackupJson | Self::ActionJson => "application/json",
            Self::Cbor => "application/cbor",
        }
    }
}

/// What a record says, once it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decoded {
    /// A step of a backup or a restore.
    Transition(BackupTransition),
    /// The operation of somebody else who uses the same log for it; no backup and no restore.
    OtherAction {
        /// Whose it is.
        application: Arc<str>,
        /// What it is.
        action: String,
    },
}

/// Why a record is no transition (T6).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The record has no value: a tombstone.
    #[error("the record has no value")]
    NoValue,
    /// The value has no bytes.
    #[error("the value is empty")]
    Empty,
    /// The value is in none of the formats.
    #[error("the value begins with byte {0:#04x}, which begins neither JSON nor CBOR of ours")]
    UnknownFormat(u8),
    /// The value begins like JSON and is none.
    #[error("the value is no JSON of ours: {0}")]
    Json(#[source] serde_json::Error),
    /// The value begins like CBOR and is none.
    #[error("the value is no CBOR of ours: {0}")]
    Cbor(String),
    /// A field is missing, null or blank.
    #[error("the field `{0}` is missing, null or blank")]
    MissingField(&'static str),
    /// The field `id` holds no UUID.
    #[error("the field `id` holds no UUID: {0}")]
    Id(#[source] uuid::Error),
    /// A state has a name that nobody knows.
    #[error("the field `{field}`: {unknown}")]
    State {
        /// The field's name: `from` or `to`.
        field: &'static str,
        /// The name that was found.
        #[source]
        unknown: UnknownState,
    },
    /// The timestamp is beyond [`BackupTransition::MAX_TIMESTAMP_MILLIS`].
    #[error("the field `timestamp` is beyond what the formats carry")]
    Timestamp,
}

/// Writes a transition as an event: key, header `content-type`, payload, and for a step to Ready that names an operation
/// [`OPERATION_HEADER`]. A timestamp beyond [`BackupTransition::MAX_TIMESTAMP_MILLIS`] is written as that.
#[must_use]
pub fn encode(transition: &BackupTransition, format: WireFormat) -> Event {
    let payload = match format {
        WireFormat::BackupJson => json::encode_backup(transition),
        WireFormat::ActionJson => json::encode_action(transition),
        WireFormat::Cbor => cbor::encode(transition),
    };
    let event = Event::new(transition.id, transition.application.clone(), payload)
        .header("content-type", Bytes::from_static(format.content_type().as_bytes()));
    match transition.operation.filter(|_| transition.to == BackupState::Ready) {
        Some(operation) => event.header(OPERATION_HEADER, operation.hyphenated().to_string()),
        None => event,
    }
}

/// The field can be set to anything; what is beyond the formats would be refused by every reader.
fn timestamp(transition: &BackupTransition) -> u64 {
    transition.timestamp_millis.min(BackupTransition::MAX_TIMESTAMP_MILLIS)
}

/// Reads a record in any of the formats. Unknown fields and headers are ignored, and the record's key is not looked at:
/// the identity is the one in the value. A header [`OPERATION_HEADER`] that holds no UUID is ignored, too.
///
/// # Errors
///
/// Says why the record is no transition. Such a record is to be skipped (T6).
pub fn decode(record: &Record) -> Result<Decoded, DecodeError> {
    const CBOR_SELF_DESCRIBED: &[u8] = &[0xD9, 0xD9, 0xF7];
    let payload = record.payload.as_deref().ok_or(DecodeError::NoValue)?;
    let first = *payload.first().ok_or(DecodeError::Empty)?;
    let mut decoded = match first {
        b'{' => json::decode(payload),
        0xA0..=0xBF => cbor::decode(payload),
        _ => match payload.strip_prefix(CBOR_SELF_DESCRIBED) {
            Some(map) => cbor::decode(map),
            None => Err(DecodeError::UnknownFormat(first)),
        },
    }?;
    if let Decoded::Transition(transition) = &mut decoded
        && transition.to == BackupState::Ready
    {
        transition.operation = operation(&record.headers);
    }
    Ok(decoded)
}

fn operation(headers: &[Header]) -> Option<uuid::Uuid> {
    let header = headers.iter().find(|header| header.name == OPERATION_HEADER)?;
    std::str::from_utf8(&header.value).ok()?.parse().ok()
}

/// The fields of the two formats that carry our own state names, before they are checked.
struct Fields {
    id: Option<uuid::Uuid>,
    application: Option<Arc<str>>,
    timestamp: Option<u64>,
    from: BackupState,
    to: BackupState,
}

impl Fields {
    fn check(self) -> Result<BackupTransition, DecodeError> {
        let id = self.id.ok_or(DecodeError::MissingField("id"))?;
        let application = application(self.application)?;
        let timestamp = self.timestamp.ok_or(DecodeError::MissingField("timestamp"))?;
        if timestamp > BackupTransition::MAX_TIMESTAMP_MILLIS {
            return Err(DecodeError::Timestamp);
        }
        Ok(BackupTransition::new(id, application, timestamp, self.from, self.to))
    }
}

fn application(field: Option<Arc<str>>) -> Result<Arc<str>, DecodeError> {
    field.filter(|name| !name.trim().is_empty()).ok_or(DecodeError::MissingField("application"))
}

fn state(field: &'static str, word: Option<Word>) -> Result<BackupState, DecodeError> {
    match word {
        Some(Word::State(state)) => Ok(state),
        Some(Word::Other(word)) => Err(DecodeError::State { field, unknown: UnknownState(word) }),
        None => Err(DecodeError::MissingField(field)),
    }
}

#[cfg(test)]
mod tests;
