//! The reading half.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind, EventSource, Position, Record, Remaining, Result};
use bytes::Bytes;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::builder::NatsSourceBuilder;
use crate::error::{Failure, NatsErrors};
use crate::group::{Group, Session};
use crate::headers;
use crate::link::{Link, api};
use crate::opening::Opening;
use crate::position::{Key, Stored};
use crate::reader::{End, Reader};
use crate::stream::{Delivery, Log, StreamInfo};
use crate::subject::{covers, token_of};

const OPEN: &str = "open the source";
const READ: &str = "read";
const COMMIT: &str = "commit";
const CLAIM: &str = "claim the group";
const REMAINING: &str = "count what remains";

/// How long closing waits for the server to be told.
const FAREWELL: Duration = Duration::from_millis(500);

/// Reads the topic's stream from the group's position, or without a group. Made by [`NatsSourceBuilder::open`].
///
/// The crate's documentation says what it guarantees.
pub struct NatsSource {
    place: Place,
    link: Link,
    log: Log,
    /// Whether the stream stores what the filter leaves out.
    shares_the_stream: bool,
    /// `None` for an observer.
    group: Option<Group>,
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
    /// Whether the connection ended, and nothing was returned since.
    suspicious: bool,
}

impl NatsSource {
    pub(crate) async fn open(builder: NatsSourceBuilder) -> Result<Self> {
        let bucket = builder.nats.bucket_name();
        let key = builder.group.as_deref().map(|group| Key::new(&bucket, builder.key(group)));
        let NatsSourceBuilder { nats, group, start, application, request_timeout, heartbeat } = builder;
        let mut place = Place::new(&*nats.topic);
        place.group = group;
        let token = application.as_deref().map(token_of);
        let filter = format!("{}.{}", nats.topic, token.as_deref().unwrap_or("*"));
        let log = Log { stream: nats.stream_name(), filter };
        let deadline = nats.deadline();
        let link = nats.link(&place, OPEN, deadline).await?;
        let create = nats.create.as_ref().filter(|_| key.is_some());
        let opening = Opening { link: &link, place: &place, operation: OPEN, create, deadline };
        let info = opening.stream(&log.stream, &nats.every_application()).await?;
        let (group, stored) = match key {
            Some(key) => {
                opening.bucket(&bucket).await?;
                let (group, stored) = Group::open(&opening, key, &info, start).await?;
                (Some(group), stored)
            }
            None => (None, Stored::start(&info, start)),
        };
        let mut source = Self {
            shares_the_stream: info.config.subjects.iter().any(|subject| !covers(&log.filter, subject)),
            place,
            link,
            log,
            group,
            request_timeout,
            heartbeat,
            resumed: stored.committed,
            created: Some(stored.stream_created),
            position: stored.sequence,
            lost: None,
            reader: None,
            held: None,
            suspicious: false,
        };
        source.begin(deadline).await.map_err(|failure| source.place.failure(OPEN, failure))?;
        Ok(source)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.request_timeout
    }

    /// Begins to read behind the position, if what comes there is still there. Where it is not, the loss is noted, to be
    /// said next, and there is no reader.
    async fn begin(&mut self, deadline: Instant) -> Result<(), Failure> {
        let from = if self.created.is_some() { self.position + 1 } else { 1 };
        let reader = Reader::begin(&self.link, &self.log, from, self.heartbeat, deadline);
        // The consumer first: it belongs to one stream, and ends with it. So what the stream then says of itself holds for
        // everything that the consumer brings.
        let begun = match reader.await {
            Ok(reader) => self.log.info(&self.link, deadline).await.map(|info| (reader, info)),
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

    /// Whether `Lost` was said, and the session has not begun again since.
    const fn said_lost(&self) -> bool {
        self.created.is_none() && self.lost.is_none()
    }

    /// Waits until the next record is held. Cancel safe: everything that was received stays in the source.
    async fn fill(&mut self) -> Result<()> {
        loop {
            if let Some(lost) = self.lost.take() {
                return Err(lost);
            }
            if let Some(sequence) = self.held.as_ref().map(|held| held.sequence) {
                if sequence <= self.position {
                    self.held = None;
                } else if sequence == self.position + 1 || self.is_a_gap().await? {
                    return Ok(());
                }
            } else if let Some(reader) = &mut self.reader {
                match reader.next(&self.link).await {
                    Ok(delivery) => self.held = Some(delivery),
                    Err(End::Gone) => self.reader = None,
                    Err(End::Failed(failure)) => {
                        self.reader = None;
                        self.suspicious = matches!(failure, Failure::ConnectionLost);
                        return Err(self.place.in_session(READ, failure));
                    }
                }
            } else {
                let deadline = self.deadline();
                let mut begun = self.begin(deadline).await;
                if begun.is_ok() && self.suspicious && self.reader.is_some() {
                    begun = self.fetch_one(deadline).await;
                }
                begun.map_err(|failure| self.place.in_session(READ, failure))?;
            }
        }
    }

    /// Whether what lies between the position and the message in hand is none of ours or was deleted, and not trimmed: only
    /// the stream knows.
    async fn is_a_gap(&mut self) -> Result<bool> {
        let info = self.log.info(&self.link, self.deadline()).await;
        let info = info.map_err(|failure| self.place.in_session(READ, failure))?;
        let loss = self.loss(&info);
        if let Some(why) = &loss {
            self.lose(why);
        }
        Ok(loss.is_none())
    }

    /// Fetches the next message as text, and not as the message that it is.
    ///
    /// The client library ends the connection over a message whose headers it cannot parse, and would again and again. So the
    /// first message after the end of a connection takes this way, which is slower and safe.
    async fn fetch_one(&mut self, deadline: Instant) -> Result<(), Failure> {
        let found = self.log.find(&self.link, self.position, deadline).await?;
        self.suspicious = false;
        if found.is_none() {
            return Ok(());
        }
        // It counts if it is of the stream for which the reader was begun.
        let info = self.log.info(&self.link, deadline).await?;
        if let Some(why) = self.loss(&info) {
            self.lose(&why);
        } else {
            // The reader was not asked for anything yet. The next one begins behind this message.
            (self.held, self.reader) = (found, None);
        }
        Ok(())
    }

    /// Moves over what others have behind the last record of ours, so that a trim of it is not taken for a loss.
    async fn pass_over_others(&mut self, deadline: Instant) -> Result<(), Failure> {
        // In this order: what the stream says first is behind nothing that the second question finds.
        let info = self.log.info(&self.link, deadline).await?;
        let beyond = self.loss(&info).is_none() && info.state.last_seq > self.position;
        if beyond && self.log.find(&self.link, self.position, deadline).await?.is_none() {
            self.position = info.state.last_seq;
        }
        Ok(())
    }

    async fn count(&self, deadline: Instant) -> Result<u64, Failure> {
        let info = self.log.info(&self.link, deadline).await?;
        let behind = if self.loss(&info).is_none() { self.position } else { info.before_first() };
        let beyond = info.state.last_seq.saturating_sub(behind);
        // The last message of the stream may be none of ours, or deleted.
        if beyond == 0 || self.log.find(&self.link, behind, deadline).await?.is_none() {
            return Ok(0);
        }
        Ok(beyond)
    }
}

impl EventSource for NatsSource {
    async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            self.fill().await?;
            let Some(Delivery { sequence, headers, payload }) = self.held.take() else { continue };
            self.position = sequence;
            let (key, headers) = headers::of_message(headers.as_ref());
            let record = Record::new(Position::Offset(sequence)).key(key).headers(headers);
            return Ok(Some(record.payload(payload)));
        }
    }

    async fn commit(&mut self) -> Result<()> {
        if self.group.is_none() {
            return Ok(());
        }
        // After `Lost`, and before anything else was read, nothing is left that could be replayed.
        let Some(stream_created) = self.created.clone() else { return Ok(()) };
        let deadline = self.deadline();
        if self.shares_the_stream {
            match self.pass_over_others(deadline).await {
                Ok(()) => {}
                // As after `Lost`, which the next read says.
                Err(failure) if failure.is(ErrorCode::STREAM_NOT_FOUND) => return Ok(()),
                Err(failure) => return Err(self.place.failure(COMMIT, failure)),
            }
        }
        let target = Stored { stream_created, sequence: self.position, committed: true, application: None };
        let session = Session { link: &self.link, place: &self.place, log: &self.log, operation: COMMIT };
        match &mut self.group {
            Some(group) => group.advance(session, target, deadline).await,
            None => Ok(()),
        }
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        let deadline = self.deadline();
        let session = Session { link: &self.link, place: &self.place, log: &self.log, operation: CLAIM };
        match &mut self.group {
            Some(group) => group.claim(session, application, deadline).await,
            None => Ok(()),
        }
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        match self.count(self.deadline()).await {
            Ok(count) => Ok(count.into()),
            // The next read says that the stream is gone, and this does not (S12).
            Err(failure) if !self.said_lost() && failure.is(ErrorCode::STREAM_NOT_FOUND) => Ok(0.into()),
            Err(failure) => Err(self.place.in_session(REMAINING, failure)),
        }
    }

    async fn close(mut self) -> Result<()> {
        // The server would let the consumer go by itself, only later. Nothing depends on it.
        if let Some(reader) = self.reader.take()
            && self.link.is_connected()
        {
            let subject = api(&format!("CONSUMER.DELETE.{}.{}", self.log.stream, reader.consumer()));
            let farewell = async {
                self.link.client.publish(subject, Bytes::new()).await?;
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
            .field("stream", &self.log.stream)
            .field("position", &self.position)
            .field("resumed", &self.resumed)
            .field("connected", &self.link.is_connected())
            .finish_non_exhaustive()
    }
}
