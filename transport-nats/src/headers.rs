//! What of an event travels in a message's headers.
//!
//! NATS headers are text, without order between names and without blanks at the ends of values; the client library keeps
//! them in a hash map. So the exact list travels in one header of ours, and those that plain headers can carry are
//! copied to such, for people and for programs in other languages.

use std::str::FromStr;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use backup_tracker::{Event, Header};
use bytes::Bytes;
use uuid::Uuid;

use crate::subject::{escape, unescape};

/// The event's key. The server stores a second message with the same value within the stream's window only once.
const KEY: &str = "Nats-Msg-Id";
/// The stream that must store it.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// The event's headers, all of them, exactly: `name:value,name:value`, each escaped like a subject token.
pub(crate) const HEADERS: &str = "Backup-Tracker-Headers";

/// The headers of a message that carries this event to this stream.
pub(crate) fn of_event(event: &Event, stream: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(KEY, event.key.hyphenated().to_string());
    map.insert(EXPECTED_STREAM, stream);
    if !event.headers.is_empty() {
        map.insert(HEADERS, encode(&event.headers));
    }
    for header in &event.headers {
        if let Some((name, value)) = plain(header) {
            map.append(name, value);
        }
    }
    map
}

/// Key and headers of a message that somebody has stored.
pub(crate) fn of_message(map: Option<&HeaderMap>) -> (Option<Uuid>, Vec<Header>) {
    let Some(map) = map else { return (None, Vec::new()) };
    let key = map.get(KEY).and_then(|key| Uuid::try_parse(key.as_str()).ok());
    let headers = map.get(HEADERS).and_then(|text| decode(text.as_str()));
    (key, headers.unwrap_or_else(|| foreign(map)))
}

/// What a message's headers take on the wire.
pub(crate) fn size(map: &HeaderMap) -> usize {
    let line = |name: &HeaderName, value: &HeaderValue| {
        AsRef::<str>::as_ref(name).len() + ": ".len() + value.as_str().len() + "\r\n".len()
    };
    let lines = map.iter().flat_map(|(name, values)| values.iter().map(move |value| line(name, value)));
    "NATS/1.0\r\n".len() + lines.sum::<usize>() + "\r\n".len()
}

fn encode(headers: &[Header]) -> String {
    let pair = |header: &Header| format!("{}:{}", escape(header.name.as_bytes()), escape(&header.value));
    headers.iter().map(pair).collect::<Vec<_>>().join(",")
}

fn decode(text: &str) -> Option<Vec<Header>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once(':')?;
        let name = String::from_utf8(unescape(name)?).ok()?;
        Some(Header::new(name, unescape(value)?))
    };
    text.split(',').map(pair).collect()
}

/// The copy of a header that plain headers can carry. Names of the server and of ours are not to be had.
fn plain(header: &Header) -> Option<(HeaderName, HeaderValue)> {
    let reserved = ["nats-", "backup-tracker-"];
    let name = header.name.to_ascii_lowercase();
    let sound = |c: char| c.is_ascii_graphic() && c != ':';
    if name.is_empty() || !name.chars().all(sound) || reserved.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let value = std::str::from_utf8(&header.value).ok()?;
    if value.trim() != value || value.chars().any(char::is_control) {
        return None;
    }
    Some((HeaderName::from_str(&header.name).ok()?, HeaderValue::from_str(value).ok()?))
}

/// The headers of a message that no sink of ours wrote. The order between names is lost, so they are sorted.
fn foreign(map: &HeaderMap) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    for (name, values) in map.iter() {
        let name: &str = name.as_ref();
        if !name.starts_with("Nats-") {
            let value = |value: &HeaderValue| Bytes::copy_from_slice(value.as_str().as_bytes());
            headers.extend(values.iter().map(|text| Header::new(name, value(text))));
        }
    }
    headers.sort_by(|one, other| one.name.cmp(&other.name));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event::new(Uuid::from_u128(7), "shop", "payload")
            .header("content-type", "application/cbor")
            .header("trace", "2")
            .header("empty", "")
            .header("trace", "1")
            .header("", "no name")
            .header("größe", "groß")
            .header("Nats-Msg-Id", "mine")
            .header("lines", "one\r\ntwo\0")
            .header("blank", " at the ends ")
            .header("bytes", (0..=u8::MAX).collect::<Vec<_>>())
    }

    #[test]
    fn key_and_headers_come_back_exactly() {
        let map = of_event(&event(), "backups");
        let (key, headers) = of_message(Some(&map));
        assert_eq!(key, Some(Uuid::from_u128(7)));
        assert_eq!(headers, event().headers);
    }

    #[test]
    fn what_plain_headers_can_carry_is_copied_and_nothing_else() {
        let map = of_event(&event(), "backups");
        let value = |name: &str| map.get(name).map(|value| value.as_str().to_owned());
        assert_eq!(value("content-type").as_deref(), Some("application/cbor"));
        assert_eq!(map.get_all("trace").count(), 2);
        assert_eq!(value("Nats-Msg-Id"), Some(Uuid::from_u128(7).to_string()));
        for name in ["lines", "blank", "bytes"] {
            assert_eq!(value(name), None, "{name}");
        }
    }

    #[test]
    fn a_foreign_message_gives_what_it_has() {
        let mut map = HeaderMap::new();
        map.insert("Nats-Msg-Id", "no UUID");
        map.insert("b", "2");
        map.insert("a", "1");
        map.insert(HEADERS, "not: what we write");
        let (key, headers) = of_message(Some(&map));
        assert_eq!(key, None);
        let names: Vec<_> = headers.iter().map(|header| &*header.name).collect();
        assert_eq!(names, [HEADERS, "a", "b"]);
        assert_eq!(of_message(None), (None, Vec::new()));
    }

    #[test]
    fn the_size_is_that_of_the_wire() {
        let mut map = HeaderMap::new();
        map.insert("a", "1");
        map.append("a", "22");
        assert_eq!(size(&map), "NATS/1.0\r\na: 1\r\na: 22\r\n\r\n".len());
    }
}
