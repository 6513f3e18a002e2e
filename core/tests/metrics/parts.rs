//! What the scenario is made of: a source that is held back, a listener that panics, and one role's series.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use backup_tracker::wire::encode;
use backup_tracker::{
    BackupState, BackupTransition, BoxError, Change, Error, ErrorKind, EventSource, Listener, Position,
    Record, Remaining, Result, WireFormat, WorkGate,
};
use backup_tracker_memory::{MemoryLog, MemorySource};
use uuid::Uuid;

use BackupState::BackingUp;

use tokio::sync::watch;

use crate::recorder::{Emitted, series};
use crate::support::within;

/// Returns records only while the gate is open, as if they stood in a partition, and fails commits as told.
pub(crate) struct Held {
    pub(crate) inner: MemorySource,
    pub(crate) gate: WorkGate,
    pub(crate) partition: Arc<AtomicU32>,
    pub(crate) commit_failures: Arc<AtomicUsize>,
}

impl EventSource for Held {
    async fn next(&mut self) -> Result<Option<Record>> {
        self.gate.opened().await?;
        let mut next = self.inner.next().await?;
        if let Some(record) = &mut next
            && let Position::Offset(offset) = record.position
        {
            let partition = self.partition.load(Ordering::SeqCst);
            record.position = Position::Partition { partition, offset };
        }
        Ok(next)
    }

    async fn commit(&mut self) -> Result<()> {
        let less_one = |left: usize| left.checked_sub(1);
        if self.commit_failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less_one).is_ok() {
            return Err(Error::new(ErrorKind::Unavailable, "commit", "the coordinator moves"));
        }
        self.inner.commit().await
    }

    fn resumed(&self) -> bool {
        self.inner.resumed()
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        // All in the partition of the records to come.
        let before = std::iter::repeat_n(0, self.partition.load(Ordering::SeqCst) as usize);
        let count = self.inner.remaining().await?.total();
        Ok(Remaining::in_partitions(before.chain([count])))
    }

    async fn close(self) -> Result<()> {
        self.inner.close().await
    }
}

/// Panics at the first backup, and does not return while it is held.
pub(crate) struct Fragile {
    backups: AtomicUsize,
    held: watch::Receiver<bool>,
}

impl Fragile {
    pub(crate) fn new(hold: &watch::Sender<bool>) -> Self {
        Self { backups: AtomicUsize::new(0), held: hold.subscribe() }
    }
}

impl<T: Sync> Listener<T> for Fragile {
    async fn on_change(&self, change: &Change, _: &T) -> Result<(), BoxError> {
        self.held.clone().wait_for(|held| !held).await?;
        let first = change.transition.to == BackingUp && self.backups.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(!first, "a listener panics on purpose");
        Ok(())
    }
}

/// One role's series of the application.
pub(crate) struct Metrics<'a>(pub(crate) &'a Emitted, pub(crate) &'static str);

impl Metrics<'_> {
    pub(crate) fn series(&self, name: &str, label: Option<(&str, &str)>) -> String {
        let own = [("application", "shop"), ("role", self.1)];
        let labels: Vec<_> = own.into_iter().chain(label).collect();
        series(&format!("backup_tracker_{name}"), &labels)
    }

    pub(crate) async fn show(&self, name: &str, value: f64) {
        self.0.shows(self.series(name, None), value).await;
    }

    pub(crate) async fn show_with(&self, name: &str, label: (&str, &str), value: f64) {
        self.0.shows(self.series(name, Some(label)), value).await;
    }

    /// Whatever its value, as long as there is one.
    pub(crate) async fn show_slow_listener(&self) {
        let label = ("listener", std::any::type_name::<Fragile>());
        self.0.shows_something(self.series("listener_slow_since_timestamp_seconds", Some(label))).await;
    }

    pub(crate) async fn in_state(&self, state: BackupState) {
        for one in BackupState::ALL {
            let value = if one == state { 1.0 } else { 0.0 };
            self.show_with("state", ("state", one.as_str()), value).await;
        }
    }

    pub(crate) async fn runs_since(&self, operation: &str, begun: Option<&BackupTransition>) {
        let since = begun.map_or(0.0, |begun| seconds(begun.timestamp_millis));
        self.show_with("operation_start_timestamp_seconds", ("operation", operation), since).await;
    }

    pub(crate) async fn durations(&self, operation: &str, expected: &[f64]) {
        let label = ("operation", operation);
        self.show_with("operation_duration_seconds", label, expected.len() as f64).await;
        let series = self.series("operation_duration_seconds", Some(label));
        assert_eq!(self.0.samples(&series), expected, "{series}");
    }

    /// Somebody waits for the gate while it is shut, and somebody gives up waiting.
    pub(crate) async fn counts_waiters(&self, gate: &WorkGate) -> tokio::task::JoinHandle<()> {
        let enter = |gate: WorkGate| tokio::spawn(async move { drop(gate.enter().await) });
        let (patient, impatient) = (enter(gate.clone()), enter(gate.clone()));
        self.show("gate_waiters", 2.0).await;
        impatient.abort();
        self.show("gate_waiters", 1.0).await;
        patient
    }

    pub(crate) async fn has_no_waiter_after(&self, patient: tokio::task::JoinHandle<()>) {
        within(patient).await.unwrap();
        self.show("gate_waiters", 0.0).await;
    }
}

pub(crate) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

pub(crate) fn took(begun: &BackupTransition, ended: &BackupTransition) -> f64 {
    seconds(ended.timestamp_millis - begun.timestamp_millis)
}

pub(crate) fn append(
    log: &MemoryLog,
    application: &str,
    id: u128,
    seconds: u64,
    from: BackupState,
    to: BackupState,
) {
    let transition = BackupTransition::new(Uuid::from_u128(id), application, seconds * 1000, from, to);
    append_step(log, &transition);
}

pub(crate) fn append_step(log: &MemoryLog, transition: &BackupTransition) {
    let event = encode(transition, WireFormat::Cbor);
    log.append_raw(Some(event.key), event.headers, Some(event.payload));
}
