use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::event::Position;
use BackupState::{BackingUp, Ready, Restoring, Starting};

const ID: Uuid = Uuid::from_u128(0x3f2b8a5e_7c1d_4e6f_9a0b_1c2d3e4f5a6b);
const TIME: u64 = 1_752_230_923_000;

fn transition(from: BackupState, to: BackupState) -> BackupTransition {
    BackupTransition::new(ID, "your-app-id", TIME, from, to)
}

fn record(payload: impl Into<Bytes>) -> Record {
    Record::new(Position::Offset(0)).payload(Some(payload.into()))
}

fn text(transition: &BackupTransition, format: WireFormat) -> String {
    String::from_utf8(encode(transition, format).payload.to_vec()).unwrap()
}

#[test]
fn the_backup_format_is_written_byte_for_byte_as_java_writes_it() {
    assert_eq!(
        text(&transition(Ready, BackingUp), WireFormat::BackupJson),
        r#"{"id":"3f2b8a5e-7c1d-4e6f-9a0b-1c2d3e4f5a6b","application":"your-app-id","timestamp":1752230923000,"from":"READY","to":"BACKING_UP"}"#
    );
}

#[test]
fn the_action_format_names_the_same_action_at_both_ends() {
    let of = |action, from, to| {
        format!(
            r#"{{"id":"3f2b8a5e-7c1d-4e6f-9a0b-1c2d3e4f5a6b","application":"your-app-id","action":{action},"timestamp":1752230923000,"from":"{from}","to":"{to}"}}"#
        )
    };
    for ((from, to), expected) in [
        ((Starting, Ready), of("null", "STARTING", "READY")),
        ((Ready, BackingUp), of("\"backup\"", "READY", "PROCESSING")),
        ((BackingUp, Ready), of("\"backup\"", "PROCESSING", "READY")),
        ((Starting, Restoring), of("\"restore\"", "STARTING", "PROCESSING")),
        ((Restoring, Ready), of("\"restore\"", "PROCESSING", "READY")),
    ] {
        assert_eq!(text(&transition(from, to), WireFormat::ActionJson), expected);
    }
}

#[test]
fn cbor_is_a_deterministic_map_with_the_id_as_bytes() {
    let payload = encode(&transition(Ready, Restoring), WireFormat::Cbor).payload;
    let mut expected = vec![0xA5, 0x62];
    expected.extend(b"id\x50");
    expected.extend(ID.as_bytes());
    expected.extend(b"\x6bapplication\x6byour-app-id\x69timestamp\x1b");
    expected.extend(TIME.to_be_bytes());
    expected.extend(b"\x64from\x65READY\x62to\x69RESTORING");
    assert_eq!(payload, expected);

    let mut described = vec![0xD9, 0xD9, 0xF7];
    described.extend(&expected);
    assert_eq!(decode(&record(described)).unwrap(), Decoded::Transition(transition(Ready, Restoring)));
}

#[test]
fn an_event_carries_the_id_as_key_and_its_content_type() {
    for format in WireFormat::ALL {
        let event = encode(&transition(Ready, BackingUp), format);
        assert_eq!(event.key, ID);
        assert_eq!(event.headers.len(), 1);
        assert_eq!(event.headers[0].name, "content-type");
        assert_eq!(event.headers[0].value, format.content_type());
    }
}

#[test]
fn field_order_and_unknown_fields_do_not_matter() {
    let json = r#"{ "to":"BACKING_UP","more":[1,{"x":null}],"from":"READY","timestamp":1752230923000,
        "application":"your-app-id","id":"3F2B8A5E-7C1D-4E6F-9A0B-1C2D3E4F5A6B"}"#;
    assert_eq!(decode(&record(json)).unwrap(), Decoded::Transition(transition(Ready, BackingUp)));
}

#[test]
fn somebody_elses_action_is_told_apart() {
    let json = r#"{"id":"3f2b8a5e-7c1d-4e6f-9a0b-1c2d3e4f5a6b","application":"app","action":"compact","timestamp":1,"from":"READY","to":"PROCESSING"}"#;
    let expected = Decoded::OtherAction { application: "app".into(), action: "compact".into() };
    assert_eq!(decode(&record(json)).unwrap(), expected);
}

#[test]
fn what_is_no_transition_is_refused_with_its_reason() {
    let refused = |payload: &str| decode(&record(payload.to_owned())).unwrap_err().to_string();
    let with = |field: &str, value: &str| {
        let good = r#"{"id":"3f2b8a5e-7c1d-4e6f-9a0b-1c2d3e4f5a6b","application":"a","timestamp":1,"from":"READY","to":"READY"}"#;
        let mut map: serde_json::Map<_, _> = serde_json::from_str(good).unwrap();
        map.insert(field.to_owned(), serde_json::from_str(value).unwrap());
        serde_json::to_string(&map).unwrap()
    };
    assert!(decode(&record(with("extra", "1"))).is_ok());
    for field in ["id", "application", "timestamp", "from", "to"] {
        let message = refused(&with(field, "null"));
        assert_eq!(message, format!("the field `{field}` is missing, null or blank"));
    }
    assert!(refused(&with("application", "\"  \"")).contains("`application` is missing, null or blank"));
    assert!(refused(&with("id", "\"42\"")).contains("`id` holds no UUID"));
    assert!(refused(&with("from", "\"ready\"")).contains("`ready` is no state"));
    assert!(refused(&with("to", "\"PROCESSING\"")).contains("`action` is missing"));
    assert!(refused(&with("timestamp", "9223372036854775808")).contains("`timestamp` is beyond"));
    assert!(refused(&with("timestamp", "-1")).contains("no JSON of ours"));
    let mixed = with("action", "\"backup\"").replace("\"to\":\"READY\"", "\"to\":\"BACKING_UP\"");
    assert!(refused(&mixed).contains("`BACKING_UP` is no state"));
    assert!(refused("{").contains("no JSON of ours"));
    assert_eq!(refused(""), "the value is empty");
    assert!(refused("hello").contains("byte 0x68"));
    assert!(matches!(decode(&Record::new(Position::Offset(0))), Err(DecodeError::NoValue)));
    let mut trailing = encode(&transition(Ready, Ready), WireFormat::Cbor).payload.to_vec();
    trailing.push(0);
    let error = decode(&record(trailing)).unwrap_err().to_string();
    assert!(error.contains("1 bytes follow the map"), "{error}");
}

fn any_legal() -> impl Strategy<Value = BackupTransition> {
    let states = prop::sample::select(BackupState::ALL.to_vec());
    (any::<u128>(), "\\PC{0,40}[^\\s]", 0..=BackupTransition::MAX_TIMESTAMP_MILLIS, states.clone(), states)
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
