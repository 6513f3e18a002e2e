//! What a user sets for one sink or one source.

use std::time::Duration;

#[cfg(doc)]
use backup_tracker::transport::DEFAULT_CONTACT_TIME;
use backup_tracker::transport::{not_blank, not_zero};
use backup_tracker::{Error, Result, StartAt};

use crate::config::Nats;
use crate::sink::NatsSink;
use crate::source::NatsSource;
use crate::subject::{MAX_SUBJECT_BYTES, check_name, token_of};

/// How long a send may take unless [`NatsSinkBuilder::send_timeout`] says otherwise: 10 s.
pub const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a commit, or a count of what remains, may take unless [`NatsSourceBuilder::request_timeout`] says otherwise:
/// 10 s.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Settings of a [`NatsSink`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct NatsSinkBuilder {
    pub(crate) nats: Nats,
    pub(crate) send_timeout: Duration,
}

impl NatsSinkBuilder {
    /// How long a send may take before it fails as [`Unavailable`](backup_tracker::ErrorKind::Unavailable);
    /// [`DEFAULT_SEND_TIMEOUT`] unless set.
    pub const fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// Checks the settings, connects, and looks for the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up; what was connected is disconnected in the background.
    ///
    /// # Errors
    ///
    /// [`Config`](backup_tracker::ErrorKind::Config) naming the wrong setting, a server that is too old, or a stream that
    /// will not do; [`NotFound`](backup_tracker::ErrorKind::NotFound) without the stream;
    /// [`Denied`](backup_tracker::ErrorKind::Denied); and [`Unavailable`](backup_tracker::ErrorKind::Unavailable) when no
    /// server can be reached or the time is over.
    pub async fn open(self) -> Result<NatsSink> {
        not_zero("send timeout", self.send_timeout)?;
        // The client's futures are large, and would be part of every future that contains this one.
        Box::pin(NatsSink::open(self)).await
    }
}

/// Settings of a [`NatsSource`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct NatsSourceBuilder {
    pub(crate) nats: Nats,
    /// `None` for an observer.
    pub(crate) group: Option<String>,
    pub(crate) start: StartAt,
    pub(crate) application: Option<String>,
    pub(crate) request_timeout: Duration,
    pub(crate) contact_time: Duration,
}

impl NatsSourceBuilder {
    /// Where the group starts if it has no position yet, and where an observer begins; [`StartAt::Earliest`] unless set.
    /// Without meaning for a group that has a position.
    pub const fn start(mut self, start: StartAt) -> Self {
        self.start = start;
        self
    }

    /// Reads only what is under the subject of this application, so that others' events never travel here. All of the
    /// topic unless set.
    ///
    /// Use a group of its own for it, and never one with and without. See the crate's *Limits* for what it costs.
    pub fn only_application(mut self, application: impl Into<String>) -> Self {
        self.application = Some(application.into());
        self
    }

    /// How long a commit, or a count of what remains, may take before it fails as
    /// [`Unavailable`](backup_tracker::ErrorKind::Unavailable); [`DEFAULT_REQUEST_TIMEOUT`] unless set.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Within which time after contact with the stream is gone [`next`](backup_tracker::EventSource::next) returns
    /// [`Unavailable`](backup_tracker::ErrorKind::Unavailable) (S13); [`DEFAULT_CONTACT_TIME`], 10 s, unless set.
    ///
    /// While nothing comes, the server sends a heartbeat three times in this period, and the source asks the stream's leader twice
    /// whether it is there.
    pub const fn contact_time(mut self, time: Duration) -> Self {
        self.contact_time = time;
        self
    }

    /// Checks the settings, connects, looks for the stream and the bucket, finds the group's position or fixes its start,
    /// makes sure that it can be written, and begins to read. An observer has neither position nor start, looks for no
    /// bucket, and creates no stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up; what was connected is disconnected in the background. A new group's start may be fixed
    /// already.
    ///
    /// # Errors
    ///
    /// As for [`NatsSinkBuilder::open`], with the bucket besides the stream; and
    /// [`Corrupt`](backup_tracker::ErrorKind::Corrupt) when the group's key holds something else than a position.
    pub async fn open(self) -> Result<NatsSource> {
        if let Some(group) = &self.group {
            not_blank("group", group)?;
            check_name("positions bucket", &self.nats.bucket_name())?;
            if self.key(group).len() > MAX_SUBJECT_BYTES / 2 {
                return Err(Error::config("group", "topic and group together are too long for a key"));
            }
        }
        not_zero("request timeout", self.request_timeout)?;
        not_zero("contact time", self.contact_time)?;
        if let Some(application) = &self.application {
            not_blank("application", application)?;
            if token_of(application).len() > MAX_SUBJECT_BYTES / 2 {
                return Err(Error::config("application", "it is too long for a subject"));
            }
        }
        // As for the sink.
        Box::pin(NatsSource::open(self)).await
    }

    /// The key of the group's position.
    pub(crate) fn key(&self, group: &str) -> String {
        format!("{}.{}", token_of(&self.nats.topic), token_of(group))
    }
}
