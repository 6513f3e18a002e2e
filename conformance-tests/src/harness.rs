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
    /// The broker, with [`Fault::Kill`] and no other: the lane needs one of its own.
    Own,
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
    /// Everything arrives, each piece [`DELAY`] later. [`Proxy::delay`](crate::Proxy::delay).
    Delay,
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
    /// [`Ability::Tombstones`](crate::Ability::Tombstones).
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

    /// Deletes the log and creates it again under the same name, empty. Done when it returns. Needs
    /// [`Ability::Recreate`](crate::Ability::Recreate) or [`Ability::RecreateLive`](crate::Ability::RecreateLive).
    ///
    /// # Errors
    ///
    /// What the broker returned.
    fn recreate(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(not_written("recreate")) }
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
    /// fault's name; only called on a lane whose [`Isolation`] names the fault.
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
