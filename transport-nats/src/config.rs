//! What a user sets before opening a sink or a source.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions};
use backup_tracker::transport::{DEFAULT_CONTACT_TIME, Place, not_zero};
use backup_tracker::{Error, ErrorKind, Result, Secret, StartAt};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::builder::{DEFAULT_REQUEST_TIMEOUT, DEFAULT_SEND_TIMEOUT, NatsSinkBuilder, NatsSourceBuilder};
use crate::create::CreateStream;
use crate::credentials::{Credentials, addresses};
use crate::error::{NatsErrors, addresses as shown};
use crate::link::{LONGEST_ATTEMPT, Link};
use crate::signals::Signals;
use crate::subject::{check_name, check_prefix, check_topic, name_of};

/// How long opening may take unless [`Nats::open_timeout`] says otherwise: 10 s.
pub const DEFAULT_OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the client asks a server on an idle connection whether it is there, unless [`Nats::connect_options`] says
/// otherwise: every 10 s. The third question without an answer ends the connection.
pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(10);
/// What the subjects of JetStream's own requests begin with, without a domain.
const DEFAULT_API: &str = "$JS.API";

/// A topic on NATS JetStream: where sinks write and sources read.
///
/// Nothing is checked and nothing is connected before a builder's `open`.
#[derive(Clone)]
pub struct Nats {
    servers: Secret,
    pub(crate) topic: String,
    stream: Option<String>,
    bucket: Option<String>,
    /// JetStream's own subjects begin with it.
    api: String,
    /// The client library's options where they are the user's.
    native: Option<ConnectOptions>,
    credentials: Credentials,
    tls: Tls,
    open_timeout: Duration,
    pub(crate) create: Option<CreateStream>,
}

/// What TLS needs besides the addresses. The client library reads the files for each connection.
#[derive(Clone, Debug, Default)]
struct Tls {
    required: bool,
    roots: Vec<PathBuf>,
    certificates: Vec<(PathBuf, PathBuf)>,
}

impl Tls {
    fn options(&self, mut options: ConnectOptions) -> ConnectOptions {
        if self.required {
            options = options.require_tls(true);
        }
        for path in &self.roots {
            options = options.add_root_certificates(path.clone());
        }
        for (certificate, key) in &self.certificates {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        options
    }
}

impl Nats {
    /// The topic on these servers (`host:port`, `nats://host:port` or `tls://host:port`, separated by commas).
    ///
    /// An address may hold user and password, `nats://user:password@host`, or a token, `nats://token@host`; what is set with
    /// the methods below wins. A [`Secret`] is read again for each connection, for what it says of user, password and token; the
    /// servers are those that it names at opening. The topic is the beginning of a subject: parts without blanks, `*` and `>`,
    /// separated by `.`.
    pub fn new(servers: impl Into<Secret>, topic: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            topic: topic.into(),
            stream: None,
            bucket: None,
            api: DEFAULT_API.to_owned(),
            native: None,
            credentials: Credentials::InAddresses,
            tls: Tls::default(),
            open_timeout: DEFAULT_OPEN_TIMEOUT,
            create: None,
        }
    }

    /// The client library's own options, whole, in place of those of this crate. What else is set here applies on top of them.
    ///
    /// The event callback, the time limit of connections and the delays of reconnections are this crate's all the same. Set no
    /// limit of reconnections. With options of your own, credentials are read at opening, and not for each connection, unless
    /// the options have an authentication callback.
    #[must_use]
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.native = Some(options);
        self
    }

    /// Signs in with user and password. The password is read for each connection.
    #[must_use]
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.credentials = Credentials::User(user.into(), password.into());
        self
    }

    /// Signs in with a token, which is read for each connection.
    #[must_use]
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.credentials = Credentials::Token(token.into());
        self
    }

    /// Signs in with a credentials file (`.creds`: a JWT and the seed of its key). It is read for each connection.
    #[must_use]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.credentials = Credentials::Jwt(Some(path.clone()), Secret::file(path));
        self
    }

    /// Signs in with the text of a credentials file, which is read for each connection.
    #[must_use]
    pub fn credentials(mut self, text: impl Into<Secret>) -> Self {
        self.credentials = Credentials::Jwt(None, text.into());
        self
    }

    /// Insists on TLS, also where the server would do without.
    #[must_use]
    pub fn require_tls(mut self) -> Self {
        self.tls.required = true;
        self
    }

    /// Trusts the authorities in this PEM file, besides those of the system. It is read for each connection.
    #[must_use]
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.roots.push(path.into());
        self
    }

    /// Shows the server this certificate, for TLS on both sides. Both are PEM files, which are read for each connection.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.certificates.push((certificate.into(), key.into()));
        self
    }

    /// The JetStream domain of stream and bucket, for example a leaf node's. That of the server to which the client connects,
    /// unless set. Replaces [`api_prefix`](Self::api_prefix).
    #[must_use]
    pub fn domain(self, domain: impl AsRef<str>) -> Self {
        self.api_prefix(format!("$JS.{}.API", domain.as_ref()))
    }

    /// What the subjects of JetStream's own requests begin with, where an account imports them under another name; `$JS.API` unless
    /// set. Replaces [`domain`](Self::domain).
    #[must_use]
    pub fn api_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.api = prefix.into();
        self
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
            contact_time: DEFAULT_CONTACT_TIME,
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
        check_prefix(&self.api)?;
        not_zero("open timeout", self.open_timeout)?;
        self.create.as_ref().map_or(Ok(()), CreateStream::check)
    }

    async fn connect(&self, place: &Place, operation: &'static str) -> Result<Link> {
        let (list, credentials) = (self.servers.clone(), self.credentials.clone());
        // A secret may be on a slow disk, or in a vault.
        let read = spawn_blocking(move || {
            let servers = addresses(&list.read()?)?;
            credentials.check(&list).map(|()| servers)
        });
        let servers = read.await.map_err(|panicked| {
            place
                .error(ErrorKind::Internal, operation, "the credentials cannot be read")
                .with_source(panicked)
        })??;
        // A share for each, so that one that is silent leaves time for the next.
        let share = self.open_timeout / u32::try_from(servers.len()).unwrap_or(u32::MAX);
        loop {
            let signals = watch::Sender::new(Signals::default());
            let options = match &self.native {
                Some(native) => self.credentials.fixed_options(&self.servers, native.clone())?,
                None => {
                    let options = self.credentials.options(&self.servers, signals.clone());
                    options.name("backup-tracker").ping_interval(DEFAULT_PING_INTERVAL)
                }
            };
            let options = self.tls.options(options).connection_timeout(share.min(LONGEST_ATTEMPT));
            match Link::connect(options, servers.clone(), signals, self.api.clone()).await {
                Ok(link) => {
                    return match link.unfit() {
                        None => Ok(link),
                        Some(why) => Err(place.error(ErrorKind::Config, operation, why)),
                    };
                }
                // Until the time is over.
                Err(error) if error.kind() == ConnectErrorKind::TimedOut => {}
                Err(error) => return Err(place.connect(operation, &servers, error)),
            }
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
        let servers = self.servers.read().and_then(|servers| addresses(&servers));
        let servers = servers.map(|servers| shown(&servers)).unwrap_or_default();
        let message = format!("no server answered within {:?} (at {servers})", self.open_timeout);
        place.error(ErrorKind::Unavailable, operation, message)
    }

    /// Until when an opening that begins now may take.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.open_timeout
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("servers", &self.servers)
            .field("topic", &self.topic)
            .field("stream", &self.stream_name())
            .field("positions_bucket", &self.bucket_name())
            .field("api_prefix", &self.api)
            .field("credentials", &self.credentials)
            .field("open_timeout", &self.open_timeout)
            .field("create_stream", &self.create)
            .finish_non_exhaustive()
    }
}
