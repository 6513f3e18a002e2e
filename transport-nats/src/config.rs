//! What a user sets before opening a sink or a source.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr};
use backup_tracker::transport::{Place, not_zero};
use backup_tracker::{Error, ErrorKind, Result, StartAt};
use tokio::time::{Instant, timeout_at};

use crate::builder::{
    DEFAULT_HEARTBEAT, DEFAULT_REQUEST_TIMEOUT, DEFAULT_SEND_TIMEOUT, NatsSinkBuilder, NatsSourceBuilder,
};
use crate::create::CreateStream;
use crate::error::{NatsErrors, addresses};
use crate::link::Link;
use crate::subject::{check_name, check_topic, name_of};

/// How long opening may take unless [`Nats::open_timeout`] says otherwise: 10 s.
pub const DEFAULT_OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the client asks a server on an idle connection whether it is there, unless [`Nats::connect_options`] says
/// otherwise: every 10 s. The third question without an answer ends the connection.
pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(10);

/// A topic on NATS JetStream: where sinks write and sources read.
///
/// Nothing is checked and nothing is connected before a builder's `open`.
#[derive(Clone)]
pub struct Nats {
    servers: String,
    pub(crate) topic: String,
    stream: Option<String>,
    bucket: Option<String>,
    options: ConnectOptions,
    credentials: Option<PathBuf>,
    /// Whether user, token or credentials file are set, so that an address's do not count.
    signs_in: bool,
    open_timeout: Duration,
    pub(crate) create: Option<CreateStream>,
}

impl Nats {
    /// The topic on these servers (`host:port`, `nats://host:port` or `tls://host:port`, separated by commas).
    ///
    /// An address may hold user and password, `nats://user:password@host`, or a token, `nats://token@host`; what is set with
    /// the methods below wins. The topic is the beginning of a subject: parts without blanks, `*` and `>`, separated by `.`.
    pub fn new(servers: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            topic: topic.into(),
            stream: None,
            bucket: None,
            options: ConnectOptions::new().name("backup-tracker").ping_interval(DEFAULT_PING_INTERVAL),
            credentials: None,
            signs_in: false,
            open_timeout: DEFAULT_OPEN_TIMEOUT,
            create: None,
        }
    }

    /// The client library's own options, whole, in place of those of this crate. Options that are set after this one apply
    /// on top of them.
    ///
    /// The event callback and the delays of reconnections are this crate's all the same. Set no limit of reconnections.
    #[must_use]
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.options = options;
        self
    }

    fn options(mut self, change: impl FnOnce(ConnectOptions) -> ConnectOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// Signs in with user and password.
    #[must_use]
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.signs_in = true;
        self.options(|options| options.user_and_password(user.into(), password.into()))
    }

    /// Signs in with a token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.signs_in = true;
        self.options(|options| options.token(token.into()))
    }

    /// Signs in with a credentials file (`.creds`: a JWT and the seed of its key). It is read at every opening.
    #[must_use]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.signs_in = true;
        self.credentials = Some(path.into());
        self
    }

    /// Insists on TLS, also where the server would do without.
    #[must_use]
    pub fn require_tls(self) -> Self {
        self.options(|options| options.require_tls(true))
    }

    /// Trusts the authorities in this PEM file, besides those of the system.
    #[must_use]
    pub fn root_certificates(self, path: impl Into<PathBuf>) -> Self {
        self.options(|options| options.add_root_certificates(path.into()))
    }

    /// Shows the server this certificate, for TLS on both sides. Both are PEM files.
    #[must_use]
    pub fn client_certificate(self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.options(|options| options.add_client_certificate(certificate.into(), key.into()))
    }

    /// How long opening may take before it fails as [`Unavailable`](backup_tracker::ErrorKind::Unavailable);
    /// [`DEFAULT_OPEN_TIMEOUT`] unless set. Of several servers, each has an equal share of it to take a connection, here and when the
    /// client connects again later.
    #[must_use]
    pub const fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// The stream that stores the topic. The topic's name unless set, with `_` for what is no ASCII letter, digit or `-`.
    #[must_use]
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.stream = Some(name.into());
        self
    }

    /// The key-value bucket with the groups' positions. The topic's name and `_positions` unless set, made plain like the
    /// stream's. Several topics may share one.
    #[must_use]
    pub fn positions_bucket(mut self, name: impl Into<String>) -> Self {
        self.bucket = Some(name.into());
        self
    }

    /// Creates the stream, and for a source the bucket, when opening finds that they do not exist. Without it opening fails
    /// as [`NotFound`](backup_tracker::ErrorKind::NotFound). What exists is left as it is.
    #[must_use]
    pub fn create_stream(mut self, create: CreateStream) -> Self {
        self.create = Some(create);
        self
    }

    /// A builder of the writing half.
    pub fn sink(&self) -> NatsSinkBuilder {
        NatsSinkBuilder { nats: self.clone(), send_timeout: DEFAULT_SEND_TIMEOUT }
    }

    /// A builder of the reading half, with the position of this group.
    ///
    /// Give every secondary a group of its own; its replicas share it.
    pub fn source(&self, group: impl Into<String>) -> NatsSourceBuilder {
        NatsSourceBuilder {
            nats: self.clone(),
            group: Some(group.into()),
            start: StartAt::default(),
            application: None,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            heartbeat: DEFAULT_HEARTBEAT,
        }
    }

    /// A builder of a reading half without a group, for whoever only looks: it leaves nothing behind on the server. See
    /// *Observers* in the crate's documentation.
    pub fn observer(&self) -> NatsSourceBuilder {
        NatsSourceBuilder { group: None, ..self.source("") }
    }

    /// The subjects of all applications.
    pub(crate) fn every_application(&self) -> String {
        format!("{}.*", self.topic)
    }

    pub(crate) fn stream_name(&self) -> String {
        self.stream.clone().unwrap_or_else(|| name_of(&self.topic))
    }

    pub(crate) fn bucket_name(&self) -> String {
        self.bucket.clone().unwrap_or_else(|| format!("{}_positions", name_of(&self.topic)))
    }

    fn check(&self) -> Result<()> {
        check_topic(&self.topic)?;
        check_name("stream", &self.stream_name())?;
        not_zero("open timeout", self.open_timeout)?;
        self.create.as_ref().map_or(Ok(()), CreateStream::check)
    }

    fn addresses(&self) -> Result<Vec<ServerAddr>> {
        let servers = self.servers.split(',').map(str::trim).filter(|server| !server.is_empty());
        // Neither the address nor the cause is repeated: there may be a password in it.
        let parse = |server: &str| {
            server.parse::<ServerAddr>().map_err(|_| Error::config("servers", "one of them is no address"))
        };
        let servers = servers.map(parse).collect::<Result<Vec<_>>>()?;
        if servers.is_empty() {
            return Err(Error::config("servers", "there is none"));
        }
        Ok(servers)
    }

    async fn connect(&self, place: &Place, operation: &'static str) -> Result<Link> {
        let servers = self.addresses()?;
        // A share for each, so that one that is silent leaves time for the next.
        let share = self.open_timeout / u32::try_from(servers.len()).unwrap_or(u32::MAX);
        let mut options = self.options.clone().connection_timeout(share);
        if !self.signs_in {
            options = sign_in(options, &servers);
        }
        if let Some(path) = &self.credentials {
            options = options.credentials_file(path).await.map_err(|error| {
                Error::config("credentials file", format!("`{}`: {error}", path.display()))
            })?;
        }
        let link = Link::connect(options, servers.clone()).await.map_err(|error| match error.kind() {
            ConnectErrorKind::TimedOut => self.silence(place, operation),
            _ => place.connect(operation, &servers, error),
        })?;
        match link.unfit() {
            None => Ok(link),
            Some(why) => Err(place.error(ErrorKind::Config, operation, why)),
        }
    }

    /// Checks the settings and connects.
    pub(crate) async fn link(
        &self,
        place: &Place,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Link> {
        self.check()?;
        timeout_at(deadline, self.connect(place, operation))
            .await
            .unwrap_or_else(|_| Err(self.silence(place, operation)))
    }

    fn silence(&self, place: &Place, operation: &'static str) -> Error {
        let servers = self.addresses().map(|servers| addresses(&servers)).unwrap_or_default();
        let message = format!("no server answered within {:?} (at {servers})", self.open_timeout);
        place.error(ErrorKind::Unavailable, operation, message)
    }

    /// Until when an opening that begins now may take.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.open_timeout
    }
}

/// Signs in with what the addresses hold, which the client library leaves to others.
fn sign_in(options: ConnectOptions, servers: &[ServerAddr]) -> ConnectOptions {
    let user = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    match user {
        Some((user, Some(password))) => options.user_and_password(decoded(user), decoded(password)),
        Some((token, None)) => options.token(decoded(token)),
        None => options,
    }
}

/// The text that is percent-encoded in an address. What is no encoding stands for itself.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address may hold user and password.
        let servers: Vec<&str> =
            self.servers.split(',').map(|server| server.rsplit('@').next().unwrap_or(server)).collect();
        f.debug_struct("Nats")
            .field("servers", &servers)
            .field("topic", &self.topic)
            .field("stream", &self.stream_name())
            .field("positions_bucket", &self.bucket_name())
            .field("credentials_file", &self.credentials)
            .field("open_timeout", &self.open_timeout)
            .field("create_stream", &self.create)
            .finish_non_exhaustive()
    }
}
