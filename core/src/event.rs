//! What goes into a log, and what comes out of it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::error::{Delivery, Error, ErrorKind, Result};

/// One header of a record: a name and bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The name, for example `content-type`.
    pub name: String,
    /// The value.
    pub value: Bytes,
}

impl Header {
    /// A header with this name and value.
    pub fn new(name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// What a [`Sink`](crate::Sink) is given to append: bytes, and what it takes to place them.
///
/// A transport moves the payload as it is and never looks into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The event's identity. A retry of the same event keeps it.
    pub key: Uuid,
    /// The ordering key: events of one application keep their order.
    pub application: Arc<str>,
    /// Headers, in order.
    pub headers: Vec<Header>,
    /// The encoded transition.
    pub payload: Bytes,
}

impl Event {
    /// An event without headers.
    pub fn new(key: Uuid, application: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Self {
        Self { key, application: application.into(), headers: Vec::new(), payload: payload.into() }
    }

    /// The event with one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// How many bytes the payload and the headers' names and values have together.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers = self.headers.iter().map(|header| header.name.len() + header.value.len());
        self.payload.len() + headers.sum::<usize>()
    }

    /// Refuses an event whose [`size`](Self::size) is above the limit of a sink (K4).
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::ErrorKind::Rejected) and [`NotSent`](Delivery::NotSent), naming size and limit.
    pub fn check_size(&self, limit: usize) -> Result<()> {
        let size = self.size();
        if size <= limit {
            return Ok(());
        }
        let message = format!("the event has {size} bytes, and the log takes {limit}");
        Err(Error::new(ErrorKind::Rejected, "send", message).with_delivery(Delivery::NotSent))
    }
}

/// What an [`EventSource`](crate::EventSource) found in the log.
///
/// A log may hold anything, not only what our sinks wrote: a record without a key, with a key that is no UUID, or without
/// a value (a tombstone) is a record too, and it is core that decides to skip it (T6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Where in the log it stands.
    pub position: Position,
    /// The event's identity, where the record carries a UUID.
    pub key: Option<Uuid>,
    /// Headers, in order.
    pub headers: Vec<Header>,
    /// The value; `None` for a record without one.
    pub payload: Option<Bytes>,
    /// How many records of other applications this one stands for, the last of them at `position`; 0 for a record as the log
    /// has it. See [`EventSource::leave_out`](crate::EventSource::leave_out).
    pub left_out: u64,
}

impl Record {
    /// A record with neither key, headers nor value.
    #[must_use]
    pub fn new(position: Position) -> Self {
        Self { position, key: None, headers: Vec::new(), payload: None, left_out: 0 }
    }

    /// So many records of other applications, one after the other in one partition, the last of which stands here.
    #[must_use]
    pub fn left_out(position: Position, count: u64) -> Self {
        Self { left_out: count, ..Self::new(position) }
    }

    /// The record with this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Option<Uuid>>) -> Self {
        self.key = key.into();
        self
    }

    /// The record with these headers.
    #[must_use]
    pub fn headers(mut self, headers: Vec<Header>) -> Self {
        self.headers = headers;
        self
    }

    /// The record with this value.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Option<Bytes>>) -> Self {
        self.payload = payload.into();
        self
    }
}

/// Where a record stands in its log, in the words of the broker: for people and for logs, not for arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Position {
    /// One sequence of numbers: `offset 42`.
    Offset(u64),
    /// One sequence in each partition: `partition 3, offset 42`.
    Partition {
        /// The partition's number.
        partition: u32,
        /// The offset in it.
        offset: u64,
    },
    /// A time in milliseconds and a number within it: `entry 1752230923000-0`.
    Entry {
        /// Milliseconds since the epoch, by the broker's clock.
        millis: u64,
        /// The number within the millisecond.
        sequence: u64,
    },
}

impl Position {
    /// The number of the partition; 0 in a log without partitions.
    #[must_use]
    pub const fn partition(self) -> usize {
        match self {
            Self::Partition { partition, .. } => partition as usize,
            Self::Offset(_) | Self::Entry { .. } => 0,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(offset) => write!(f, "offset {offset}"),
            Self::Partition { partition, offset } => {
                write!(f, "partition {partition}, offset {offset}")
            }
            Self::Entry { millis, sequence } => write!(f, "entry {millis}-{sequence}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_and_headers_count_and_nothing_else() {
        let event = Event::new(Uuid::nil(), "shop", "12345").header("abc", "1").header("", vec![0; 10]);
        assert_eq!(event.size(), 5 + 3 + 1 + 10);
        assert!(event.check_size(19).is_ok());
        let error = event.check_size(18).unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Rejected, Delivery::NotSent));
        assert!(error.message().contains("19") && error.message().contains("18"), "{error}");
    }
}
