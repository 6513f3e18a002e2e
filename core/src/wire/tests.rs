//! What the vectors in `wire-vectors` do not say: see `tests/wire_vectors.rs` for those.

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::event::Position;
use BackupState::{BackingUp, Ready};

const ID: Uuid = Uuid::from_u128(0x3f2b8a5e_7c1d_4e6f_9a0b_1c2d3e4f5a6b);

fn record(payload: impl Into<Bytes>) -> Record {
    Record::new(Position::Offset(0)).payload(Some(payload.into()))
}

#[test]
fn an_event_carries_the_id_as_key_and_its_content_type() {
    for format in WireFormat::ALL {
        let event = encode(&BackupTransition::new(ID, "your-app-id", 1, Ready, BackingUp), format);
        assert_eq!(event.key, ID);
        assert_eq!(event.headers.len(), 1);
        assert_eq!(event.headers[0].name, "content-type");
        assert_eq!(event.headers[0].value, format.content_type());
    }
}

#[test]
fn the_operation_that_a_step_ends_is_in_a_header_and_in_no_payload() {
    let operation = Uuid::from_u128(9);
    for format in WireFormat::ALL {
        let plain = BackupTransition::new(ID, "your-app-id", 1, BackingUp, Ready);
        let end = plain.clone().ending(operation);
        let event = encode(&end, format);
        assert_eq!(event.payload, encode(&plain, format).payload);
        let value = Bytes::from_static(b"00000000-0000-0000-0000-000000000009");
        assert_eq!(event.headers[1..], [Header::new("backup-tracker-operation", value)]);
        let read = decode(&record(event.payload.clone()).headers(event.headers)).unwrap();
        assert_eq!(read, Decoded::Transition(end));
        for unreadable in [&b""[..], b"9", b"\xff\xfe"] {
            let header = Header::new("backup-tracker-operation", Bytes::from_static(unreadable));
            let read = decode(&record(event.payload.clone()).headers(vec![header])).unwrap();
            assert_eq!(read, Decoded::Transition(plain.clone()));
        }

        let begin = BackupTransition::new(ID, "your-app-id", 1, Ready, BackingUp);
        assert_eq!(encode(&begin.clone().ending(operation), format).headers.len(), 1);
        let header = Header::new("backup-tracker-operation", operation.to_string());
        let read = decode(&record(encode(&begin, format).payload).headers(vec![header])).unwrap();
        assert_eq!(read, Decoded::Transition(begin), "a beginning ends nothing");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    let good = r#"{"id":"3f2b8a5e-7c1d-4e6f-9a0b-1c2d3e4f5a6b","application":"a","timestamp":1,"from":"READY","to":"READY"}"#;
    for (was, is, message) in [
        ("\"id\"", "\"ID\"", "the field `id` is missing, null or blank"),
        ("\"a\"", "\"  \"", "the field `application` is missing, null or blank"),
        ("3f2b8a5e-", "", "the field `id` holds no UUID"),
        (
            "\"from\":\"READY\"",
            "\"from\":\"ready\"",
            "the field `from`: `ready` is no state; the states are STARTING",
        ),
        ("\"to\":\"READY\"", "\"to\":\"PROCESSING\"", "the field `action` is missing"),
        (":1,", ":9223372036854775808,", "the field `timestamp` is beyond"),
        (":1,", ":-1,", "the value is no JSON of ours: invalid value: integer `-1`"),
        ("{", "hello{", "the value begins with byte 0x68"),
    ] {
        let found = decode(&record(good.replacen(was, is, 1))).unwrap_err().to_string();
        assert!(found.starts_with(message), "{found}");
    }
    let mut trailing =
        encode(&BackupTransition::new(ID, "a", 1, Ready, Ready), WireFormat::Cbor).payload.to_vec();
    trailing.push(0);
    let error = decode(&record(trailing)).unwrap_err().to_string();
    assert!(error.contains("1 bytes follow the map"), "{error}");
}

/// A JSON object with its fields in their order, also those that come twice.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// What a reader on Jackson with its defaults insists on, and the services behind it.
fn assert_that_jackson_takes(payload: &[u8], format: WireFormat, sent: &BackupTransition) {
    let names: &[&str] = match format {
        WireFormat::ActionJson => &["id", "application", "action", "timestamp", "from", "to"],
        _ => &["id", "application", "timestamp", "from", "to"],
    };
    let text = std::str::from_utf8(payload).unwrap();
    assert!(!text.bytes().any(|byte| byte < 0x20), "a bare control character: {text:?}");
    let Object(fields) = serde_json::from_str(text).unwrap();
    assert_eq!(fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
    for (name, value) in &fields {
        match (name.as_str(), value) {
            ("id", Value::String(id)) => assert_eq!(*id, sent.id.hyphenated().to_string()),
            ("application", Value::String(application)) => assert_eq!(**application, *sent.application),
            ("timestamp", value) => assert!(value.as_i64().is_some_and(|millis| millis >= 0), "{text}"),
            ("action", Value::Null) => assert!(!sent.from.is_operation() && !sent.to.is_operation()),
            ("action", Value::String(action)) => assert!(["backup", "restore"].contains(&action.as_str())),
            ("from" | "to", Value::String(state)) if format == WireFormat::ActionJson => {
                assert!(["STARTING", "READY", "PROCESSING"].contains(&state.as_str()));
            }
            ("from" | "to", Value::String(state)) => assert!(state.parse::<BackupState>().is_ok()),
            other => panic!("{other:?}"),
        }
    }
}

fn any_legal() -> impl Strategy<Value = BackupTransition> {
    let states = prop::sample::select(BackupState::ALL.to_vec());
    // Of any characters, and now and then longer than the buffers of a decoder.
    let application = prop_oneof![9 => "(?s).{0,40}[^\\s]", 1 => "(?s).{4000,5000}x"];
    (any::<u128>(), application, 0..=BackupTransition::MAX_TIMESTAMP_MILLIS, states.clone(), states)
        .prop_filter("legal", |(_, _, _, from, to)| from.can_become(*to))
        .prop_map(|(id, application, time, from, to)| {
            BackupTransition::new(Uuid::from_u128(id), application, time, from, to)
        })
}

proptest! {
    #[test]
    fn any_legal_transition_survives_every_format(transition in any_legal()) {
        for format in WireFormat::ALL {
            let decoded = decode(&record(encode(&transition, format).payload));
            prop_assert_eq!(decoded.unwrap(), Decoded::Transition(transition.clone()));
        }
    }

    #[test]
    fn no_writer_emits_what_jackson_refuses(mut transition in any_legal(), millis: u64) {
        // Anybody may write to the field.
        transition.timestamp_millis = millis;
        for format in [WireFormat::BackupJson, WireFormat::ActionJson] {
            let payload = encode(&transition, format).payload;
            assert_that_jackson_takes(&payload, format, &transition);
            prop_assert!(decode(&record(payload)).is_ok());
        }
        prop_assert!(decode(&record(encode(&transition, WireFormat::Cbor).payload)).is_ok());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>, first in prop::sample::select(vec![b'{', 0xA5, 0xBF, 0xD9])) {
        let mut led = vec![first];
        led.extend(&bytes);
        for payload in [bytes, led] {
            let _: Result<_, _> = decode(&record(payload));
        }
    }

    #[test]
    fn a_damaged_event_is_decoded_or_refused(transition in any_legal(), at: prop::sample::Index, byte: u8) {
        for format in WireFormat::ALL {
            let mut payload = encode(&transition, format).payload.to_vec();
            let index = at.index(payload.len());
            payload[index] = byte;
            let _: Result<_, _> = decode(&record(payload.clone()));
            payload.truncate(index);
            prop_assert!(decode(&record(payload)).is_err());
        }
    }
}
