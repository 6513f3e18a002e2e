//! The reading half.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::RawMessage;
use backup_tracker::{Error, ErrorKind, EventSource, Position, Record, Result, StartAt};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::config::NatsSourceBuilder;
use crate::error::{Failure, Place};
use crate::headers;
use crate::link::{Link, api};
use crate::position::{Held, Key, Stored, Written};
use crate::reader::{Delivery, End, Reader};
use crate::stream::{Opening, StreamInfo};
use crate::subject::token_of;

const OPEN: &str = "open the source";
const READ: &str = "read";
const COMMIT: &str = "commit";
const REMAINING: &str = "count what remains";

/// How often a write is tried that others are faster than.
const CONFLICTS: usize = 32;
/// How long closing waits for the server to be told.
const FAREWELL: Duration = Duration::from_millis(500);

/// Reads the topic's stream from the group's position. Made by [`NatsSourceBuilder::open`].
///
/// The crate's documentation says what it guarantees.
pub struct NatsSource {
    place: Place,
    link: Link,
    stream: String,
    filter: String,
    key: Key,
    request_timeout: Duration,
    heartbeat: Duration,
    resumed: bool,
    /// The stream that the position is in. None after `Lost`: whatever there is, from its beginning.
    created: Option<String>,
    /// The sequence of the last message that `next` has returned, or the one before the start.
    position: u64,
    lost: Option<Error>,
    reader: Option<Reader>,
    /// A message that was taken from the reader and is not yet known to be the next one.
    held: Option<Delivery>,
    /// What the group's key held when it was last read or written, and its revision.
    stored: Option<(Stored, u64)>,
}

impl NatsSource {
    pub(crate) async fn open(builder: NatsSourceBuilder) -> Result<Self> {
        let key = Key::new(&builder.nats.bucket_name(), builder.key());
        let NatsSourceBuilder { nats, group, start, application, request_timeout, heartbeat } = builder;
        let place = Place { topic: nats.topic.clone(), group: Some(group) };
        let stream = nats.stream_name();
        let filter = match application {
            Some(application) => format!("{}.{}", nats.topic, token_of(&application)),
            None => format!("{}.*", nats.topic),
        };
        let deadline = nats.deadline();
        let link = nats.link(&place, OPEN, deadline).await?;
        let create = nats.create.as_ref();
        let opening = Opening { link: &link, place: &place, operation: OPEN, create, deadline };
        let info = opening.stream(&stream, &filter).await?;
        opening.bucket(&nats.bucket_name()).await?;
        let (stored, revision) = position_of_group(&opening, &key, &info, start).await?;
        let mut source = Self {
            place,
            link,
            stream,
            filter,
            key,
            request_timeout,
            heartbeat,
            resumed: stored.committed,
            created: Some(stored.stream_created.clone()),
            position: stored.sequence,
            lost: None,
            reader: None,
            held: None,
            stored: Some((stored, revision)),
        };
        source.begin(deadline).await.map_err(|failure| source.place.failure(OPEN, failure))?;
        Ok(source)
    }

    /// Begins to read behind the position, if what comes there is still there. Where it is not, the loss is noted, to be
    /// said next, and there is no reader.
    async fn begin(&mut self, deadline: Instant) -> Result<(), Failure> {
        let from = if self.created.is_some() { self.position + 1 } else { 1 };
        let reader = Reader::begin(&self.link, &self.stream, &self.filter, from, self.heartbeat, deadline);
        // The consumer first: it belongs to one stream, and ends with it. So what the stream then says of itself holds for
        // everything that the consumer brings.
        let begun = match reader.await {
            Ok(reader) => StreamInfo::get(&self.link, &self.stream, deadline).await.map(|info| (reader, info)),
            Err(failure) => Err(failure),
        };
        match begun {
            Ok((reader, info)) => {
                if self.created.is_none() {
                    (self.position, self.created) = (info.before_first(), Some(info.created));
                } else if let Some(why) = self.loss(&info) {
                    self.lose(&why);
                    return Ok(());
                }
                self.reader = Some(reader);
                Ok(())
            }
            Err(failure) if self.created.is_some() && failure.is(ErrorCode::STREAM_NOT_FOUND) => {
                self.lose("the stream was deleted");
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Why the record behind the position cannot be had any more.
    fn loss(&self, info: &StreamInfo) -> Option<String> {
        if self.created.as_ref() != Some(&info.created) {
            return Some(format!("the stream was created anew at {}", info.created));
        }
        let (first, last) = (info.before_first() + 1, info.state.last_seq);
        if info.before_first() > self.position {
            return Some(format!("the stream begins at {first}, and {} was the next", self.position + 1));
        }
        if last < self.position {
            return Some(format!("the stream ends at {last}, and had {} before", self.position));
        }
        None
    }

    fn lose(&mut self, why: &str) {
        let message = format!("records at the position are gone: {why}; going on at the earliest");
        self.lost = Some(self.place.error(ErrorKind::Lost, READ, message));
        (self.created, self.position, self.resumed) = (None, 0, false);
        (self.reader, self.held) = (None, None);
    }

    /// The next message that is a record, without being taken. Whatever it has when it is dropped, it keeps.
    async fn fill(&mut self) -> Result<()> {
        loop {
            if let Some(lost) = self.lost.take() {
                return Err(lost);
            }
            if self.reader.is_none() {
                let deadline = Instant::now() + self.request_timeout;
                self.begin(deadline).await.map_err(|failure| self.place.failure(READ, failure))?;
                continue;
            }
            if let Some(held) = &self.held {
                if held.sequence == self.position + 1 {
                    return Ok(());
                }
                if held.sequence > self.position {
                    // Others' subjects and deleted messages leave gaps, and so does a trim: only the stream knows.
                    let deadline = Instant::now() + self.request_timeout;
                    let info = StreamInfo::get(&self.link, &self.stream, deadline).await;
                    let info = info.map_err(|failure| self.place.failure(READ, failure))?;
                    match self.loss(&info) {
                        None => return Ok(()),
                        Some(why) => self.lose(&why),
                    }
                } else {
                    self.held = None;
                }
                continue;
            }
            let Some(reader) = &mut self.reader else { continue };
            match reader.next(&self.link).await {
                Ok(delivery) => self.held = Some(delivery),
                Err(End::Gone) => self.reader = None,
                Err(End::Failed(failure)) => {
                    self.reader = None;
                    return Err(self.place.failure(READ, failure));
                }
            }
        }
    }

    /// Whether the stream holds a message for this source behind this sequence.
    async fn holds_more(&self, behind: u64, deadline: Instant) -> Result<bool, Failure> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(rename = "message")]
            _message: RawMessage,
        }
        let question = json!({ "seq": behind + 1, "next_by_subj": self.filter }).to_string();
        let what = format!("STREAM.MSG.GET.{}", self.stream);
        match self.link.ask::<Found>(&what, question.into(), deadline).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is(ErrorCode::NO_MESSAGE_FOUND) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn count(&self, deadline: Instant) -> Result<u64, Failure> {
        let info = StreamInfo::get(&self.link, &self.stream, deadline).await?;
        let behind = if self.loss(&info).is_none() { self.position } else { info.before_first() };
        let beyond = info.state.last_seq.saturating_sub(behind);
        // The last message of the stream may be none of ours, or deleted.
        if beyond == 0 || !self.holds_more(behind, deadline).await? {
            return Ok(0);
        }
        Ok(beyond)
    }

    /// Moves the group's position, unless it is there or beyond already.
    async fn advance(&mut self, target: Stored, deadline: Instant) -> Result<()> {
        for _ in 0..CONFLICTS {
            // Taken out: until this ends well, nobody knows what the key holds.
            let (value, revision) = match self.stored.take() {
                Some((stored, revision)) => (Some(stored), revision),
                None => self.read_position(deadline).await?,
            };
            if let Some(stored) = value
                && !self.may_move(&stored, &target, deadline).await?
            {
                self.stored = Some((stored, revision));
                return Ok(());
            }
            debug!(?target, revision, "moving the position");
            match self.key.write(&self.link, &target, revision, deadline).await {
                Ok(Written::Done { revision }) => {
                    self.stored = Some((target, revision));
                    return Ok(());
                }
                Ok(Written::Conflict) => {}
                Err(failure) => return Err(self.explain(failure, deadline).await),
            }
        }
        let message = format!("others wrote the position first, {CONFLICTS} times in a row");
        Err(self.place.error(ErrorKind::Unavailable, COMMIT, message))
    }

    async fn read_position(&self, deadline: Instant) -> Result<(Option<Stored>, u64)> {
        let held = self.key.read(&self.link, deadline).await;
        let Held { value, revision } = held.map_err(|failure| self.place.failure(COMMIT, failure))?;
        let stored = value.map(|value| self.key.parse(&value, &self.place, COMMIT)).transpose()?;
        Ok((stored, revision))
    }

    /// Whether the target is not behind what is stored (S5). What is stored may be another replica's.
    async fn may_move(&self, stored: &Stored, target: &Stored, deadline: Instant) -> Result<bool> {
        if stored.stream_created == target.stream_created {
            return Ok(stored.sequence <= target.sequence);
        }
        // One of them speaks of a stream that is gone; a position there is worth nothing.
        let info = StreamInfo::get(&self.link, &self.stream, deadline).await;
        let info = info.map_err(|failure| self.place.failure(COMMIT, failure))?;
        Ok(info.created == target.stream_created)
    }

    async fn explain(&self, failure: Failure, deadline: Instant) -> Error {
        if let Failure::NoResponders(_) = failure
            && let Err(missing) = StreamInfo::get(&self.link, self.key.stream(), deadline).await
            && missing.is(ErrorCode::STREAM_NOT_FOUND)
        {
            let message = format!("there is no bucket `{}` any more", self.key.bucket());
            return self.place.error(ErrorKind::NotFound, COMMIT, message);
        }
        self.place.failure(COMMIT, failure)
    }
}

/// The group's position, or its start if it is new, which is then fixed (S8). It is written in any case, so that a user who
/// may not is told now and not at the first commit.
async fn position_of_group(
    opening: &Opening<'_>,
    key: &Key,
    info: &StreamInfo,
    start: StartAt,
) -> Result<(Stored, u64)> {
    let Opening { link, place, operation, deadline, .. } = *opening;
    for _ in 0..CONFLICTS {
        let held = key.read(link, deadline).await.map_err(|failure| opening.failure(failure))?;
        let stored = match held.value {
            Some(value) => key.parse(&value, place, operation)?,
            None => {
                let sequence = match start {
                    StartAt::Earliest => info.before_first(),
                    StartAt::Latest => info.state.last_seq,
                };
                Stored { stream_created: info.created.clone(), sequence, committed: false }
            }
        };
        match key.write(link, &stored, held.revision, deadline).await {
            Ok(Written::Done { revision }) => return Ok((stored, revision)),
            Ok(Written::Conflict) => {}
            Err(failure) => return Err(opening.failure(failure)),
        }
    }
    let message = format!("others wrote the position first, {CONFLICTS} times in a row");
    Err(opening.error(ErrorKind::Unavailable, message))
}

impl EventSource for NatsSource {
    async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            self.fill().await?;
            let Some(Delivery { sequence, message }) = self.held.take() else { continue };
            self.position = sequence;
            let (key, headers) = headers::of_message(message.headers.as_ref());
            let record = Record::new(Position::Offset(sequence)).key(key).headers(headers);
            return Ok(Some(record.payload(message.payload)));
        }
    }

    async fn commit(&mut self) -> Result<()> {
        // After `Lost`, and before anything else was read, nothing is left that could be replayed.
        let Some(created) = self.created.clone() else { return Ok(()) };
        let target = Stored { stream_created: created, sequence: self.position, committed: true };
        let deadline = Instant::now() + self.request_timeout;
        self.advance(target, deadline).await
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    async fn remaining(&mut self) -> Result<u64> {
        let deadline = Instant::now() + self.request_timeout;
        self.count(deadline).await.map_err(|failure| self.place.failure(REMAINING, failure))
    }

    async fn close(mut self) -> Result<()> {
        // The server would let the consumer go by itself, only later. Nothing depends on it.
        if let Some(reader) = self.reader.take()
            && self.link.is_connected()
        {
            let subject = api(&format!("CONSUMER.DELETE.{}.{}", self.stream, reader.consumer()));
            let farewell = async {
                self.link.client.publish(subject, bytes::Bytes::new()).await?;
                self.link.client.flush().await?;
                Ok::<_, async_nats::Error>(())
            };
            let told = timeout(FAREWELL, farewell).await;
            debug!(?told, "closing");
        }
        Ok(())
    }
}

impl fmt::Debug for NatsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSource")
            .field("topic", &self.place.topic)
            .field("group", &self.place.group)
            .field("stream", &self.stream)
            .field("position", &self.position)
            .field("resumed", &self.resumed)
            .field("connected", &self.link.is_connected())
            .finish_non_exhaustive()
    }
}
