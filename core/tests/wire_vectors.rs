//! The vectors of `wire-vectors`, which readers and writers in other languages can use, too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use backup_tracker::wire::{DecodeError, Decoded, decode, encode};
use backup_tracker::{BackupState, BackupTransition, Position, Record, WireFormat};
use serde::Deserialize;
use uuid::Uuid;

const FILES: [&str; 4] = [
    include_str!("../wire-vectors/backup-json.json"),
    include_str!("../wire-vectors/action-json.json"),
    include_str!("../wire-vectors/cbor.json"),
    include_str!("../wire-vectors/none.json"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Option<String>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    #[serde(rename = "note")]
    _note: Option<String>,
    text: Option<String>,
    hex: Option<String>,
    transition: Option<Meaning>,
    other_action: Option<Other>,
    refused: Option<String>,
    #[serde(default)]
    written: bool,
    jackson: Option<Jackson>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Meaning {
    id: Uuid,
    application: String,
    timestamp: u64,
    from: BackupState,
    to: BackupState,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Other {
    application: String,
    action: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Jackson {
    Same,
    Reads,
    Refuses,
}

/// What is expected of a reader, or what it said.
#[derive(Debug, PartialEq)]
enum Said {
    Transition(Meaning),
    OtherAction(Other),
    Refused(String),
}

impl Meaning {
    fn transition(&self) -> BackupTransition {
        BackupTransition::new(self.id, self.application.as_str(), self.timestamp, self.from, self.to)
    }
}

impl Vector {
    fn payload(&self) -> Option<Vec<u8>> {
        match (&self.text, &self.hex) {
            (Some(text), None) => Some(text.clone().into_bytes()),
            (None, Some(hex)) => Some(bytes(hex)),
            (None, None) => None,
            (Some(_), Some(_)) => panic!("{}: both a text and bytes", self.name),
        }
    }

    fn expected(self) -> Said {
        match (self.transition, self.other_action, self.refused) {
            (Some(meaning), None, None) => Said::Transition(meaning),
            (None, Some(other), None) => Said::OtherAction(other),
            (None, None, Some(reason)) => Said::Refused(reason),
            _ => panic!("{}: not one expectation", self.name),
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The words that `wire-vectors/README.md` explains.
fn reason(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::NoValue => "no-value",
        DecodeError::Empty => "empty",
        DecodeError::UnknownFormat(_) => "unknown-format",
        DecodeError::Json(_) | DecodeError::Cbor(_) => "malformed",
        DecodeError::MissingField(_) => "missing-field",
        DecodeError::Id(_) => "id",
        DecodeError::State { .. } => "state",
        DecodeError::Timestamp => "timestamp",
        _ => "a reason without a word",
    }
}

fn read(payload: Option<Vec<u8>>) -> Said {
    match decode(&Record::new(Position::Offset(0)).payload(payload.map(Into::into))) {
        Ok(Decoded::Transition(BackupTransition { id, application, timestamp_millis, from, to, .. })) => {
            Said::Transition(Meaning {
                id,
                application: application.to_string(),
                timestamp: timestamp_millis,
                from,
                to,
            })
        }
        Ok(Decoded::OtherAction { application, action }) => {
            Said::OtherAction(Other { application: application.to_string(), action })
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => Said::Refused(reason(&error).to_owned()),
    }
}

fn files() -> Vec<(Option<WireFormat>, Vec<Vector>)> {
    let format = |name: &str| match name {
        "backup-json" => WireFormat::BackupJson,
        "action-json" => WireFormat::ActionJson,
        "cbor" => WireFormat::Cbor,
        other => panic!("no format: {other}"),
    };
    let read = |text: &&str| serde_json::from_str::<File>(text).unwrap();
    FILES.iter().map(read).map(|file| (file.format.as_deref().map(format), file.vectors)).collect()
}

#[test]
fn every_vector_is_read_as_it_is_meant_or_refused_for_its_reason() {
    let mut wrong = Vec::new();
    for (format, vectors) in files() {
        for vector in vectors {
            let name = vector.name.clone();
            let found = read(vector.payload());
            let expected = vector.expected();
            if found != expected {
                wrong.push(format!("{format:?} {name}: {found:?} and not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn our_writer_writes_the_vectors_that_are_marked_so() {
    for (format, vectors) in files() {
        for vector in vectors.iter().filter(|vector| vector.written) {
            let meaning = vector.transition.as_ref().unwrap();
            let written = encode(&meaning.transition(), format.unwrap()).payload.to_vec();
            let (written, expected) = (show(&written), show(&vector.payload().unwrap()));
            assert_eq!(written, expected, "{format:?} {}", vector.name);
        }
    }
}

fn show(payload: &[u8]) -> String {
    payload.iter().map(|byte| byte.escape_ascii().to_string()).collect()
}

#[test]
fn every_legal_step_is_among_the_vectors_of_every_format() {
    let legal: BTreeSet<_> = BackupState::ALL
        .iter()
        .flat_map(|from| BackupState::ALL.iter().map(move |to| (from, to)))
        .filter(|(from, to)| from.can_become(**to))
        .map(|(from, to)| (from.as_str(), to.as_str()))
        .collect();
    assert_eq!(legal.len(), 9);
    for (format, vectors) in files() {
        let Some(format) = format else { continue };
        let written: BTreeSet<_> = vectors
            .iter()
            .filter(|vector| vector.written)
            .filter_map(|vector| vector.transition.as_ref())
            .map(|meaning| (meaning.from.as_str(), meaning.to.as_str()))
            .collect();
        assert!(written.is_superset(&legal), "{format:?}: {written:?}");
    }
}

#[test]
fn vectors_have_names_of_their_own_and_what_we_write_is_what_jackson_writes() {
    for (format, vectors) in files() {
        let mut seen = BTreeMap::new();
        for vector in &vectors {
            assert!(seen.insert(&vector.name, ()).is_none(), "{format:?}: {} twice", vector.name);
            let json = matches!(format, Some(WireFormat::BackupJson | WireFormat::ActionJson));
            if vector.written && json {
                assert_eq!(vector.jackson, Some(Jackson::Same), "{format:?} {}", vector.name);
            }
        }
    }
}
