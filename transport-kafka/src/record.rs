//! What librdkafka fetched, as a record of our own.

use backup_tracker::{Header, Position, Record};
use bytes::Bytes;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use uuid::Uuid;

/// Where it stands. Neither number is negative in a message that was fetched.
pub(crate) fn position(partition: usize, offset: i64) -> Position {
    Position::Partition {
        partition: u32::try_from(partition).unwrap_or_default(),
        offset: u64::try_from(offset).unwrap_or_default(),
    }
}

/// The message without its tie to the consumer.
pub(crate) fn owned(message: &BorrowedMessage<'_>) -> Record {
    let partition = usize::try_from(message.partition()).unwrap_or_default();
    let position = position(partition, message.offset());
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| Header::new(header.key, Bytes::copy_from_slice(header.value.unwrap_or_default())))
            .collect()
    });
    Record::new(position)
        .key(message.key().and_then(uuid_of))
        .headers(headers)
        .payload(message.payload().map(Bytes::copy_from_slice))
}

/// The UUID in a key of 36 characters, as Java's serializer writes it too; the other spellings are somebody else's keys.
fn uuid_of(key: &[u8]) -> Option<Uuid> {
    if key.len() != uuid::fmt::Hyphenated::LENGTH {
        return None;
    }
    Uuid::try_parse_ascii(key).ok()
}
