//! A look at server, stream, bucket and group that writes nothing.

use std::time::SystemTime;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::Config;
use backup_tracker::transport::{Place, not_blank};
use backup_tracker::{Error, ErrorKind, Result};
use bytes::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

use crate::config::Nats;
use crate::error::{Failure, NatsErrors};
use crate::identity::Bookmark;
use crate::link::Link;
use crate::opening::unfit;
use crate::position::{Held, Key};
use crate::stream::Log;
use crate::subject::check_name;

const OPERATION: &str = "inspect";

/// What [`Nats::inspect`] found. What could not be found out is an error of its own, and does not hide the rest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The server that the client is connected to.
    pub server: Result<Server>,
    /// The stream that stores the topic.
    pub stream: Result<Stream>,
    /// The stream below the bucket of the groups' positions; `None` if no group was asked about.
    pub bucket: Option<Result<Stream>>,
    /// The group's position, if one was asked about; `Ok(None)` where it has none.
    pub group: Option<Result<Option<GroupPosition>>>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it takes part in JetStream.
    pub jetstream: bool,
    /// How large a message may be, in bytes.
    pub max_payload: usize,
}

/// A stream, as its leader describes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stream {
    /// Its settings.
    pub config: Config,
    /// Why opening would refuse it; `None` when it would not, and for a bucket.
    pub unfit: Option<String>,
    /// How many messages it holds.
    pub messages: u64,
    /// The first message that it holds, or would hold.
    pub first_sequence: u64,
    /// The last message that it was ever given.
    pub last_sequence: u64,
    /// Which stream it is: one that was deleted and created again has another time here.
    pub created: String,
    /// What the server's clock showed when it answered, as RFC 3339; `None` where it does not say so.
    pub server_time: Option<String>,
    /// This machine's clock when it was asked.
    pub asked: SystemTime,
    /// This machine's clock when the answer had come.
    pub answered: SystemTime,
}

/// A group's position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupPosition {
    /// The last message that is behind the group.
    pub sequence: u64,
    /// False for the start that was fixed when the group was new.
    pub committed: bool,
    /// The [`created`](Stream::created) of the stream that it is a position in, when it was written.
    pub stream_created: String,
    /// Why the group's next session would say `Lost`; `None` when it would not, and where that cannot be found out.
    pub lost: Option<String>,
    /// The application to which the group is bound; `None` if none has claimed it.
    pub application: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    config: Config,
    created: String,
    state: State,
    #[serde(rename = "ts")]
    time: Option<String>,
}

#[derive(Deserialize)]
struct State {
    messages: u64,
    first_seq: u64,
    last_seq: u64,
}

impl Nats {
    /// Looks at the server, the stream, and the group if one is named, for a program that judges whether all is set up well.
    ///
    /// It asks JetStream for descriptions and for the group's position, creates nothing, whatever
    /// [`create_stream`](Self::create_stream) says, and needs no permission beyond those of a secondary. All questions together may
    /// take [`open_timeout`](Self::open_timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up; what was connected is disconnected in the background.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) when a setting is wrong. All else is in the [`Inspection`].
    pub async fn inspect(&self, group: Option<&str>) -> Result<Inspection> {
        let mut place = Place::new(&*self.topic);
        if let Some(group) = group {
            not_blank("group", group)?;
            check_name("positions bucket", &self.bucket_name())?;
            place = place.with_group(group);
        }
        let deadline = self.deadline();
        // Boxed: what connects is large.
        let link = match Box::pin(self.link(&place, OPERATION, deadline)).await {
            Ok(link) => link,
            // A setting is the caller's business; a server that is too old is found.
            Err(error) if error.kind() == ErrorKind::Config && error.operation() != OPERATION => {
                return Err(error);
            }
            Err(error) => return Ok(Inspection::nothing(&error, group.is_some())),
        };
        let info = link.client.server_info();
        let server = Server {
            name: info.server_name,
            version: info.version,
            jetstream: info.jetstream,
            max_payload: info.max_payload,
        };
        let look = Look { nats: self, place: &place, link: &link, deadline };
        let mut stream = look.stream(&self.stream_name()).await;
        if let Ok(stream) = &mut stream {
            stream.unfit = unfit(&stream.config, &self.every_application());
        }
        let (bucket, position) = match group {
            Some(group) => {
                let bucket = look.stream(&format!("KV_{}", self.bucket_name())).await;
                let position = match &bucket {
                    Ok(_) => look.position(group).await,
                    Err(error) => Err(error.clone()),
                };
                (Some(bucket), Some(position))
            }
            None => (None, None),
        };
        Ok(Inspection { server: Ok(server), stream, bucket, group: position })
    }
}

impl Inspection {
    fn nothing(error: &Error, asks_for_group: bool) -> Self {
        Self {
            server: Err(error.clone()),
            stream: Err(error.clone()),
            bucket: asks_for_group.then(|| Err(error.clone())),
            group: asks_for_group.then(|| Err(error.clone())),
        }
    }
}

struct Look<'a> {
    nats: &'a Nats,
    place: &'a Place,
    link: &'a Link,
    deadline: Instant,
}

impl Look<'_> {
    fn failure(&self, failure: Failure) -> Error {
        match failure {
            Failure::NoJetStream(_) if !self.link.has_jetstream() => {
                let message = "the server runs without JetStream; start it with `-js`";
                self.place.error(ErrorKind::Config, OPERATION, message)
            }
            Failure::Refused(_) if failure.is(ErrorCode::STREAM_NOT_FOUND) => {
                self.place.error(ErrorKind::NotFound, OPERATION, "there is no such stream")
            }
            failure => self.place.failure(OPERATION, failure),
        }
    }

    async fn stream(&self, name: &str) -> Result<Stream> {
        let asked = SystemTime::now();
        let question = format!("STREAM.INFO.{name}");
        let answer = self.link.ask::<Answer>(&question, Bytes::new(), self.deadline).await;
        let Answer { config, created, state, time } = answer.map_err(|failure| self.failure(failure))?;
        Ok(Stream {
            config,
            unfit: None,
            messages: state.messages,
            first_sequence: state.first_seq,
            last_sequence: state.last_seq,
            created,
            server_time: time,
            asked,
            answered: SystemTime::now(),
        })
    }

    async fn position(&self, group: &str) -> Result<Option<GroupPosition>> {
        let key = Key::new(&self.nats.bucket_name(), self.nats.source(group).key(group));
        let held = key.read(self.link, self.deadline).await;
        let Held { value, .. } = held.map_err(|failure| self.failure(failure))?;
        let stored = value.map(|value| key.parse(&value, self.place, OPERATION)).transpose()?;
        let Some(stored) = stored else { return Ok(None) };
        Ok(Some(GroupPosition {
            lost: self.loss(&stored.bookmark()).await,
            sequence: stored.sequence,
            committed: stored.committed,
            stream_created: stored.stream_created,
            application: stored.application,
        }))
    }

    /// As an opening would look. That the stream cannot be looked at stands in its own place.
    async fn loss(&self, at: &Bookmark) -> Option<String> {
        let log = Log { stream: self.nats.stream_name(), filter: self.nats.every_application() };
        let info = log.info(self.link, self.deadline).await.ok()?;
        at.loss(&log, self.link, &info, true, self.deadline).await.ok()?
    }
}
