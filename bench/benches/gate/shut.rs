//! A shut gate: a crowd that comes and waits, those who are refused meanwhile, and the opening for all of them.

use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backup_tracker::{GateKeeper, WorkGate};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::{JoinSet, yield_now};

/// How many wait.
const WAITERS: u64 = 10_000;

pub(crate) fn describe() -> io::Result<()> {
    writeln!(
        io::stdout(),
        "shut: {WAITERS} tasks on one thread; a time is that of one of them, or of one refusal"
    )
}

/// What nobody passes now.
pub(crate) enum Barrier {
    Gate { keeper: GateKeeper, gate: WorkGate },
    RwLock { lock: Arc<RwLock<()>>, held: OwnedRwLockWriteGuard<()> },
}

impl Barrier {
    pub(crate) fn gate() -> Self {
        let keeper = GateKeeper::new();
        let gate = keeper.gate();
        keeper.shut();
        Self::Gate { keeper, gate }
    }

    pub(crate) fn rw_lock() -> Self {
        let lock = Arc::new(RwLock::new(()));
        let held = Arc::clone(&lock).try_write_owned().unwrap();
        Self::RwLock { lock, held }
    }

    /// Tries to pass without waiting, in vain.
    fn refuses(&self) -> bool {
        match self {
            Self::Gate { gate, .. } => gate.try_enter().is_none(),
            Self::RwLock { lock, .. } => lock.try_read().is_err(),
        }
    }

    /// Lets everybody pass for as long as what is returned lives: a gate without a keeper is shut for good.
    fn open(self) -> Option<GateKeeper> {
        match self {
            Self::Gate { keeper, .. } => {
                keeper.open();
                Some(keeper)
            }
            Self::RwLock { held, .. } => {
                drop(held);
                None
            }
        }
    }
}

/// A barrier, and the tasks that wait for it.
struct Crowd {
    barrier: Barrier,
    waiting: JoinSet<()>,
    /// How often one of the tasks was polled.
    polls: Arc<AtomicU64>,
}

impl Crowd {
    fn nobody(barrier: Barrier) -> Self {
        Self { barrier, waiting: JoinSet::new(), polls: Arc::default() }
    }

    async fn waiting(barrier: Barrier) -> Self {
        let mut crowd = Self::nobody(barrier);
        (0..WAITERS).for_each(|_| crowd.one_comes());
        crowd.settle().await;
        crowd
    }

    /// A task that enters and leaves.
    fn one_comes(&mut self) {
        let polls = Arc::clone(&self.polls);
        match &self.barrier {
            Barrier::Gate { gate, .. } => {
                let gate = gate.clone();
                self.waiting.spawn(counted(polls, async move { drop(gate.enter().await.unwrap()) }));
            }
            Barrier::RwLock { lock, .. } => {
                let lock = Arc::clone(lock);
                self.waiting.spawn(counted(polls, async move { drop(lock.read().await) }));
            }
        }
    }

    /// Lets the tasks run until none of them has anything to do.
    async fn settle(&self) {
        loop {
            let before = self.polls.load(Ordering::Relaxed);
            // On a runtime of one thread, whoever is ready runs before this one goes on.
            yield_now().await;
            if self.polls.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    async fn passes(self) {
        let _open = self.barrier.open();
        self.waiting.join_all().await;
    }
}

async fn counted(polls: Arc<AtomicU64>, work: impl Future<Output = ()>) {
    let mut work = pin!(work);
    poll_fn(|context| {
        polls.fetch_add(1, Ordering::Relaxed);
        work.as_mut().poll(context)
    })
    .await;
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// So many tasks come, in crowds and one by one: who comes finds all before it at rest.
pub(crate) fn come(barrier: fn() -> Barrier, times: u64) -> Duration {
    in_crowds(times, async || {
        let mut crowd = Crowd::nobody(barrier());
        let begun = Instant::now();
        for _ in 0..WAITERS {
            crowd.one_comes();
            crowd.settle().await;
        }
        let took = begun.elapsed();
        crowd.passes().await;
        took
    })
}

/// So many tasks wait, in crowds, and are let in: until the last one of a crowd has left.
pub(crate) fn pass(barrier: fn() -> Barrier, times: u64) -> Duration {
    in_crowds(times, async || {
        let crowd = Crowd::waiting(barrier()).await;
        let begun = Instant::now();
        crowd.passes().await;
        begun.elapsed()
    })
}

/// Only whole crowds come; of the last one, a share of the time is counted.
fn in_crowds(times: u64, one: impl AsyncFn() -> Duration) -> Duration {
    let crowds = times.div_ceil(WAITERS);
    let took = runtime().block_on(async {
        let mut took = Duration::ZERO;
        for _ in 0..crowds {
            took += one().await;
        }
        took
    });
    took.mul_f64(times as f64 / (crowds * WAITERS) as f64)
}

/// A crowd that waits, beside which others are refused.
pub(crate) struct Refusals {
    runtime: Runtime,
    crowd: Crowd,
}

impl Refusals {
    pub(crate) fn new(barrier: Barrier) -> Self {
        let runtime = runtime();
        let crowd = runtime.block_on(Crowd::waiting(barrier));
        Self { runtime, crowd }
    }

    /// Somebody is refused so often; in between, whoever of the crowd was woken runs.
    pub(crate) fn refuse(&self, times: u64) -> Duration {
        self.runtime.block_on(async {
            let begun = Instant::now();
            for _ in 0..times {
                assert!(self.crowd.barrier.refuses());
                self.crowd.settle().await;
            }
            begun.elapsed()
        })
    }
}
