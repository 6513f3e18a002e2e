//! What stands in the stream: identifiers, and the fields of an entry.

use std::fmt;
use std::str::FromStr;

use backup_tracker::{Event, Header, Position, Record};
use bytes::Bytes;
use redis::Value;
use uuid::Uuid;

const KEY: &str = "key";
const APPLICATION: &str = "application";
const PAYLOAD: &str = "payload";
/// Before a header's name.
const HEADER: &str = "header:";

/// An entry's identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId {
    pub(crate) millis: u64,
    pub(crate) sequence: u64,
}

impl EntryId {
    /// The greatest identifier that is smaller than this one; zero for itself.
    pub(crate) const fn before(self) -> Self {
        match (self.millis, self.sequence) {
            (0, 0) => self,
            (millis, 0) => Self { millis: millis - 1, sequence: u64::MAX },
            (millis, sequence) => Self { millis, sequence: sequence - 1 },
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

/// Text that is no identifier.
#[derive(Debug)]
pub(crate) struct NoEntryId;

impl FromStr for EntryId {
    type Err = NoEntryId;

    fn from_str(text: &str) -> Result<Self, NoEntryId> {
        let (millis, sequence) = text.split_once('-').ok_or(NoEntryId)?;
        let number = |text: &str| text.parse().map_err(|_| NoEntryId);
        Ok(Self { millis: number(millis)?, sequence: number(sequence)? })
    }
}

impl From<EntryId> for Position {
    fn from(id: EntryId) -> Self {
        Self::Entry { millis: id.millis, sequence: id.sequence }
    }
}

/// The fields of an event's entry, names and values in turn.
pub(crate) fn fields(event: &Event) -> Vec<Vec<u8>> {
    let mut fields = vec![
        KEY.into(),
        event.key.hyphenated().to_string().into_bytes(),
        APPLICATION.into(),
        event.application.as_bytes().to_vec(),
    ];
    for header in &event.headers {
        fields.push([HEADER, &header.name].concat().into_bytes());
        fields.push(header.value.to_vec());
    }
    fields.push(PAYLOAD.into());
    fields.push(event.payload.to_vec());
    fields
}

/// The record of an entry, whoever wrote it: of a field that is there twice, other than a header, the first counts, and a
/// field that is not ours counts for nothing.
pub(crate) fn record(id: EntryId, fields: Vec<Value>) -> Record {
    let (mut key, mut payload, mut headers) = (None, None, Vec::new());
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        let (Some(name), Some(value)) = (bytes(name), bytes(value)) else { continue };
        if name == KEY {
            key.get_or_insert(value);
        } else if name == PAYLOAD {
            payload.get_or_insert(value);
        } else if let Some(name) = name.strip_prefix(HEADER.as_bytes()) {
            headers.push(Header::new(String::from_utf8_lossy(name), value));
        }
    }
    let key = key.and_then(|key| Uuid::try_parse_ascii(&key).ok());
    Record::new(id.into()).key(key).headers(headers).payload(payload)
}

/// The value of an entry, which [`record`] would give to its record.
pub(crate) fn payload(fields: &[Value]) -> Option<&[u8]> {
    fields.chunks_exact(2).find_map(|field| match field {
        [Value::BulkString(name), Value::BulkString(value)] if name == PAYLOAD.as_bytes() => Some(&value[..]),
        _ => None,
    })
}

fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(fields: &[&str]) -> Vec<Value> {
        fields.iter().map(|text| Value::BulkString(text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn identifiers_compare_as_numbers_and_count_back() {
        let id = |text: &str| text.parse::<EntryId>().unwrap();
        assert!(id("9-0") < id("10-0"));
        assert!(id("10-9") < id("10-10"));
        assert_eq!(id("7-3").before(), id("7-2"));
        assert_eq!(id("7-0").before(), id("6-18446744073709551615"));
        assert_eq!(id("0-0").before(), id("0-0"));
        assert_eq!(id("1752230923000-4").to_string(), "1752230923000-4");
        for text in ["", "7", "7-", "-7", "a-b", "1-2-3"] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_event_comes_back_from_its_fields() {
        let event = Event::new(Uuid::from_u128(7), "shop", b"\0\xff".as_slice())
            .header("b", "1")
            .header("a", b"\xff".as_slice())
            .header("b", "")
            .header("", "nameless");
        let fields: Vec<Value> = fields(&event).into_iter().map(Value::BulkString).collect();
        assert_eq!(payload(&fields), Some(&event.payload[..]));
        let record = record(EntryId { millis: 1, sequence: 2 }, fields);
        assert_eq!(record.position, Position::Entry { millis: 1, sequence: 2 });
        assert_eq!(record.key, Some(event.key));
        assert_eq!(record.headers, event.headers);
        assert_eq!(record.payload, Some(event.payload));
    }

    #[test]
    fn a_foreign_entry_is_a_record_with_what_can_be_read() {
        let of = |fields: &[&str]| record(EntryId::default(), bulk(fields));
        assert_eq!(of(&[]), Record::new(EntryId::default().into()));
        assert_eq!(of(&["temperature", "21"]), of(&[]));
        assert_eq!(of(&["key", "no UUID", "payload", "x"]).key, None);
        assert_eq!(of(&["payload", "first", "payload", "second"]).payload, Some("first".into()));
        assert_eq!(payload(&bulk(&["payload", "first", "payload", "second"])), Some(&b"first"[..]));
        assert_eq!(payload(&bulk(&["temperature", "payload", "payload"])), None);
        assert_eq!(of(&["key"]), of(&[]));
    }
}
