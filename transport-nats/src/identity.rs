//! Which log a position is a place in (S12).
//!
//! The time at which the server stored a message stays with it: through restarts, on every replica, and in a backup of the
//! stream. No other message has both its sequence and its time. The time at which a stream was created does not tell as much: it
//! stays the same when the end of the stream is lost and written again, and servers 2.10 to 2.12 change it at a restart after an
//! edit. So it decides only where the message at the position is not known, or is not there any more.

use tokio::time::Instant;

use crate::error::Failure;
use crate::link::Link;
use crate::stream::{Log, StreamInfo};

/// A place in a stream: behind a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bookmark {
    /// When the stream was created, in the server's words.
    pub(crate) created: String,
    /// The sequence of the message.
    pub(crate) sequence: u64,
    /// When the server stored it, in nanoseconds since 1970; `None` where that is not known.
    pub(crate) time: Option<i64>,
}

impl Bookmark {
    /// Before the first message that the stream still holds.
    pub(crate) fn earliest(info: &StreamInfo) -> Self {
        Self { created: info.created.clone(), sequence: info.before_first(), time: None }
    }

    /// Behind the last message of the stream.
    pub(crate) async fn latest(
        log: &Log,
        link: &Link,
        info: &StreamInfo,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let sequence = info.state.last_seq;
        let time =
            if sequence > info.before_first() { log.time_of(link, sequence, deadline).await? } else { None };
        Ok(Self { created: info.created.clone(), sequence, time })
    }

    /// Whether it is a place in this stream as it is now.
    pub(crate) async fn belongs_to(
        &self,
        log: &Log,
        link: &Link,
        info: &StreamInfo,
        deadline: Instant,
    ) -> Result<bool, Failure> {
        if self.sequence > info.state.last_seq {
            return Ok(false);
        }
        if let Some(time) = self.time
            && self.sequence > info.before_first()
            && let Some(found) = log.time_of(link, self.sequence, deadline).await?
        {
            return Ok(found == time);
        }
        Ok(self.created == info.created)
    }

    /// Why the messages behind it cannot be had; `None` when they can. The message is looked at where `suspicious`, and where the
    /// stream seems to be another one.
    pub(crate) async fn loss(
        &self,
        log: &Log,
        link: &Link,
        info: &StreamInfo,
        suspicious: bool,
        deadline: Instant,
    ) -> Result<Option<String>, Failure> {
        let same_time = self.created == info.created;
        if same_time && let Some(why) = self.out_of_bounds(info) {
            return Ok(Some(why));
        }
        if (suspicious || !same_time) && !self.belongs_to(log, link, info, deadline).await? {
            return Ok(Some(if same_time {
                format!("another message stands at {} now: the end of the stream was lost", self.sequence)
            } else {
                format!("the stream was created anew at {}", info.created)
            }));
        }
        Ok(self.out_of_bounds(info))
    }

    fn out_of_bounds(&self, info: &StreamInfo) -> Option<String> {
        let (first, last) = (info.before_first() + 1, info.state.last_seq);
        if first > self.sequence + 1 {
            return Some(format!("the stream begins at {first}, and {} was the next", self.sequence + 1));
        }
        if last < self.sequence {
            return Some(format!("the stream ends at {last}, and had {} before", self.sequence));
        }
        None
    }
}
