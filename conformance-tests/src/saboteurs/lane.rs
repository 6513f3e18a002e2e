//! The wrapper around a harness and its lanes.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_tracker::{Event, Result, Sink, StartAt};
use uuid::Uuid;

use super::Sabotage;
use super::positions::Positions;
use super::sink::SabotagedSink;
use super::source::SabotagedSource;
use crate::harness::{Fault, Harness, Isolation, Lane, RawRecord};
use crate::profile::Profile;

/// A sound harness, and the way in which it is broken.
#[derive(Debug)]
pub struct Sabotaged<H> {
    inner: H,
    sabotage: Sabotage,
    name: String,
}

impl<H: Harness> Sabotaged<H> {
    /// Breaks the transport of this harness.
    #[must_use]
    pub fn new(inner: H, sabotage: Sabotage) -> Self {
        let name = format!("{} that {sabotage:?}", inner.name());
        Self { inner, sabotage, name }
    }
}

impl<H: Harness> Harness for Sabotaged<H> {
    type Lane = SabotagedLane<H::Lane>;

    fn name(&self) -> &str {
        &self.name
    }

    fn profile(&self) -> Profile {
        self.inner.profile()
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<Self::Lane> {
        Ok(SabotagedLane {
            inner: Arc::new(self.inner.lane(name, isolation).await?),
            sabotage: self.sabotage,
            notes: Arc::new(Notes { max_event_bytes: self.profile().max_event_bytes(), ..Notes::default() }),
        })
    }
}

/// A lane whose sinks and sources are broken.
pub struct SabotagedLane<L> {
    inner: Arc<L>,
    sabotage: Sabotage,
    notes: Arc<Notes>,
}

/// What the broken sinks and sources of a lane share.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) max_event_bytes: usize,
    pub(super) gone: AtomicBool,
    pub(super) trimmed: AtomicBool,
    pub(super) recreated: AtomicBool,
    pub(super) slow: AtomicBool,
    /// The broker was asked to end.
    pub(super) stopped: AtomicBool,
    /// One leader does not answer.
    pub(super) deaf: AtomicBool,
    pub(super) denied: AtomicBool,
    /// The log is deleted.
    pub(super) away: AtomicBool,
    pub(super) truncated: AtomicBool,
    /// How often credentials were renewed.
    pub(super) renewals: AtomicUsize,
    /// Whose events are sent, by their keys.
    writers: Mutex<HashMap<Uuid, Arc<str>>>,
    /// Groups that have an application, and those that had one until they committed.
    claimed: Mutex<HashSet<String>>,
    /// Events that are to be in the log although their errors said that they are not.
    limbo: Mutex<Vec<Event>>,
    /// What sessions of a group have returned.
    delivered: Mutex<HashMap<String, HashSet<Uuid>>>,
    pub(super) positions: Positions,
}

impl Notes {
    pub(super) fn limbo(&self) -> MutexGuard<'_, Vec<Event>> {
        self.limbo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wrote(&self, event: &Event) {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.insert(event.key, Arc::clone(&event.application));
    }

    pub(super) fn writer(&self, key: Option<Uuid>) -> Option<Arc<str>> {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        key.and_then(|key| writers.get(&key).cloned())
    }

    /// Notes the group. Whether it is the first time.
    pub(super) fn claim(&self, group: &str) -> bool {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.insert(group.to_owned())
    }

    pub(super) fn is_claimed(&self, group: &str) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).contains(group)
    }

    /// Notes that the group got the event. Whether it is the first time.
    pub(super) fn delivered(&self, group: &str, key: Uuid) -> bool {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.entry(group.to_owned()).or_default().insert(key)
    }

    pub(super) fn was_delivered(&self, group: &str, key: Uuid) -> bool {
        let delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.get(group).is_some_and(|keys| keys.contains(&key))
    }

    /// The fault is over.
    fn calm(&self) {
        for flag in [&self.gone, &self.slow, &self.stopped, &self.deaf, &self.denied] {
            flag.store(false, Ordering::SeqCst);
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Nothing can come.
    pub(super) fn is_silent(&self) -> bool {
        self.is_gone() || self.deaf.load(Ordering::SeqCst)
    }

    pub(super) fn renewals(&self) -> usize {
        self.renewals.load(Ordering::SeqCst)
    }
}

impl<L: Lane> Lane for SabotagedLane<L> {
    type Sink = SabotagedSink<L>;
    type Source = SabotagedSource<L>;

    async fn sink(&self) -> Result<Self::Sink> {
        let inner = self.inner.sink().await?;
        Ok(SabotagedSink::new(inner, self.sabotage, Arc::clone(&self.notes)))
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<Self::Source> {
        let (lane, notes) = (Arc::clone(&self.inner), Arc::clone(&self.notes));
        SabotagedSource::open(lane, group, start, self.sabotage, notes).await
    }

    async fn observer(&self, start: StartAt) -> Result<Self::Source> {
        let (lane, notes) = (Arc::clone(&self.inner), Arc::clone(&self.notes));
        SabotagedSource::observe(lane, start, self.sabotage, notes).await
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        self.inner.append_raw(record).await
    }

    async fn trim(&self) -> Result<()> {
        self.notes.trimmed.store(true, Ordering::SeqCst);
        self.inner.trim().await
    }

    async fn recreate(&self) -> Result<()> {
        self.notes.trimmed.store(true, Ordering::SeqCst);
        self.notes.recreated.store(true, Ordering::SeqCst);
        self.inner.recreate().await?;
        self.notes.away.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn delete(&self) -> Result<()> {
        self.notes.away.store(true, Ordering::SeqCst);
        self.inner.delete().await
    }

    async fn truncate(&self, count: usize) -> Result<()> {
        self.notes.trimmed.store(true, Ordering::SeqCst);
        self.notes.truncated.store(true, Ordering::SeqCst);
        self.inner.truncate(count).await
    }

    async fn renew_credentials(&self) -> Result<()> {
        self.notes.renewals.fetch_add(1, Ordering::SeqCst);
        self.inner.renew_credentials().await
    }

    async fn end(&self) -> Result<()> {
        self.inner.end().await
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        if self.sabotage == Sabotage::ForgetsOnRestart && matches!(fault, Fault::Kill | Fault::Stop) {
            self.inner.trim().await?;
        }
        let notes = &self.notes;
        let flag = match fault {
            Fault::Delay => &notes.slow,
            Fault::PartialBlackHole => &notes.deaf,
            Fault::Deny => &notes.denied,
            _ => &notes.gone,
        };
        flag.store(true, Ordering::SeqCst);
        let restarts = matches!(fault, Fault::RestartOne | Fault::Roll);
        if restarts || fault == Fault::Stop {
            notes.stopped.store(true, Ordering::SeqCst);
        }
        let inflicted = self.inner.inflict(fault).await;
        if restarts {
            notes.calm();
        }
        inflicted
    }

    async fn heal(&self) -> Result<()> {
        self.inner.heal().await?;
        self.notes.calm();
        let limbo = std::mem::take(&mut *self.notes.limbo());
        let mut sink = self.inner.sink().await?;
        for event in &limbo {
            sink.send(event).await?;
        }
        Ok(())
    }
}

impl<L> fmt::Debug for SabotagedLane<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SabotagedLane").field("sabotage", &self.sabotage).finish_non_exhaustive()
    }
}
