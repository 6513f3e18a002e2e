//! The writing half.

use std::fmt;
use std::time::{Duration, Instant};

use backup_tracker::transport::Place;
use backup_tracker::{Delivery, Error, ErrorKind, Event, Result, Sink};
use redis::{Cmd, Value};
use tracing::warn;
use uuid::Uuid;

use crate::answer::{self, Looked};
use crate::config::{RedisSinkBuilder, Replicas};
use crate::entry;
use crate::error::{Failure, RedisErrors};
use crate::link::{CENTURY, Connection, Deadline, Link, moved};
use crate::log::Mark;
use crate::print::Print;
use crate::script;

const OPEN: &str = "open the sink";
const SEND: &str = "send";
const CLOSE: &str = "close the sink";

/// How many headers an event may have: a script's command takes some thousands of arguments and no more.
pub(crate) const MAX_HEADERS: usize = 1000;
/// After so many seconds of silence a sink is forgotten; if it lives, it registers again with its next send.
const FORGET_SECONDS: u64 = 30 * 24 * 60 * 60;
/// How often a sink registers that sends all the time.
const REGISTER_AGAIN: Duration = Duration::from_secs(60 * 60);
/// After so long without a send a connection is asked whether it still works, so that one that the server or somebody on
/// the way has closed fails before the event is given to it, and not with it.
const IDLE: Duration = Duration::from_secs(1);
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Appends to a stream. Made by [`Redis::sink`](crate::Redis::sink).
///
/// One connection; a send that fails or times out gives it up, and the next one connects anew. What a given up connection
/// still carries is refused by the server, so that it cannot come after what was sent later.
pub struct RedisSink {
    place: Place,
    link: Link,
    settings: Settings,
    /// By which the server knows this sink's connections.
    id: String,
    registered: Option<Registered>,
    /// The last event that the server acknowledged, where it stands.
    acknowledged: Option<Mark>,
}

/// The connection that has the word.
#[derive(Clone, Copy)]
struct Registered {
    generation: u64,
    since: Instant,
    /// When the server last answered on it.
    answered: Instant,
}

struct Settings {
    send_timeout: Duration,
    max_event_bytes: usize,
    max_length: Option<u64>,
    replicas: Option<Replicas>,
    create: bool,
}

impl RedisSink {
    pub(crate) async fn open(builder: RedisSinkBuilder, place: Place) -> Result<Self> {
        let link = Link::new(builder.redis.access.clone());
        let settings = Settings {
            send_timeout: builder.send_timeout,
            max_event_bytes: builder.max_event_bytes,
            max_length: builder.max_length,
            replicas: builder.replicas,
            create: builder.redis.create,
        };
        let id = Uuid::new_v4().simple().to_string();
        let mut sink = Self { place, link, settings, id, registered: None, acknowledged: None };
        sink.connect(OPEN, Deadline::after(builder.redis.open_timeout)).await?;
        Ok(sink)
    }

    /// A connection that works and has the word. Nothing of an event is sent here, so that whatever fails leaves it unsent.
    async fn connect(&mut self, operation: &'static str, deadline: Deadline) -> Result<Connection> {
        let mut connection = self.connection(operation, deadline).await?;
        let fresh = match self.registered {
            Some(held) if held.generation == connection.generation => {
                if held.answered.elapsed() < IDLE && held.since.elapsed() < REGISTER_AGAIN {
                    return Ok(connection);
                }
                false
            }
            _ => true,
        };
        let mut answer = self.register(&mut connection, deadline).await;
        let elsewhere = moved(&answer);
        if elsewhere || (!fresh && answer.as_ref().is_err_and(Failure::wants_another_connection)) {
            connection = self.connection(operation, deadline).await?;
            answer = self.register(&mut connection, deadline).await;
        }
        match answer.map_err(|failure| self.unsent(operation, failure))? {
            Looked::View(view, there) => {
                let known = self.acknowledged.take_if(|known| view.numbers.is_another_log(known, there));
                self.warn_of(known);
            }
            Looked::Missing => {
                let known = self.acknowledged.take();
                self.warn_of(known);
                if !self.settings.create {
                    return Err(self.place.missing(operation));
                }
            }
            Looked::Stale => return Err(self.stale(&connection, operation)),
        }
        let now = Instant::now();
        self.registered = Some(Registered { generation: connection.generation, since: now, answered: now });
        Ok(connection)
    }

    /// The server no longer has what it acknowledged: it is a replica that was promoted before it had the event, or came back
    /// from a backup. Sending goes on, because whatever is announced next is true; what was lost is for people to look at.
    fn warn_of(&self, lost: Option<Mark>) {
        if let Some(Mark { id, .. }) = lost {
            warn!(
                topic = %self.place.topic,
                entry = %id,
                "the server no longer holds the last event that it acknowledged; what was announced may be lost for whoever had not \
                 read it, also the beginning of an operation that is running"
            );
        }
    }

    async fn connection(&self, operation: &'static str, deadline: Deadline) -> Result<Connection> {
        self.link.connect(deadline).await.map_err(|failure| self.unsent(operation, failure))
    }

    async fn register(&self, connection: &mut Connection, deadline: Deadline) -> Result<Looked, Failure> {
        let mut command = script::run(script::REGISTER, &self.place.topic);
        let known = self.acknowledged.as_ref().map(|known| known.id.to_string()).unwrap_or_default();
        command.arg(&self.id).arg(connection.generation).arg(FORGET_SECONDS).arg(known);
        let answer = self.link.ask_on(connection, &command, deadline).await?;
        answer::looked(answer).ok_or_else(Failure::strange)
    }

    fn unsent(&self, operation: &'static str, failure: Failure) -> Error {
        self.place.failure(operation, failure).with_delivery(Delivery::NotSent)
    }

    /// The server knows a younger connection of this sink, or has forgotten it.
    fn stale(&mut self, connection: &Connection, operation: &'static str) -> Error {
        self.registered = None;
        self.link.give_up(connection.generation);
        let message = "the server does not know this connection any more; the next send makes another one";
        self.place.error(ErrorKind::Unavailable, operation, message).with_delivery(Delivery::NotSent)
    }

    fn check(&self, event: &Event) -> Result<()> {
        let size = event.size() + event.application.len();
        let limit = self.settings.max_event_bytes;
        if size > limit {
            return Err(self.place.too_large(size, limit, "`max_event_bytes` of the sink"));
        }
        let count = event.headers.len();
        if count > MAX_HEADERS {
            let message = format!("the event has {count} headers, and the sink takes {MAX_HEADERS}");
            return Err(self.place.rejected(message));
        }
        Ok(())
    }

    fn append(&self, event: &Event, generation: u64) -> Cmd {
        let mut command = script::run(script::APPEND, &self.place.topic);
        command.arg(&self.id).arg(generation);
        if !self.settings.create {
            command.arg("NOMKSTREAM");
        }
        if let Some(length) = self.settings.max_length {
            command.arg("MAXLEN").arg("~").arg(length);
        }
        command.arg("*").arg(entry::fields(event));
        command
    }

    async fn wait(&self, connection: &mut Connection, replicas: Replicas) -> Result<()> {
        let Replicas { count, timeout } = replicas;
        let mut command = redis::cmd("WAIT");
        command.arg(count).arg(timeout.min(CENTURY).as_millis().to_string());
        // The server answers when the time is over; what it may take on top is the way there and back.
        let deadline = Deadline::after(timeout.saturating_add(self.settings.send_timeout));
        let answer = self.link.ask_on(connection, &command, deadline).await;
        // The server itself has the event, whatever becomes of this.
        let unknown = |error: Error| error.with_delivery(Delivery::Unknown);
        match answer.map_err(|failure| unknown(self.place.failure(SEND, failure)))? {
            Value::Int(have) if have >= i64::from(count) => Ok(()),
            Value::Int(have) => {
                let message = format!("{have} of {count} replicas have the event after {timeout:?}");
                Err(unknown(self.place.error(ErrorKind::Unavailable, SEND, message)))
            }
            _ => Err(unknown(self.place.strange(SEND))),
        }
    }
}

impl Sink for RedisSink {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.check(event)?;
        let deadline = Deadline::after(self.settings.send_timeout);
        let mut connection = self.connect(SEND, deadline).await?;
        let command = self.append(event, connection.generation);
        let answer = self.link.ask_on(&mut connection, &command, deadline).await;
        let answer = answer.map_err(|failure| self.place.failure(SEND, failure))?;
        match answer::text(answer).as_deref() {
            Some("missing") => return Err(self.place.missing(SEND)),
            Some("stale") => return Err(self.stale(&connection, SEND)),
            Some(id) => {
                let Ok(id) = id.parse::<entry::EntryId>() else { return Err(self.place.strange(SEND)) };
                let print = Some(Print::of_texts(&entry::fields(event)));
                self.acknowledged = Some(Mark { id, read: 0, print });
            }
            None => return Err(self.place.strange(SEND)),
        }
        if let Some(registered) = &mut self.registered {
            registered.answered = Instant::now();
        }
        match self.settings.replicas {
            Some(replicas) => self.wait(&mut connection, replicas).await,
            None => Ok(()),
        }
    }

    async fn close(self) -> Result<()> {
        // Only the server's note of this sink is left to remove, and it goes by itself in time.
        if self.registered.is_none() || !self.link.is_connected() {
            return Ok(());
        }
        let mut command = redis::cmd("HDEL");
        command.arg(script::side_key(&self.place.topic)).arg(format!("sink:{}", self.id));
        let deadline = Deadline::after(self.settings.send_timeout.min(CLOSE_TIMEOUT));
        let answer = self.link.ask(&command, deadline).await;
        answer.map(drop).map_err(|failure| self.place.failure(CLOSE, failure))
    }
}

impl fmt::Debug for RedisSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSink")
            .field("topic", &self.place.topic)
            .field("connected", &self.link.is_connected())
            .finish_non_exhaustive()
    }
}
