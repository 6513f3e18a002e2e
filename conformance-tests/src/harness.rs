//! What a transport's author writes: how to get a fresh log, and what can be done to it.

use std::future::Future;
use std::time::Duration;

use backup_tracker::{Error, ErrorKind, EventSource, Header, Result, Sink, StartAt};
use bytes::Bytes;

use crate::profile::Profile;

/// A transport with a broker to test it on.
///
/// The suite runs many cases at once, each on a Tokio runtime of its own. What the harness holds must not depend on the
/// runtime that made it; what a lane holds lives on the runtime of its case. The harness is dropped when the last case has
/// ended: that is the moment to stop a server.
///
/// Implementors write plain `async fn`s.
pub trait Harness: Send + Sync + 'static {
    /// One log.
    type Lane: Lane;

    /// The name in the report, for example `kafka`.
    fn name(&self) -> &str;

    /// What this transport, or this harness, cannot do, each with a reason; and its limits.
    fn profile(&self) -> Profile;

    /// A new, empty log that nobody else uses, created and ready to be written and read when this returns.
    ///
    /// The name is unique and consists of ASCII letters, digits, `_` and `-`, 120 characters at most: use it as the topic,
    /// or in it. Where a topic has partitions, let it have several: order is only promised within one application, and
    /// the suite compares no more than that.
    ///
    /// # Errors
    ///
    /// Whatever kept the log from being made; the case fails with it.
    fn lane(&self, name: &str, isolation: Isolation) -> impl Future<Output = Result<Self::Lane>> + Send;
}

/// What a case will disturb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing: the lane may share a broker with others, directly connected.
    Shared,
    /// The connections, with [`Fault::Cut`], [`Fault::BlackHole`], [`Fault::LostAnswers`] or [`Fault::Delay`]. The fault must reach this lane's
    /// sinks and sources, those opened before and those opened later, and nobody else: connect through a
    /// [`Proxy`](crate::Proxy) of its own. The broker behind it may be shared.
    Proxied,
    /// The broker, with [`Fault::Kill`], [`Fault::Stop`], [`Fault::RestartOne`] or [`Fault::Roll`]: the lane needs one of its own.
    Own,
    /// What the lane's sinks and sources may do and how they prove who they are, with [`Fault::Deny`] or
    /// [`Lane::renew_credentials`]: the lane needs a user of its own.
    Secured,
}

/// A fault on the way to the broker, or of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Connections are closed, and new ones refused. [`Proxy::cut`](crate::Proxy::cut).
    Cut,
    /// Connections stay, and new ones are taken, but nothing that is written to them arrives.
    /// [`Proxy::black_hole`](crate::Proxy::black_hole).
    BlackHole,
    /// What clients write arrives, and what the broker answers does not: what is asked for happens, and nobody hears of it.
    /// [`Proxy::lose_answers`](crate::Proxy::lose_answers).
    LostAnswers,
    /// The broker's process ends, as by `kill -9`. [`Lane::heal`] starts it again with its data at the same address.
    Kill,
    /// The broker's process is asked to end and does so in good order (`SIGTERM`); of several brokers, all are. In force when the last
    /// has ended, while the sinks and sources see how they end. [`Lane::heal`] starts them again with their data at the same
    /// addresses.
    Stop,
    /// One broker is asked to end and is started again, and everybody is back when [`Lane::inflict`] returns: the one that leads the
    /// log's partition, where there are several.
    RestartOne,
    /// A rolling restart: one broker after the other is asked to end and is started again, and everybody is back when
    /// [`Lane::inflict`] returns.
    Roll,
    /// Everything arrives, each piece [`DELAY`] later. [`Proxy::delay`](crate::Proxy::delay).
    Delay,
    /// As [`BlackHole`](Self::BlackHole), and only on the way to the one broker that leads the partition of the application `shop`, or
    /// holds the stream; the lane's sinks and sources still reach the others.
    PartialBlackHole,
    /// The lane's user has no permissions any more, whatever it asks for. Its connections stay.
    Deny,
}

/// How much later each piece arrives under [`Fault::Delay`], in each direction.
pub const DELAY: Duration = Duration::from_millis(25);

/// One log of a transport, and everything that the suite does to it.
///
/// A lane is shared between the tasks of one case. A sink or source that it opens may outlive it.
///
/// # What the methods without default must do
///
/// Open the transport as a user would, with one exception: time limits (of a send, a request, a reconnection) may be
/// shortened so that an outage shows within [`Profile::patience`]. Retry nothing on the transport's behalf.
pub trait Lane: Send + Sync + 'static {
    /// The transport's sink.
    type Sink: Sink + 'static;
    /// The transport's source.
    type Source: EventSource + 'static;

    /// Opens a sink. Called several times in a case; the sinks live side by side.
    ///
    /// # Errors
    ///
    /// What opening returned.
    fn sink(&self) -> impl Future<Output = Result<Self::Sink>> + Send;

    /// Opens a source for the group. Called several times in a case, also for one group: one after another as sessions,
    /// and side by side as replicas. `start` is where the group starts if it is new; otherwise it is without meaning.
    ///
    /// The same group name means the same group within a lane, and has nothing to do with that of another lane.
    ///
    /// # Errors
    ///
    /// What opening returned.
    fn source(&self, group: &str, start: StartAt) -> impl Future<Output = Result<Self::Source>> + Send;

    /// Opens a source without a group: an observer, which begins at `start`. Called several times in a case. Needs
    /// [`Ability::Observers`](crate::Ability::Observers).
    ///
    /// # Errors
    ///
    /// What opening returned.
    fn observer(&self, start: StartAt) -> impl Future<Output = Result<Self::Source>> + Send {
        let _ = start;
        async { Err(not_written("observer")) }
    }

    /// Appends a record as a foreign program would, with the broker's own client and not with this transport's sink.
    /// Durable when it returns. Needs [`Ability::Raw`](crate::Ability::Raw); a payload of `None` also
    /// [`Ability::Tombstones`](crate::Ability::Tombstones). It works under [`Fault::BlackHole`], [`Fault::LostAnswers`],
    /// [`Fault::PartialBlackHole`] and [`Fault::Deny`], too, which are for the lane's sinks and sources alone.
    ///
    /// # Errors
    ///
    /// What the client returned.
    fn append_raw(&self, record: RawRecord) -> impl Future<Output = Result<()>> + Send {
        let _ = record;
        async { Err(not_written("append_raw")) }
    }

    /// Removes every record that the log holds, as retention would; records that come later keep counting where these
    /// ended. Done, and visible to every session, when it returns. Needs [`Ability::Trim`](crate::Ability::Trim).
    ///
    /// # Errors
    ///
    /// What the broker returned.
    fn trim(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(not_written("trim")) }
    }

    /// Deletes the log, if it is there, and creates it again under the same name, empty. Done when it returns. Needs
    /// [`Ability::Recreate`](crate::Ability::Recreate) or [`Ability::RecreateLive`](crate::Ability::RecreateLive).
    ///
    /// # Errors
    ///
    /// What the broker returned.
    fn recreate(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(not_written("recreate")) }
    }

    /// Deletes the log; [`recreate`](Self::recreate) brings an empty one back. Done when it returns. Needs
    /// [`Ability::Delete`](crate::Ability::Delete).
    ///
    /// # Errors
    ///
    /// What the broker returned.
    fn delete(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(not_written("delete")) }
    }

    /// Removes so many of the newest records, as a failover to a replica without them does, or a log that was restored from a copy;
    /// records that come later take their places. Done, and visible to every session, when it returns. Needs
    /// [`Ability::Truncate`](crate::Ability::Truncate).
    ///
    /// # Errors
    ///
    /// What the broker returned.
    fn truncate(&self, count: usize) -> impl Future<Output = Result<()>> + Send {
        let _ = count;
        async { Err(not_written("truncate")) }
    }

    /// Renews what the lane's user proves itself with: the broker takes the new password (token, certificate) and refuses the old one,
    /// connections are closed, and the new one is where the lane's sinks and sources read it. Done when it returns. Needs
    /// [`Ability::RenewsCredentials`](crate::Ability::RenewsCredentials); only called on a lane with [`Isolation::Secured`].
    ///
    /// # Errors
    ///
    /// What the broker returned.
    fn renew_credentials(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(not_written("renew_credentials")) }
    }

    /// Ends the log for good: sources return what is there and then `None`. Needs
    /// [`Ability::End`](crate::Ability::End).
    ///
    /// # Errors
    ///
    /// What the broker returned.
    fn end(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(not_written("end")) }
    }

    /// Begins a fault; it is in force when this returns, and stays until [`heal`](Self::heal). Needs the ability of the
    /// fault's name; only called on a lane whose [`Isolation`] names the fault. The lane's sinks and sources work on meanwhile, so it
    /// must not block the runtime.
    ///
    /// # Errors
    ///
    /// What kept the fault from happening.
    fn inflict(&self, fault: Fault) -> impl Future<Output = Result<()>> + Send {
        let _ = fault;
        async { Err(not_written("inflict")) }
    }

    /// Ends the fault. When it returns, a new connection would succeed.
    ///
    /// # Errors
    ///
    /// What kept the fault from ending.
    fn heal(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(not_written("heal")) }
    }
}

fn not_written(method: &'static str) -> Error {
    let message = "write this method of the lane, or let the profile say why it cannot be";
    Error::new(ErrorKind::Config, method, message)
}

/// A record that no sink of ours would write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawRecord {
    /// The record's key; a UUID as text, or something else. A transport that keeps the key in a header or a field puts these
    /// bytes there.
    pub key: Option<Bytes>,
    /// The application in whose place in the log (partition, subject) the record belongs.
    pub application: String,
    /// Headers, in order.
    pub headers: Vec<Header>,
    /// The value; `None` for a tombstone.
    pub payload: Option<Bytes>,
}

impl RawRecord {
    /// A record without key, headers and value.
    #[must_use]
    pub fn new(application: impl Into<String>) -> Self {
        Self { key: None, application: application.into(), headers: Vec::new(), payload: None }
    }

    /// The record with this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The record with one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// The record with this value.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = Some(payload.into());
        self
    }
}
