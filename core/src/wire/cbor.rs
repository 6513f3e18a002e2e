//! The CBOR format: a map of five text keys.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::text::{Text, Word};
use super::{DecodeError, Decoded, Fields, state, timestamp};
use crate::transition::BackupTransition;

/// Written as a definite-length map in this order; `id` is a byte string of 16.
#[derive(Serialize)]
struct Map<'a> {
    id: Uuid,
    application: &'a str,
    timestamp: u64,
    from: &'static str,
    to: &'static str,
}

#[derive(Deserialize)]
struct ReadMap {
    #[serde(default)]
    id: Option<Uuid>,
    #[serde(default)]
    application: Option<Text<Arc<str>>>,
    #[serde(default)]
    timestamp: Option<u64>,
    #[serde(default)]
    from: Option<Text<Word>>,
    #[serde(default)]
    to: Option<Text<Word>>,
}

#[expect(clippy::expect_used, reason = "writing to a vector cannot fail")]
pub(super) fn encode(transition: &BackupTransition) -> Bytes {
    let map = Map {
        id: transition.id,
        application: &transition.application,
        timestamp: timestamp(transition),
        from: transition.from.as_str(),
        to: transition.to.as_str(),
    };
    let mut payload = Vec::with_capacity(128);
    ciborium::into_writer(&map, &mut payload).expect("a vector takes everything");
    payload.into()
}

pub(super) fn decode(payload: &[u8]) -> Result<Decoded, DecodeError> {
    let mut rest = payload;
    let map: ReadMap =
        ciborium::from_reader(&mut rest).map_err(|error| DecodeError::Cbor(error.to_string()))?;
    if !rest.is_empty() {
        return Err(DecodeError::Cbor(format!("{} bytes follow the map", rest.len())));
    }
    Fields {
        id: map.id,
        application: map.application.map(|Text(name)| name),
        timestamp: map.timestamp,
        from: state("from", map.from.map(|Text(word)| word))?,
        to: state("to", map.to.map(|Text(word)| word))?,
    }
    .check()
    .map(Decoded::Transition)
}
