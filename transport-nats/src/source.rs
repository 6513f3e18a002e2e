//! The reading half.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind, EventSource, Position, Record, Remaining, Result, StartAt};
use bytes::Bytes;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::builder::NatsSourceBuilder;
use crate::error::{Failure, NatsErrors};
use crate::group::{Group, Session};
use crate::headers;
use crate::identity::Bookmark;
use crate::link::Link;
use crate::opening::Opening;
use crate::position::{Key, Stored};
use crate::reader::{End, Heard, Reader, Wanted};
use crate::stream::{Delivery, Log, StreamInfo};
use crate::subject::{covers, token_of};

const OPEN: &str = "open the source";
const READ: &str = "read";
const COMMIT: &str = "commit";
const CLAIM: &str = "claim the group";
const REMAINING: &str = "count what remains";

/// Which part of the contact time an attempt to begin to read may take.
const ATTEMPT: f64 = 0.9;
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
    contact_time: Duration,
    /// How long the stream lets its consumers be idle at most.
    longest_idle: Option<Duration>,
    resumed: bool,
    /// Behind the last message that `next` has returned, or before the start.
    at: Bookmark,
    /// Whether the session has begun again, after a loss, and nothing was returned since.
    afresh: bool,
    lost: Option<Error>,
    reader: Option<Reader>,
    /// A message that was taken from the reader and is not yet known to be the next one.
    held: Option<Delivery>,
    /// Whether the connection ended, and nothing was returned since.
    suspicious: bool,
    /// Behind which position the stream was seen to hold messages that did not come, and up to where it is known that none of them
    /// is ours.
    overdue: Option<u64>,
    none_until: u64,
}

impl NatsSource {
    pub(crate) async fn open(builder: NatsSourceBuilder) -> Result<Self> {
        let bucket = builder.nats.bucket_name();
        let key = builder.group.as_deref().map(|group| Key::new(&bucket, builder.key(group)));
        let NatsSourceBuilder { nats, group, start, application, request_timeout, contact_time } = builder;
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
        let start = match start {
            StartAt::Earliest => Ok(Bookmark::earliest(&info)),
            StartAt::Latest => Bookmark::latest(&log, &link, &info, deadline).await,
        };
        let start = start.map_err(|failure| opening.failure(failure))?;
        let (group, resumed, at) = match key {
            Some(key) => {
                opening.bucket(&bucket).await?;
                let (group, stored) = Group::open(&opening, key, start).await?;
                (Some(group), stored.committed, stored.bookmark())
            }
            None => (None, false, start),
        };
        let limits = info.config.consumer_limits.as_ref();
        let mut source = Self {
            shares_the_stream: info.config.subjects.iter().any(|subject| !covers(&log.filter, subject)),
            longest_idle: limits.map(|limits| limits.inactive_threshold).filter(|idle| !idle.is_zero()),
            place,
            link,
            log,
            group,
            request_timeout,
            contact_time,
            resumed,
            at,
            afresh: false,
            lost: None,
            reader: None,
            held: None,
            suspicious: false,
            overdue: None,
            none_until: 0,
        };
        source.begin(deadline).await.map_err(|failure| source.place.failure(OPEN, failure))?;
        Ok(source)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.request_timeout
    }

    /// The sequence of the last message that `next` has returned, or the one before the start.
    const fn position(&self) -> u64 {
        self.at.sequence
    }

    /// Begins to read behind the position, if what comes there is still there. Where it is not, the loss is noted, to be
    /// said next, and there is no reader.
    async fn begin(&mut self, deadline: Instant) -> Result<(), Failure> {
        let wanted = Wanted {
            log: &self.log,
            from: self.position() + 1,
            contact_time: self.contact_time,
            longest_idle: self.longest_idle,
        };
        // The consumer first: it belongs to one stream, and ends with it. So what the stream then says of itself holds for
        // everything that the consumer brings.
        let reader = Reader::begin(&self.link, wanted, deadline).await?;
        let info = self.log.info(&self.link, deadline).await?;
        if !self.is_lost(&info, true, deadline).await? {
            self.reader = Some(reader);
        }
        Ok(())
    }

    /// Whether the record behind the position cannot be had any more. Then that is said next.
    async fn is_lost(
        &mut self,
        info: &StreamInfo,
        suspicious: bool,
        deadline: Instant,
    ) -> Result<bool, Failure> {
        match self.loss(info, suspicious, deadline).await? {
            None => Ok(false),
            Some(why) => {
                self.lose(&why, info);
                Ok(true)
            }
        }
    }

    /// Why the record behind the position cannot be had any more.
    async fn loss(
        &mut self,
        info: &StreamInfo,
        suspicious: bool,
        deadline: Instant,
    ) -> Result<Option<String>, Failure> {
        let loss = self.at.loss(&self.log, &self.link, info, suspicious, deadline).await?;
        if loss.is_none() {
            // The same stream, whatever the server says of its age.
            self.at.created.clone_from(&info.created);
        }
        Ok(loss)
    }

    fn lose(&mut self, why: &str, info: &StreamInfo) {
        let message = format!("records at the position are gone: {why}; going on at the earliest");
        self.lost = Some(self.place.error(ErrorKind::Lost, READ, message));
        (self.at, self.afresh, self.resumed) = (Bookmark::earliest(info), true, false);
        (self.reader, self.held) = (None, None);
        (self.overdue, self.none_until) = (None, 0);
    }

    /// Waits until the next record is held. Cancel safe: everything that was received stays in the source.
    async fn fill(&mut self) -> Result<()> {
        loop {
            if let Some(lost) = self.lost.take() {
                return Err(lost);
            }
            if let Some(sequence) = self.held.as_ref().map(|held| held.sequence) {
                if sequence <= self.position() {
                    self.held = None;
                } else if sequence == self.position() + 1 || self.is_a_gap().await? {
                    return Ok(());
                }
            } else if let Some(reader) = &mut self.reader {
                match reader.next(&self.link).await {
                    Ok(Heard::Message(delivery)) => self.held = Some(delivery),
                    Ok(Heard::Leader(info)) => {
                        let looked = self.compare(&info).await;
                        looked.map_err(|failure| self.place.in_session(READ, failure))?;
                    }
                    Err(end) => self.end(end).await?,
                }
            } else {
                // Within the contact time it must be known whether anybody is there.
                let deadline = Instant::now() + self.contact_time.mul_f64(ATTEMPT);
                let mut begun = self.begin(deadline).await;
                if begun.is_ok() && self.suspicious && self.reader.is_some() {
                    begun = self.fetch_one(deadline).await;
                }
                begun.map_err(|failure| self.place.in_session(READ, failure))?;
            }
        }
    }

    /// The reader has ended. Another one takes its place with the next turn, or the next call.
    async fn end(&mut self, end: End) -> Result<()> {
        self.reader = None;
        match end {
            End::Gone => Ok(()),
            End::Useless(text) => {
                let message = format!("the server ended the consumer as soon as it was there: {text}");
                Err(self.place.error(ErrorKind::Config, READ, message).into_transient())
            }
            End::Failed(failure) => {
                self.suspicious = matches!(failure, Failure::ConnectionLost);
                self.link.repair(&failure).await;
                Err(self.place.in_session(READ, failure))
            }
        }
    }

    /// Compares what the stream's leader says with what came. Another stream, or one that holds what does not come, takes another
    /// reader.
    async fn compare(&mut self, info: &StreamInfo) -> Result<(), Failure> {
        let position = self.position();
        if self.at.created != info.created || info.state.last_seq < position || info.before_first() > position
        {
            self.reader = None;
            return Ok(());
        }
        if info.state.last_seq <= position.max(self.none_until) {
            self.overdue = None;
            return Ok(());
        }
        // What was stored this moment is on its way; what was there the last time should have come.
        if self.overdue.replace(position) != Some(position) {
            return Ok(());
        }
        let deadline = Instant::now() + self.contact_time.mul_f64(ATTEMPT);
        if self.log.find(&self.link, position, deadline).await?.is_some() {
            warn!(
                topic = self.place.topic,
                position, "the consumer brings nothing though there is something; reading anew"
            );
            (self.reader, self.overdue) = (None, None);
        } else {
            self.none_until = info.state.last_seq;
        }
        Ok(())
    }

    /// Whether what lies between the position and the message in hand is none of ours or was deleted, and not trimmed: only
    /// the stream knows.
    async fn is_a_gap(&mut self) -> Result<bool> {
        let deadline = Instant::now() + self.contact_time.mul_f64(ATTEMPT);
        let lost = match self.log.info(&self.link, deadline).await {
            Ok(info) => self.is_lost(&info, false, deadline).await,
            Err(failure) => Err(failure),
        };
        lost.map(|lost| !lost).map_err(|failure| self.place.in_session(READ, failure))
    }

    /// Fetches the next message as text, and not as the message that it is.
    ///
    /// The client library ends the connection over a message whose headers it cannot parse, and would again and again. So the
    /// first message after the end of a connection takes this way, which is slower and safe.
    async fn fetch_one(&mut self, deadline: Instant) -> Result<(), Failure> {
        let found = self.log.find(&self.link, self.position(), deadline).await?;
        self.suspicious = false;
        if found.is_none() {
            return Ok(());
        }
        // It counts if it is of the stream for which the reader was begun.
        let info = self.log.info(&self.link, deadline).await?;
        if !self.is_lost(&info, false, deadline).await? {
            // The reader was not asked for anything yet. The next one begins behind this message.
            (self.held, self.reader) = (found, None);
        }
        Ok(())
    }

    /// Moves over what others have behind the last record of ours, so that a trim of it is not taken for a loss.
    async fn pass_over_others(&mut self, deadline: Instant) -> Result<(), Failure> {
        // In this order: what the stream says first is behind nothing that the second question finds.
        let info = self.log.info(&self.link, deadline).await?;
        let position = self.position();
        let beyond = info.state.last_seq > position && self.loss(&info, false, deadline).await?.is_none();
        if beyond && self.log.find(&self.link, position, deadline).await?.is_none() {
            self.at = Bookmark::latest(&self.log, &self.link, &info, deadline).await?;
        }
        Ok(())
    }

    async fn count(&mut self, deadline: Instant) -> Result<u64, Failure> {
        let info = self.log.info(&self.link, deadline).await?;
        let lost = self.loss(&info, false, deadline).await?.is_some();
        let behind = if lost { info.before_first() } else { self.position() };
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
            let Some(Delivery { sequence, time, headers, payload }) = self.held.take() else { continue };
            (self.at.sequence, self.at.time) = (sequence, time);
            (self.overdue, self.afresh) = (None, false);
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
        if self.afresh {
            return Ok(());
        }
        let deadline = self.deadline();
        if self.shares_the_stream {
            match self.pass_over_others(deadline).await {
                // What is missing may come back, and what was read of it stays read.
                Err(failure) if !failure.is(ErrorCode::STREAM_NOT_FOUND) => {
                    return Err(self.place.in_session(COMMIT, failure));
                }
                _ => {}
            }
        }
        let target = Stored::new(self.at.clone(), true);
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
        let count = self.count(self.deadline()).await;
        count.map(Remaining::from).map_err(|failure| self.place.in_session(REMAINING, failure))
    }

    async fn close(mut self) -> Result<()> {
        // The server would let the consumer go by itself, only later. Nothing depends on it.
        if let Some(reader) = self.reader.take()
            && self.link.is_connected()
        {
            let subject =
                self.link.api(&format!("CONSUMER.DELETE.{}.{}", self.log.stream, reader.consumer()));
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
            .field("position", &self.position())
            .field("resumed", &self.resumed)
            .field("connected", &self.link.is_connected())
            .finish_non_exhaustive()
    }
}
