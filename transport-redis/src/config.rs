//! What a user sets before opening a sink or a source.

use std::fmt;
use std::time::Duration;

use backup_tracker::transport::{DEFAULT_CONTACT_TIME, Place, not_blank, not_zero};
use backup_tracker::{Error, Result, Secret, StartAt};
use redis::ConnectionInfo;

use crate::access::Access;
use crate::sink::RedisSink;
use crate::source::RedisSource;

/// How long opening may take unless [`Redis::open_timeout`] says otherwise: 10 s.
pub const DEFAULT_OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a send may take unless [`RedisSinkBuilder::send_timeout`] says otherwise: 10 s.
pub const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a commit, a look at the stream, or a count of what remains may take unless
/// [`RedisSourceBuilder::request_timeout`] says otherwise: 10 s.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How large an event may be unless [`RedisSinkBuilder::max_event_bytes`] says otherwise: 1 MiB, as with Kafka. The
/// server's own limit is `proto-max-bulk-len`, 512 MB unless it is set.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 1024 * 1024;

/// A stream of a Redis server: where sinks write and sources read.
///
/// Nothing is checked and nothing is connected before a builder's `open`.
#[derive(Clone)]
pub struct Redis {
    pub(crate) access: Access,
    pub(crate) topic: String,
    pub(crate) open_timeout: Duration,
    pub(crate) create: bool,
}

impl Redis {
    /// The stream with the key `topic` on the server at this URL: `redis://[[user]:password@]host[:port][/database]`,
    /// `rediss://…` with TLS, `unix:///path/to/socket`, or `redis+sentinel://host[:port][,host[:port]…]/name` for the primary that
    /// sentinels know by this name.
    ///
    /// A [`Secret`] is read again for every connection: [`Secret::file`] for a URL in a file that is renewed. So are all secrets
    /// below.
    pub fn new(url: impl Into<Secret>, topic: impl Into<String>) -> Self {
        Self::with(Access::url(url.into()), topic.into())
    }

    /// The stream with the key `topic` on the server of the client library's own connection settings, which are taken as
    /// they are.
    pub fn with_connection(connection: ConnectionInfo, topic: impl Into<String>) -> Self {
        Self::with(Access::native(connection), topic.into())
    }

    fn with(access: Access, topic: String) -> Self {
        Self { access, topic, open_timeout: DEFAULT_OPEN_TIMEOUT, create: false }
    }

    /// The ACL user; it wins over the URL's. The server's `default` user unless either is set.
    #[must_use]
    pub fn user(mut self, user: impl Into<Secret>) -> Self {
        self.access.user = Some(user.into());
        self
    }

    /// The password; it wins over the URL's. It is never shown, neither in `Debug` nor in an error.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.access.password = Some(password.into());
        self
    }

    /// The authorities, as PEM, that a `rediss://` server's certificate is checked against; those of the system unless set.
    #[must_use]
    pub fn ca_certificates(mut self, pem: impl Into<Secret>) -> Self {
        self.access.certificates.authorities = Some(pem.into());
        self
    }

    /// The certificate chain and the private key, as PEM, with which this client shows who it is to a `rediss://` server
    /// that asks.
    #[must_use]
    pub fn client_certificate(mut self, chain_pem: impl Into<Secret>, key_pem: impl Into<Secret>) -> Self {
        self.access.certificates.client = Some((chain_pem.into(), key_pem.into()));
        self
    }

    /// How long opening may take before it fails as [`Unavailable`](backup_tracker::ErrorKind::Unavailable);
    /// [`DEFAULT_OPEN_TIMEOUT`] unless set.
    #[must_use]
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// Lets a missing stream come into being: with the first event of a sink, or with the group of a source. Without it
    /// opening, and sending, fails as [`NotFound`](backup_tracker::ErrorKind::NotFound).
    #[must_use]
    pub fn create_stream(mut self) -> Self {
        self.create = true;
        self
    }

    /// A builder of the writing half.
    pub fn sink(&self) -> RedisSinkBuilder {
        RedisSinkBuilder {
            redis: self.clone(),
            send_timeout: DEFAULT_SEND_TIMEOUT,
            max_event_bytes: DEFAULT_MAX_EVENT_BYTES,
            max_length: None,
            replicas: None,
        }
    }

    /// A builder of the reading half, with the position of this group.
    ///
    /// Give every secondary a group of its own, one that nothing else uses; its replicas share it.
    pub fn source(&self, group: impl Into<String>) -> RedisSourceBuilder {
        RedisSourceBuilder {
            redis: self.clone(),
            group: Some(group.into()),
            start: StartAt::default(),
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            contact_time: DEFAULT_CONTACT_TIME,
        }
    }

    /// A builder of a reading half without a group, for whoever only looks: it leaves nothing behind on the server. See
    /// *Observers* in the crate's documentation.
    pub fn observer(&self) -> RedisSourceBuilder {
        RedisSourceBuilder { group: None, ..self.source("") }
    }

    pub(crate) fn check(&self) -> Result<()> {
        not_blank("topic", &self.topic)?;
        not_zero("open timeout", self.open_timeout)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the server: it may be a secret, which is read for connections only.
        f.debug_struct("Redis")
            .field("topic", &self.topic)
            .field("open_timeout", &self.open_timeout)
            .field("create_stream", &self.create)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`RedisSink`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct RedisSinkBuilder {
    pub(crate) redis: Redis,
    pub(crate) send_timeout: Duration,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_length: Option<u64>,
    pub(crate) replicas: Option<Replicas>,
}

/// How many replicas must have an event, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas {
    pub(crate) count: u32,
    pub(crate) timeout: Duration,
}

impl RedisSinkBuilder {
    /// How long a send may take, a new connection included, before it fails as
    /// [`Unavailable`](backup_tracker::ErrorKind::Unavailable); [`DEFAULT_SEND_TIMEOUT`] unless set.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// How many bytes the payload, the application's name, and the headers' names and values may have together;
    /// [`DEFAULT_MAX_EVENT_BYTES`] unless set. A larger event is [`Rejected`](backup_tracker::ErrorKind::Rejected).
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// Trims the stream with each send to about so many entries, the youngest (`MAXLEN ~`): at least so many stay, and
    /// some more, because the server removes whole blocks of entries (`stream-node-max-entries`, 100 unless set). Nothing
    /// is trimmed unless set.
    ///
    /// Safe: a source whose position was trimmed away says so, as [`Lost`](backup_tracker::ErrorKind::Lost).
    pub fn max_length(mut self, entries: u64) -> Self {
        self.max_length = Some(entries);
        self
    }

    /// Waits (`WAIT`) until so many replicas have an event before its send is `Ok`. When they do not have it within the
    /// timeout, in milliseconds' precision, the send fails as
    /// [`Unavailable`](backup_tracker::ErrorKind::Unavailable) and
    /// [`Unknown`](backup_tracker::Delivery::Unknown): the server itself has the event. Nobody is waited for unless set.
    pub fn wait_for_replicas(mut self, count: u32, timeout: Duration) -> Self {
        self.replicas = Some(Replicas { count, timeout });
        self
    }

    /// Checks the settings, connects, and looks for the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`Config`](backup_tracker::ErrorKind::Config) naming the wrong setting, or when the key holds something else than a
    /// stream; [`NotFound`](backup_tracker::ErrorKind::NotFound) without the stream,
    /// [`Denied`](backup_tracker::ErrorKind::Denied), and
    /// [`Unavailable`](backup_tracker::ErrorKind::Unavailable) when the time is over.
    pub async fn open(self) -> Result<RedisSink> {
        self.redis.check()?;
        not_zero("send timeout", self.send_timeout)?;
        if self.max_length == Some(0) {
            return Err(Error::config("max length", "it is 0; an event must stay until it is read"));
        }
        if let Some(Replicas { count, timeout }) = self.replicas {
            not_zero("replicas' timeout", timeout)?;
            if count == 0 {
                return Err(Error::config("replicas", "it is 0; leave the setting out instead"));
            }
        }
        let place = Place::new(&*self.redis.topic);
        RedisSink::open(self, place).await
    }
}

/// Settings of a [`RedisSource`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct RedisSourceBuilder {
    pub(crate) redis: Redis,
    /// `None` for an observer.
    pub(crate) group: Option<String>,
    pub(crate) start: StartAt,
    pub(crate) request_timeout: Duration,
    pub(crate) contact_time: Duration,
}

impl RedisSourceBuilder {
    /// Where the group starts if it has no position yet, and where an observer begins; [`StartAt::Earliest`] unless set.
    /// Without meaning for a group that has a position.
    pub fn start(mut self, start: StartAt) -> Self {
        self.start = start;
        self
    }

    /// How long a commit, a look at the stream, or a count of what remains may take, a new connection included, before it
    /// fails as [`Unavailable`](backup_tracker::ErrorKind::Unavailable); [`DEFAULT_REQUEST_TIMEOUT`] unless set.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Within which time `next` reports that the source is out of contact with its stream (S13);
    /// [`DEFAULT_CONTACT_TIME`] unless set. A look at the stream may take half of it, also when
    /// [`request_timeout`](Self::request_timeout) is longer. The server is asked four times in it, at least every 3 s, so that a
    /// short one costs requests.
    pub fn contact_time(mut self, time: Duration) -> Self {
        self.contact_time = time;
        self
    }

    /// Checks the settings, connects, and finds the group's position or fixes its start. An observer has neither, and
    /// creates no stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up. A new group's start may be fixed already.
    ///
    /// # Errors
    ///
    /// As for [`RedisSinkBuilder::open`].
    pub async fn open(self) -> Result<RedisSource> {
        self.redis.check()?;
        if let Some(group) = &self.group {
            not_blank("group", group)?;
        }
        not_zero("request timeout", self.request_timeout)?;
        not_zero("contact time", self.contact_time)?;
        let mut place = Place::new(&*self.redis.topic);
        place.group.clone_from(&self.group);
        RedisSource::open(self, place).await
    }
}
