//! The two JSON formats, told apart by their fields.

mod escape;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use escape::LikeJackson;

use super::text::{Text, Word};
use super::{DecodeError, Decoded, Fields, state, timestamp};
use crate::state::{BackupState, UnknownState};
use crate::transition::BackupTransition;

const PROCESSING: &str = "PROCESSING";
const BACKUP: &str = "backup";
const RESTORE: &str = "restore";

/// Field for field what Jackson writes, in its order. Never add a field: a Java reader stops at one it does not know.
#[derive(Serialize)]
struct Backup<'a> {
    id: Uuid,
    application: &'a str,
    timestamp: u64,
    from: &'static str,
    to: &'static str,
}

/// As [`Backup`], for the other Java module. `action` is written as `null` when there is none.
#[derive(Serialize)]
struct Action<'a> {
    id: Uuid,
    application: &'a str,
    action: Option<&'static str>,
    timestamp: u64,
    from: &'static str,
    to: &'static str,
}

#[derive(Deserialize)]
struct Either {
    #[serde(default)]
    id: Option<Text<Result<Uuid, uuid::Error>>>,
    #[serde(default)]
    application: Option<Text<Arc<str>>>,
    #[serde(default, deserialize_with = "present")]
    action: Option<Option<String>>,
    #[serde(default)]
    timestamp: Option<u64>,
    #[serde(default)]
    from: Option<Text<Word>>,
    #[serde(default)]
    to: Option<Text<Word>>,
}

/// Tells a field that is `null` from a field that is not there.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

pub(super) fn encode_backup(transition: &BackupTransition) -> Bytes {
    write(&Backup {
        id: transition.id,
        application: &transition.application,
        timestamp: timestamp(transition),
        from: transition.from.as_str(),
        to: transition.to.as_str(),
    })
}

pub(super) fn encode_action(transition: &BackupTransition) -> Bytes {
    let (from, to) = (transition.from, transition.to);
    write(&Action {
        id: transition.id,
        application: &transition.application,
        // The end carries the action of the beginning, or the Java reader refuses it.
        action: action_of(to).or_else(|| action_of(from)),
        timestamp: timestamp(transition),
        from: action_state(from),
        to: action_state(to),
    })
}

#[expect(clippy::expect_used, reason = "a struct of numbers and strings always serialises")]
fn write(value: &impl Serialize) -> Bytes {
    let mut payload = Vec::with_capacity(192);
    let mut serializer = serde_json::Serializer::with_formatter(&mut payload, LikeJackson);
    value.serialize(&mut serializer).expect("a struct of numbers and strings");
    payload.into()
}

const fn action_of(state: BackupState) -> Option<&'static str> {
    match state {
        BackupState::Starting | BackupState::Ready => None,
        BackupState::BackingUp => Some(BACKUP),
        BackupState::Restoring => Some(RESTORE),
    }
}

const fn action_state(state: BackupState) -> &'static str {
    if state.is_operation() { PROCESSING } else { state.as_str() }
}

pub(super) fn decode(payload: &[u8]) -> Result<Decoded, DecodeError> {
    let either: Either = serde_json::from_slice(payload).map_err(DecodeError::Json)?;
    let (from, to) = (either.from.map(|Text(word)| word), either.to.map(|Text(word)| word));
    let application = either.application.map(|Text(name)| name);
    let (from, to) = if either.action.is_some() || is_processing(&from) || is_processing(&to) {
        let action = either.action.flatten();
        let operation = match action.as_deref() {
            None => None,
            Some(BACKUP) => Some(BackupState::BackingUp),
            Some(RESTORE) => Some(BackupState::Restoring),
            Some(other) => {
                let (application, action) = (super::application(application)?, other.to_owned());
                return Ok(Decoded::OtherAction { application, action });
            }
        };
        (state_of_action("from", from, operation)?, state_of_action("to", to, operation)?)
    } else {
        (state("from", from)?, state("to", to)?)
    };
    let id = either.id.map(|Text(id)| id.map_err(DecodeError::Id)).transpose()?;
    let timestamp = either.timestamp;
    Fields { id, application, timestamp, from, to }.check().map(Decoded::Transition)
}

fn is_processing(word: &Option<Word>) -> bool {
    matches!(word, Some(Word::Other(word)) if word == PROCESSING)
}

fn state_of_action(
    field: &'static str,
    word: Option<Word>,
    operation: Option<BackupState>,
) -> Result<BackupState, DecodeError> {
    if is_processing(&word) {
        return operation.ok_or(DecodeError::MissingField("action"));
    }
    match state(field, word)? {
        // The other format's names of the same thing; a document that mixes the two is nobody's.
        state if state.is_operation() => {
            let unknown = UnknownState(state.as_str().to_owned());
            Err(DecodeError::State { field, unknown })
        }
        state => Ok(state),
    }
}
