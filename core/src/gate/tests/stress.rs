//! Threads that get in each other's way.

use std::sync::atomic::AtomicBool;

use tokio::task::{JoinSet, yield_now};

use super::*;

struct Room {
    gate: WorkGate,
    inside: AtomicUsize,
    entered: AtomicUsize,
}

impl Room {
    async fn work(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        yield_now().await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.entered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Until 10,000 pieces of work are done by tasks that wait, and by others that only try.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_inside_once_drained_says_so() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    let room = Arc::new(Room { gate, inside: AtomicUsize::new(0), entered: AtomicUsize::new(0) });
    let over = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let waits = Arc::clone(&room);
        workers.spawn(async move {
            while let Ok(_permit) = waits.gate.enter().await {
                waits.work().await;
            }
        });
        let (tries, over) = (Arc::clone(&room), Arc::clone(&over));
        workers.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                match tries.gate.try_enter() {
                    Some(_permit) => tries.work().await,
                    None => yield_now().await,
                }
            }
        });
    }
    while room.entered.load(Ordering::SeqCst) < 10_000 {
        keeper.shut();
        room.gate.drained().await;
        assert_eq!(room.inside.load(Ordering::SeqCst), 0);
        keeper.open();
        yield_now().await;
    }
    // Those who wait end by themselves.
    keeper.shut();
    room.gate.drained().await;
    drop(keeper);
    over.store(true, Ordering::SeqCst);
    workers.join_all().await;
}
