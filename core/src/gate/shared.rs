//! What a gate and its keeper share: whether it is open, who is inside, and who waits.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::GateState;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::metrics::Waiters;

/// Set in `turns` when the gate has ended.
const ENDED: usize = 1 << (usize::BITS - 1);

pub(super) struct Shared {
    /// How many times it was moved: even is open, odd is shut. With [`ENDED`] it is odd and moves no more.
    turns: AtomicUsize,
    shards: Box<[Shard]>,
    /// Why it ended; set before `turns` shows it.
    end: OnceLock<Error>,
    /// For those who want to enter: the gate has opened or ended.
    door: Notify,
    /// For those who look on: the gate was moved, or the last permit of a shard has come back while it was shut.
    motion: Notify,
    pub(super) waiters: Waiters,
}

/// A counter of permits on a cache line of its own, so that threads do not fight over one.
#[repr(align(128))]
struct Shard(AtomicUsize);

#[derive(PartialEq, Eq)]
pub(super) enum Look {
    Open,
    /// Shut, and work that began before is not over; or it has just been moved.
    Busy,
    /// Shut, and nothing runs.
    Drained,
}

// Why nobody is inside once `look` says Drained. Who enters counts itself first and looks at `turns` second; who moves the
// gate writes `turns` first, and then the counters are read. All of these are sequentially consistent, so they stand in one
// order, and in it either the entrant's look comes before the move, and then its count comes before the reading, or it comes
// after the move, and then the entrant goes back. The look *before* the counting decides nothing: it only keeps those away who
// would have to go back, so that they touch no counter and wake nobody.
//
// Why nobody sleeps through what it waits for. Who waits takes its place (`notified`) first and looks second; who changes
// something writes first and wakes second. If the place was taken before the waking, it is woken; if after it, it sees what
// was written. A permit that comes back while its holder still sees an open gate wakes nobody: then the move comes later in
// the one order, and those who are woken by it see the permit gone.
impl Shared {
    pub(super) fn new(waiters: Waiters) -> Self {
        let shards = std::thread::available_parallelism().map_or(4, usize::from).next_power_of_two();
        Self {
            turns: AtomicUsize::new(0),
            shards: (0..shards).map(|_| Shard(AtomicUsize::new(0))).collect(),
            end: OnceLock::new(),
            door: Notify::new(),
            motion: Notify::new(),
            waiters,
        }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        is_open(self.turns.load(Ordering::SeqCst))
    }

    pub(super) fn state(&self) -> GateState {
        match self.turns.load(Ordering::SeqCst) {
            turns if is_open(turns) => GateState::Open,
            turns if has_ended(turns) => GateState::Ended,
            _ => GateState::Shut,
        }
    }

    /// What somebody gets who wants to enter; `None` while it has to wait.
    pub(super) fn answer(&self) -> Option<Result<()>> {
        match self.state() {
            GateState::Open => Some(Ok(())),
            GateState::Shut => None,
            GateState::Ended => self.end.get().map(|error| Err(error.clone())),
        }
    }

    #[inline]
    pub(super) fn count_in(&self) -> Option<usize> {
        if self.is_open() { self.count_in_and_look() } else { None }
    }

    #[inline]
    fn count_in_and_look(&self) -> Option<usize> {
        let shard = thread_number() & (self.shards.len() - 1);
        self.shards[shard].0.fetch_add(1, Ordering::SeqCst);
        if self.is_open() {
            return Some(shard);
        }
        self.count_out(shard);
        None
    }

    #[inline]
    pub(super) fn count_out(&self, shard: usize) {
        let was_last = self.shards[shard].0.fetch_sub(1, Ordering::SeqCst) == 1;
        // While one is left in the shard, the gate is not drained, and that one will say so.
        if was_last && !self.is_open() {
            self.motion.notify_waiters();
        }
    }

    /// While the gate is shut, a counter that reads zero stays at zero but for entries that go back. So reading one after the
    /// other is as good as reading all at once, as long as the gate was not opened in between.
    pub(super) fn look(&self) -> Look {
        self.look_since(self.turns.load(Ordering::SeqCst))
    }

    fn look_since(&self, turns: usize) -> Look {
        if is_open(turns) {
            return Look::Open;
        }
        let is_empty = self.shards.iter().all(|shard| shard.0.load(Ordering::SeqCst) == 0);
        // One that has ended since is as shut as before.
        let is_same = self.turns.load(Ordering::SeqCst) & !ENDED == turns & !ENDED;
        if is_empty && is_same { Look::Drained } else { Look::Busy }
    }

    pub(super) fn turn(&self, open: bool) {
        let next = |turns| (!has_ended(turns) && is_open(turns) != open).then(|| turns + 1);
        if self.turns.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok() {
            if open {
                self.door.notify_waiters();
            }
            self.motion.notify_waiters();
        }
    }

    /// Shuts it for good. The first end is the one that counts.
    pub(super) fn end(&self, message: String, cause: Option<Error>) {
        self.end.get_or_init(|| {
            let error = Error::new(ErrorKind::Closed, "begin work", message).with_delivery(Delivery::NotSent);
            match cause {
                Some(cause) => error.with_source(cause),
                None => error,
            }
        });
        let next = |turns| (!has_ended(turns)).then_some(turns | 1 | ENDED);
        if self.turns.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok() {
            self.door.notify_waiters();
            self.motion.notify_waiters();
        }
    }

    /// Looks each time that the gate opens or ends, until there is an answer.
    pub(super) async fn wait_at_the_door<T>(&self, look: impl Fn(&Self) -> Option<T> + Send) -> T {
        self.wait(&self.door, look).await
    }

    /// Looks each time that the gate is moved or may have drained, until there is an answer.
    pub(super) async fn observe<T>(&self, look: impl Fn(&Self) -> Option<T> + Send) -> T {
        self.wait(&self.motion, look).await
    }

    async fn wait<T>(&self, notify: &Notify, look: impl Fn(&Self) -> Option<T> + Send) -> T {
        loop {
            // Takes its place: whoever wakes from now on wakes this one, though it was not polled yet.
            let woken = notify.notified();
            if let Some(answer) = look(self) {
                return answer;
            }
            woken.await;
        }
    }
}

#[inline]
const fn is_open(turns: usize) -> bool {
    turns.is_multiple_of(2)
}

const fn has_ended(turns: usize) -> bool {
    turns & ENDED != 0
}

#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests;
