//! Three things to enter and leave, and the tasks that do.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backup_tracker::{GateKeeper, WorkGate};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::RwLock;
use tokio::task::{JoinSet, yield_now};

/// How often a task enters and leaves before it lets the next one run. Tokio itself makes the readers of a lock yield after 128.
const STRETCH: u64 = 128;

#[derive(Clone)]
pub(crate) enum Subject {
    Gate(Arc<GateKeeper>, WorkGate),
    RwLock(Arc<RwLock<()>>),
    Atomic(Arc<Alone>),
}

/// On a cache line of its own, so that nothing is in its way but those who count.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Alone(AtomicUsize);

impl Subject {
    pub(crate) fn gate() -> Self {
        let keeper = GateKeeper::new();
        let gate = keeper.gate();
        Self::Gate(Arc::new(keeper), gate)
    }

    pub(crate) fn rw_lock() -> Self {
        Self::RwLock(Arc::default())
    }

    pub(crate) fn atomic() -> Self {
        Self::Atomic(Arc::default())
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Gate(..) => "WorkGate::enter",
            Self::RwLock(_) => "tokio RwLock::read",
            Self::Atomic(_) => "one atomic counter",
        }
    }

    /// Enters and leaves so often, one after the other.
    async fn enter_and_leave(self, times: u64) {
        let mut left = times;
        while left > 0 {
            let stretch = left.min(STRETCH);
            left -= stretch;
            match &self {
                Self::Gate(_keeper, gate) => {
                    for _ in 0..stretch {
                        drop(black_box(gate.enter().await.unwrap()));
                    }
                }
                Self::RwLock(lock) => {
                    for _ in 0..stretch {
                        drop(black_box(lock.read().await));
                    }
                }
                Self::Atomic(counter) => {
                    for _ in 0..stretch {
                        // Nobody wants the old values: asking for them would make dearer instructions of it.
                        counter.0.fetch_add(1, Ordering::SeqCst);
                        black_box(&counter.0);
                        counter.0.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            }
            yield_now().await;
        }
    }
}

/// A runtime with a thread for each core.
pub(crate) struct Crowd {
    runtime: Runtime,
    threads: usize,
}

impl Crowd {
    pub(crate) fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread().worker_threads(threads).build().unwrap();
        Self { runtime, threads }
    }

    pub(crate) fn describe(&self) -> io::Result<()> {
        let threads = self.threads;
        writeln!(io::stdout(), "cores: {threads}; a time is that of one entry, whoever of the tasks makes it")
    }

    /// So many tasks enter and leave so often, all together.
    pub(crate) fn run(&self, subject: &Subject, tasks: usize, times: u64) -> Duration {
        self.runtime.block_on(async {
            let shares = (0..tasks as u64).map(|task| (times + task) / tasks as u64);
            let begun = Instant::now();
            let running: JoinSet<()> = shares.map(|share| subject.clone().enter_and_leave(share)).collect();
            running.join_all().await;
            begun.elapsed()
        })
    }
}
