//! The gate that work passes through, and that is shut while a backup or a restore runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::metrics::Waiters;

/// A gate around pieces of work: open while work may begin, shut while it may not.
///
/// Take a [`Permit`] around each piece of work. While the gate is shut, [`enter`](Self::enter) waits; when it is shut and no
/// permit is out, [`drained`](Self::drained) says so: then nothing runs, and nothing will begin.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use backup_tracker::WorkGate;
///
/// let gate = WorkGate::new();
/// let permit = gate.enter().await;
/// gate.shut();
/// assert!(gate.try_enter().is_none());
/// drop(permit);
/// gate.drained().await;
/// # }
/// ```
///
/// The trackers own one each and move it: [`SecondaryBackupTracker::gate`](crate::SecondaryBackupTracker::gate). A gate of
/// your own, for tests, is moved with [`shut`](Self::shut) and [`open`](Self::open).
///
/// Cheap to clone; the clones are the same gate. An open gate costs one addition and one subtraction on a counter that
/// tasks of other threads seldom share.
// What every permit passes through is marked `inline`: without link-time optimisation its caller would make a call for each
// step otherwise, which costs more than the counting.
#[derive(Clone)]
pub struct WorkGate(Arc<Inner>);

struct Inner {
    /// How many times it was moved: even is open, odd is shut.
    turns: AtomicUsize,
    shards: Box<[Shard]>,
    /// The gate has opened or shut, or a permit has come back while it was shut.
    changed: Notify,
    waiters: Waiters,
}

/// A counter of permits on a cache line of its own, so that threads do not fight over one.
#[repr(align(128))]
struct Shard(AtomicUsize);

/// Leave to work; the gate is not [`drained`](WorkGate::drained) while it lives.
#[derive(Debug)]
#[must_use = "the permit ends when it is dropped; bind it to a name for as long as the work runs"]
pub struct Permit<'a> {
    gate: &'a WorkGate,
    shard: usize,
}

/// A [`Permit`] without a lifetime, for work that moves to another task.
#[derive(Debug)]
#[must_use = "the permit ends when it is dropped; move it into the work"]
pub struct OwnedPermit {
    gate: WorkGate,
    shard: usize,
}

impl WorkGate {
    /// An open gate.
    #[must_use]
    pub fn new() -> Self {
        Self::with_waiters(Waiters::uncounted())
    }

    pub(crate) fn with_waiters(waiters: Waiters) -> Self {
        let shards = std::thread::available_parallelism().map_or(4, usize::from).next_power_of_two();
        Self(Arc::new(Inner {
            turns: AtomicUsize::new(0),
            shards: (0..shards).map(|_| Shard(AtomicUsize::new(0))).collect(),
            changed: Notify::new(),
            waiters,
        }))
    }

    /// Lets work begin.
    pub fn open(&self) {
        self.turn(true);
    }

    /// Lets no more work begin. Work that has begun is not touched; [`drained`](Self::drained) waits for it.
    pub fn shut(&self) {
        self.turn(false);
    }

    /// Whether work may begin now. The answer may be old by the time it is used: to work, take a permit.
    #[must_use]
    #[inline]
    pub fn is_open(&self) -> bool {
        is_open(self.0.turns.load(Ordering::SeqCst))
    }

    /// Waits until the gate is open, and takes a permit.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future has taken no permit, and there is no queue in which a place could be lost.
    #[inline]
    pub async fn enter(&self) -> Permit<'_> {
        Permit { gate: self, shard: self.wait_to_enter().await }
    }

    /// As [`enter`](Self::enter), with a permit that can move to another task.
    ///
    /// # Cancel safety
    ///
    /// As for [`enter`](Self::enter).
    #[inline]
    pub async fn enter_owned(&self) -> OwnedPermit {
        let shard = self.wait_to_enter().await;
        OwnedPermit { gate: self.clone(), shard }
    }

    /// Takes a permit if the gate is open now.
    #[must_use]
    #[inline]
    pub fn try_enter(&self) -> Option<Permit<'_>> {
        self.count_in().map(|shard| Permit { gate: self, shard })
    }

    /// As [`try_enter`](Self::try_enter), with a permit that can move to another task.
    #[must_use]
    #[inline]
    pub fn try_enter_owned(&self) -> Option<OwnedPermit> {
        self.count_in().map(|shard| OwnedPermit { gate: self.clone(), shard })
    }

    /// Waits until the gate is shut and no permit is out. By the time the caller acts on it the gate may be open again.
    ///
    /// Where the gate opens before that, this waits for the next time. A listener that must not wait so long asks for
    /// [`drained_or_open`](Self::drained_or_open).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained(&self) {
        self.until(|gate| gate.look() == Look::Drained).await;
    }

    /// Waits until the gate is shut and no permit is out (`true`), or it is open (`false`).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained_or_open(&self) -> bool {
        let mut seen = Look::Busy;
        self.until(|gate| {
            seen = gate.look();
            seen != Look::Busy
        })
        .await;
        seen == Look::Drained
    }

    /// Waits until the gate is open, without entering. By the time the caller acts on it the gate may be shut again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn opened(&self) {
        if self.is_open() {
            return;
        }
        let _waiting = self.0.waiters.one();
        self.until(Self::is_open).await;
    }

    async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        loop {
            let mut change = std::pin::pin!(self.0.changed.notified());
            change.as_mut().enable();
            if holds(self) {
                return;
            }
            change.await;
        }
    }

    /// While the gate is shut, a counter that reads zero stays at zero but for entries that are refused. So reading one after
    /// the other is as good as reading all at once, as long as the gate was not opened in between.
    fn look(&self) -> Look {
        let turns = self.0.turns.load(Ordering::SeqCst);
        if is_open(turns) {
            return Look::Open;
        }
        let is_empty = self.0.shards.iter().all(|shard| shard.0.load(Ordering::SeqCst) == 0);
        if is_empty && self.0.turns.load(Ordering::SeqCst) == turns { Look::Drained } else { Look::Busy }
    }

    #[inline]
    async fn wait_to_enter(&self) -> usize {
        loop {
            if let Some(shard) = self.count_in() {
                return shard;
            }
            self.opened().await;
        }
    }

    /// Counts first and looks second, while `shut` and `drained` write first and count second: with sequential consistency
    /// one of the two sees the other.
    #[inline]
    fn count_in(&self) -> Option<usize> {
        let shard = thread_number() & (self.0.shards.len() - 1);
        self.0.shards[shard].0.fetch_add(1, Ordering::SeqCst);
        if self.is_open() {
            return Some(shard);
        }
        self.count_out(shard);
        None
    }

    #[inline]
    fn count_out(&self, shard: usize) {
        self.0.shards[shard].0.fetch_sub(1, Ordering::SeqCst);
        if !self.is_open() {
            self.0.changed.notify_waiters();
        }
    }

    pub(crate) fn turn(&self, open: bool) {
        let next = |turns| (is_open(turns) != open).then(|| turns + 1);
        if self.0.turns.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok() {
            self.0.changed.notify_waiters();
        }
    }
}

#[inline]
const fn is_open(turns: usize) -> bool {
    turns.is_multiple_of(2)
}

#[derive(PartialEq, Eq)]
enum Look {
    Open,
    /// Shut, and work that began before is not over; or it has just been moved.
    Busy,
    /// Shut, and nothing runs.
    Drained,
}

#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.gate.count_out(self.shard);
    }
}

impl Drop for OwnedPermit {
    #[inline]
    fn drop(&mut self) {
        self.gate.count_out(self.shard);
    }
}

impl Default for WorkGate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WorkGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkGate").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
