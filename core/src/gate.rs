//! The gate that work passes through, and that is shut while a backup or a restore runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

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
#[derive(Clone)]
pub struct WorkGate(Arc<Inner>);

struct Inner {
    open: AtomicBool,
    shards: Box<[Shard]>,
    opened: Notify,
    left: Notify,
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
        let shards = std::thread::available_parallelism().map_or(4, usize::from).next_power_of_two();
        Self(Arc::new(Inner {
            open: AtomicBool::new(true),
            shards: (0..shards).map(|_| Shard(AtomicUsize::new(0))).collect(),
            opened: Notify::new(),
            left: Notify::new(),
        }))
    }

    /// Lets work begin.
    pub fn open(&self) {
        self.0.open.store(true, Ordering::SeqCst);
        self.0.opened.notify_waiters();
    }

    /// Lets no more work begin. Work that has begun is not touched; [`drained`](Self::drained) waits for it.
    pub fn shut(&self) {
        self.0.open.store(false, Ordering::SeqCst);
        self.0.left.notify_waiters();
    }

    /// Whether work may begin now. The answer may be old by the time it is used: to work, take a permit.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.open.load(Ordering::SeqCst)
    }

    /// Waits until the gate is open, and takes a permit.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future has taken no permit, and there is no queue in which a place could be lost.
    pub async fn enter(&self) -> Permit<'_> {
        Permit { gate: self, shard: self.wait_to_enter().await }
    }

    /// As [`enter`](Self::enter), with a permit that can move to another task.
    ///
    /// # Cancel safety
    ///
    /// As for [`enter`](Self::enter).
    pub async fn enter_owned(&self) -> OwnedPermit {
        let shard = self.wait_to_enter().await;
        OwnedPermit { gate: self.clone(), shard }
    }

    /// Takes a permit if the gate is open now.
    #[must_use]
    pub fn try_enter(&self) -> Option<Permit<'_>> {
        self.count_in().map(|shard| Permit { gate: self, shard })
    }

    /// As [`try_enter`](Self::try_enter), with a permit that can move to another task.
    #[must_use]
    pub fn try_enter_owned(&self) -> Option<OwnedPermit> {
        self.count_in().map(|shard| OwnedPermit { gate: self.clone(), shard })
    }

    /// Waits until the gate is shut and no permit is out. By the time the caller acts on it the gate may be open again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained(&self) {
        loop {
            let mut left = std::pin::pin!(self.0.left.notified());
            left.as_mut().enable();
            // In this order: once the gate is shut, a counter that reads zero stays at zero but for entries that are
            // refused, so reading one after the other is as good as reading all at once.
            if !self.is_open() && self.0.shards.iter().all(|shard| shard.0.load(Ordering::SeqCst) == 0) {
                return;
            }
            left.await;
        }
    }

    async fn wait_to_enter(&self) -> usize {
        loop {
            if let Some(shard) = self.count_in() {
                return shard;
            }
            let mut opened = std::pin::pin!(self.0.opened.notified());
            opened.as_mut().enable();
            if let Some(shard) = self.count_in() {
                return shard;
            }
            opened.await;
        }
    }

    /// Counts first and looks second, while `shut` and `drained` write first and count second: with sequential consistency
    /// one of the two sees the other.
    fn count_in(&self) -> Option<usize> {
        let shard = thread_number() & (self.0.shards.len() - 1);
        self.0.shards[shard].0.fetch_add(1, Ordering::SeqCst);
        if self.is_open() {
            return Some(shard);
        }
        self.count_out(shard);
        None
    }

    fn count_out(&self, shard: usize) {
        self.0.shards[shard].0.fetch_sub(1, Ordering::SeqCst);
        if !self.is_open() {
            self.0.left.notify_waiters();
        }
    }

    pub(crate) fn set(&self, open: bool) {
        match (open, self.is_open()) {
            (true, false) => self.open(),
            (false, true) => self.shut(),
            _ => {}
        }
    }
}

fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.gate.count_out(self.shard);
    }
}

impl Drop for OwnedPermit {
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
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_pending<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[test]
    fn a_shut_gate_lets_nobody_in_until_it_opens() {
        let gate = WorkGate::new();
        drop(gate.try_enter().unwrap());
        gate.shut();
        assert!(gate.try_enter().is_none());
        let mut waiting = pin!(gate.enter());
        assert!(is_pending(waiting.as_mut()));
        gate.open();
        assert!(!is_pending(waiting));
    }

    #[test]
    fn drained_waits_for_shut_and_for_every_permit() {
        let gate = WorkGate::new();
        let mut drained = pin!(gate.drained());
        assert!(is_pending(drained.as_mut()), "an open gate is not drained");
        let one = gate.try_enter().unwrap();
        let two = gate.try_enter_owned().unwrap();
        gate.shut();
        assert!(is_pending(drained.as_mut()));
        drop(one);
        assert!(is_pending(drained.as_mut()));
        let clone = gate.clone();
        std::thread::spawn(move || drop(two)).join().unwrap();
        assert!(!is_pending(drained));
        assert!(!clone.is_open());
    }

    #[test]
    fn a_future_that_is_dropped_while_waiting_leaves_no_permit_behind() {
        let gate = WorkGate::new();
        gate.shut();
        for _ in 0..1000 {
            assert!(is_pending(pin!(gate.enter())));
        }
        assert!(matches!(
            pin!(gate.drained()).poll(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(())
        ));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_is_inside_once_drained_says_so() {
        let gate = WorkGate::new();
        let inside = Arc::new(AtomicUsize::new(0));
        let entered = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (gate, inside, entered) = (gate.clone(), inside.clone(), entered.clone());
                tokio::spawn(async move {
                    loop {
                        let _permit = gate.enter().await;
                        inside.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        inside.fetch_sub(1, Ordering::SeqCst);
                        entered.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        while entered.load(Ordering::SeqCst) < 10_000 {
            gate.shut();
            gate.drained().await;
            assert_eq!(inside.load(Ordering::SeqCst), 0);
            gate.open();
            tokio::task::yield_now().await;
        }
        for worker in workers {
            worker.abort();
        }
    }
}
