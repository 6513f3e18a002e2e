//! When the last of many is there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use backup_tracker::WorkGate;
use tokio::sync::Notify;

/// Counts arrivals, and remembers when the last one was.
#[derive(Debug)]
pub(crate) struct Finish {
    begin: Instant,
    left: AtomicUsize,
    /// Nanoseconds since `begin`.
    latest: AtomicU64,
    done: Notify,
}

impl Finish {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begin: Instant::now(),
            left: AtomicUsize::new(0),
            latest: AtomicU64::new(0),
            done: Notify::new(),
        })
    }

    /// Expects so many arrivals.
    pub(crate) fn expect(&self, count: usize) {
        self.latest.store(0, Ordering::SeqCst);
        self.left.store(count, Ordering::SeqCst);
    }

    /// One has arrived, now.
    pub(crate) fn arrived(&self) {
        let now = u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.latest.fetch_max(now, Ordering::SeqCst);
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.done.notify_one();
        }
    }

    /// Waits for all, and says when the last one arrived.
    pub(crate) async fn all(&self) -> Instant {
        while self.left.load(Ordering::SeqCst) > 0 {
            self.done.notified().await;
        }
        self.begin + Duration::from_nanos(self.latest.load(Ordering::SeqCst))
    }
}

/// Counts a gate as arrived when it shuts: in the wake of a task that waits for it, which is called where it is shut, so that no
/// other task has to run for it.
pub(crate) struct Shutting<'a>(Vec<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>);

struct Arrival {
    finish: Arc<Finish>,
    there: AtomicBool,
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        if !self.there.swap(true, Ordering::SeqCst) {
            self.finish.arrived();
        }
    }
}

impl<'a> Shutting<'a> {
    /// Waits, from now on, for all of these gates, which are open.
    pub(crate) fn of(gates: &'a [WorkGate], finish: &Arc<Finish>) -> Self {
        finish.expect(gates.len());
        let wait = |gate: &'a WorkGate| {
            let mut shut: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(gate.shut());
            let arrival = Arrival { finish: Arc::clone(finish), there: AtomicBool::new(false) };
            let waker = Waker::from(Arc::new(arrival));
            if shut.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                // It was shut before: counted, and found out by whoever compares.
                waker.wake();
            }
            shut
        };
        Self(gates.iter().map(wait).collect())
    }

    /// Waits until all are shut.
    pub(crate) async fn all(self, finish: &Finish) -> Instant {
        let at = finish.all().await;
        drop(self.0);
        at
    }
}

#[cfg(test)]
mod tests {
    use backup_tracker::GateKeeper;

    use super::*;

    #[tokio::test]
    async fn the_last_gate_counts() {
        let keepers = [GateKeeper::new(), GateKeeper::new()];
        let (gates, finish) = (keepers.each_ref().map(GateKeeper::gate), Finish::new());
        let shutting = Shutting::of(&gates, &finish);
        keepers[0].shut();
        let all = shutting.all(&finish);
        let mut all = std::pin::pin!(all);
        let pending =
            std::future::poll_fn(|context| std::task::Poll::Ready(all.as_mut().poll(context).is_pending()));
        assert!(pending.await);
        let before = Instant::now();
        keepers[1].shut();
        assert!(all.await >= before);
    }
}
