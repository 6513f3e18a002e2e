//! The log, and what a test may do to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_tracker::transport::{Place, not_blank};
use backup_tracker::{Delivery, Error, ErrorKind, Header, Position, Record, Result, StartAt};
use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

use crate::sink::MemorySink;
use crate::source::MemorySource;
use crate::state::{Cursor, State};

/// How large an event may be, unless [`MemoryLog::with_max_event_bytes`] says otherwise: 1 MiB, as with Kafka.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 1024 * 1024;

/// A log in this process. Cheap to clone; every clone means the same log.
///
/// No method waits, and none needs a runtime.
#[derive(Clone)]
pub struct MemoryLog(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) place: Place,
    pub(crate) max_event_bytes: usize,
    state: Mutex<State>,
    /// Wakes the sources that wait. Carries nothing: a source looks at the state again.
    pub(crate) changed: watch::Sender<()>,
}

impl Shared {
    /// The state, for the length of an expression. No user's code and no await runs under this lock, and every change under
    /// it is complete, so that a poisoned lock holds a sound state.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes everybody who waits.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.send_replace(());
        result
    }
}

pub(crate) fn unavailable(place: &Place, operation: &'static str) -> Error {
    place.error(ErrorKind::Unavailable, operation, "the log was made unavailable")
}

impl MemoryLog {
    /// An empty log, whose errors speak of this topic.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) when the topic is blank.
    pub fn new(topic: impl Into<String>) -> Result<Self> {
        Self::with_max_event_bytes(topic, DEFAULT_MAX_EVENT_BYTES)
    }

    /// An empty log that refuses an event when its payload and its headers' names and values together are larger than so
    /// many bytes.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) when the topic is blank.
    pub fn with_max_event_bytes(topic: impl Into<String>, max_event_bytes: usize) -> Result<Self> {
        let topic = topic.into();
        not_blank("topic", &topic)?;
        Ok(Self(Arc::new(Shared {
            place: Place::new(topic),
            max_event_bytes,
            state: Mutex::new(State::new()),
            changed: watch::Sender::new(()),
        })))
    }

    /// A sink that appends to this log.
    #[must_use]
    pub fn sink(&self) -> MemorySink {
        MemorySink::new(Arc::clone(&self.0))
    }

    /// A source that reads this log for a group; a new group starts at the earliest record.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) when the group is blank; [`Unavailable`](ErrorKind::Unavailable) while
    /// [`set_available`](Self::set_available) says so.
    pub fn source(&self, group: impl Into<String>) -> Result<MemorySource> {
        self.source_from(StartAt::Earliest, group)
    }

    /// A source that reads this log for a group, with a choice of where a new group starts. A group that has a start or a
    /// position goes on there.
    ///
    /// # Errors
    ///
    /// As for [`source`](Self::source).
    pub fn source_from(&self, start: StartAt, group: impl Into<String>) -> Result<MemorySource> {
        let group = group.into();
        not_blank("group", &group).map_err(|error| error.with_topic(&*self.0.place.topic))?;
        self.open(self.0.place.clone().with_group(&*group), |state| state.begin(&group, start))
    }

    /// A source without a group, for whoever only looks: it begins at the earliest record, and leaves nothing behind in the
    /// log. See *Observers* in the crate's documentation.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) while [`set_available`](Self::set_available) says so.
    pub fn observer(&self) -> Result<MemorySource> {
        self.observer_from(StartAt::Earliest)
    }

    /// A source without a group, with a choice of where it begins.
    ///
    /// # Errors
    ///
    /// As for [`observer`](Self::observer).
    pub fn observer_from(&self, start: StartAt) -> Result<MemorySource> {
        self.open(self.0.place.clone(), |state| (state.start(start), false))
    }

    fn open(&self, place: Place, begin: impl FnOnce(&mut State) -> (Cursor, bool)) -> Result<MemorySource> {
        let begun = {
            let mut state = self.0.state();
            state.available.then(|| begin(&mut state))
        };
        match begun {
            Some((cursor, resumed)) => Ok(MemorySource::new(Arc::clone(&self.0), place, cursor, resumed)),
            None => Err(unavailable(&place, "open the source")),
        }
    }

    /// How many records the log holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.state().len()
    }

    /// Whether the log holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of every record that the log holds, in order.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.0.state().all()
    }

    /// The offset at which the group's next session begins. `None` when nobody has committed for it.
    #[must_use]
    pub fn committed(&self, group: &str) -> Option<u64> {
        self.0.state().committed(group)
    }

    /// The application to which the group is bound. `None` when no session has claimed the group; see *Position* in the crate's
    /// documentation.
    #[must_use]
    pub fn application(&self, group: &str) -> Option<String> {
        self.0.state().application(group).map(str::to_owned)
    }

    /// Appends any record, as a foreign program might: without a key, without a value, or with garbage. Size, availability
    /// and the end of the log are not looked at.
    pub fn append_raw(&self, key: Option<Uuid>, headers: Vec<Header>, payload: Option<Bytes>) -> Position {
        self.0.change(|state| state.append(key, headers, payload))
    }

    /// Removes every record, as retention does. Later records keep counting where these ended. A session or a group whose
    /// position had any of them still ahead hears of it by [`Lost`](ErrorKind::Lost).
    pub fn trim(&self) {
        self.0.change(State::trim);
    }

    /// Removes so many of the newest records, as a failover to a replica without them does; records that come later take their
    /// offsets. A session or a group whose position was behind any of them hears of it by [`Lost`](ErrorKind::Lost), and begins
    /// again at the earliest record.
    pub fn truncate(&self, count: usize) {
        self.0.change(|state| state.truncate(count));
    }

    /// Deletes the log and creates it again, empty, with offsets from 0. Every session and every group that there was hears
    /// of it by [`Lost`](ErrorKind::Lost).
    pub fn recreate(&self) {
        self.0.change(State::recreate);
    }

    /// Ends the log for good: once a source has read what is there, its `next` returns `None`. Sends are refused as
    /// [`Lost`](ErrorKind::Lost).
    pub fn end(&self) {
        self.0.change(|state| state.ended = true);
    }

    /// Plays a broker that is gone (`false`) and comes back (`true`). While it is gone, everything that would need a broker
    /// returns [`Unavailable`](ErrorKind::Unavailable) at once, also a `next` that waits already. A send that fails so is
    /// certainly not in the log.
    pub fn set_available(&self, available: bool) {
        self.0.change(|state| state.available = available);
    }

    /// Lets the next `count` sends fail as [`Unavailable`](ErrorKind::Unavailable): with
    /// [`NotSent`](Delivery::NotSent) the event stays out of the log; with [`Unknown`](Delivery::Unknown) it is in the log
    /// all the same, as when only the acknowledgement was lost. Adds to failures that were asked for before.
    pub fn fail_next_sends(&self, count: usize, delivery: Delivery) {
        self.0.state().failures.extend(std::iter::repeat_n(delivery, count));
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLog")
            .field("topic", &self.0.place.topic)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
