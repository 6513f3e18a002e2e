//! Whether a payload is about another application, found out without parsing what is not ours.

use std::sync::Arc;

/// Before and behind the id, as every writer of the JSON formats has it.
const JSON_ID: &[u8] = b"{\"id\":\"";
const JSON_APPLICATION: &[u8] = b"\",\"application\":\"";
/// How long an id is as text.
const ID_TEXT: usize = 36;
/// The beginning of a map of five, its first key `id`, and the beginning of a byte string of 16.
const CBOR_ID: &[u8] = &[0xA5, 0x62, b'i', b'd', 0x50];
const CBOR_APPLICATION: &[u8] = b"\x6bapplication";
const ID_BYTES: usize = 16;

/// Tells which payloads are certainly about other applications than one.
///
/// It looks for the application's name where the writers of the formats put it, and at nothing behind that. So a payload of
/// another application may be broken further on, and is not noticed to be; and one that is written in another way, or has escapes
/// in the name, is not recognised, and has to be [decoded](super::decode).
///
/// ```
/// use backup_tracker::wire::Others;
///
/// let others = Others::than("shop");
/// let head = r#"{"id":"00000000-0000-0000-0000-000000000007","application":""#;
/// assert!(others.wrote(format!(r#"{head}maps","timestamp":0,"from":"READY","to":"BACKING_UP"}}"#).as_bytes()));
/// assert!(!others.wrote(format!(r#"{head}shop","timestamp":0,"from":"READY","to":"BACKING_UP"}}"#).as_bytes()));
/// assert!(!others.wrote(b"anything else"));
/// ```
#[derive(Clone, Debug)]
pub struct Others(Arc<str>);

impl Others {
    /// All applications but this one.
    pub fn than(application: impl Into<Arc<str>>) -> Self {
        Self(application.into())
    }

    /// Whether one of them certainly wrote this payload.
    #[must_use]
    pub fn wrote(&self, payload: &[u8]) -> bool {
        in_json(payload).or_else(|| in_cbor(payload)).is_some_and(|name| {
            // A blank name is nobody's.
            name != self.0.as_bytes() && name.first().is_some_and(u8::is_ascii_graphic)
        })
    }
}

fn in_json(payload: &[u8]) -> Option<&[u8]> {
    let rest = payload.strip_prefix(JSON_ID)?.get(ID_TEXT..)?.strip_prefix(JSON_APPLICATION)?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (rest[end] == b'"').then(|| &rest[..end])
}

fn in_cbor(payload: &[u8]) -> Option<&[u8]> {
    let rest = payload.strip_prefix(CBOR_ID)?.get(ID_BYTES..)?.strip_prefix(CBOR_APPLICATION)?;
    let (length, rest) = match *rest.first()? {
        short @ 0x60..=0x77 => (short - 0x60, &rest[1..]),
        0x78 => (*rest.get(1)?, &rest[2..]),
        _ => return None,
    };
    rest.get(..length.into())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::{Position, Record};
    use crate::state::BackupState;
    use crate::transition::BackupTransition;
    use crate::wire::{WireFormat, decode, encode};

    fn payload(application: &str, format: WireFormat) -> bytes::Bytes {
        let (from, to) = (BackupState::Ready, BackupState::BackingUp);
        encode(&BackupTransition::new(Uuid::from_u128(7), application, 1, from, to), format).payload
    }

    #[test]
    fn what_others_write_is_recognised_in_every_format_and_what_is_ours_never() {
        let long = "l".repeat(200);
        for format in WireFormat::ALL {
            for application in ["shop", "shopping", "sho", "ä shop", &long] {
                let written = payload(application, format);
                assert!(!Others::than(application).wrote(&written), "{application} in {format:?}");
                assert_eq!(
                    Others::than("another").wrote(&written),
                    application.is_ascii(),
                    "{application} in {format:?}"
                );
            }
        }
    }

    #[test]
    fn a_name_that_begins_or_ends_as_ours_is_another() {
        for format in WireFormat::ALL {
            for (ours, theirs) in
                [("shop", "shopping"), ("shopping", "shop"), ("shop", "Shop"), ("op", "shop")]
            {
                assert!(Others::than(ours).wrote(&payload(theirs, format)), "{theirs} in {format:?}");
            }
        }
    }

    #[test]
    fn a_name_with_escapes_is_left_to_the_decoder() {
        let written = r#"{"id":"00000000-0000-0000-0000-000000000007","application":"sh\u006fp","timestamp":0,"from":"READY","to":"READY"}"#;
        assert!(!Others::than("shop").wrote(written.as_bytes()));
        assert!(decode(&Record::new(Position::Offset(0)).payload(bytes::Bytes::from(written))).is_ok());
    }

    #[test]
    fn what_is_cut_short_or_nameless_is_left_to_the_decoder() {
        for format in WireFormat::ALL {
            let written = payload("maps", format);
            let others = Others::than("shop");
            let shortest = (0..written.len()).find(|length| others.wrote(&written[..*length]));
            // As soon as the name is whole.
            let name = written.windows(4).position(|window| window == b"maps").unwrap();
            let end = name + 4 + usize::from(format != WireFormat::Cbor);
            assert_eq!(shortest, Some(end), "{format:?}");
            assert!(!others.wrote(&payload(" ", format)));
        }
    }
}
