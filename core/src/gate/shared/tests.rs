//! What threads do to each other between two steps, one step at a time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Wake, Waker};

use super::*;

fn shared() -> Shared {
    Shared::new(Waiters::uncounted())
}

#[test]
fn who_counts_itself_in_after_the_gate_was_shut_goes_back() {
    let gate = shared();
    assert!(gate.is_open());
    gate.turn(false);
    assert!(gate.look() == Look::Drained);
    assert_eq!(gate.count_in_and_look(), None);
    assert!(gate.look() == Look::Drained, "it is still counted");
}

#[test]
fn who_goes_back_wakes_those_who_saw_it_counted() {
    let gate = shared();
    gate.turn(false);
    gate.shards[0].0.fetch_add(1, Ordering::SeqCst);
    let woken = Flag::new();
    let mut drained = pin!(gate.observe(|gate| (gate.look() == Look::Drained).then_some(())));
    assert!(drained.as_mut().poll(&mut woken.context()).is_pending());
    gate.count_out(0);
    assert!(woken.is_up());
    assert!(drained.poll(&mut woken.context()).is_ready());
}

#[test]
fn a_gate_that_was_open_in_the_middle_of_a_look_is_not_drained_by_it() {
    let gate = shared();
    gate.turn(false);
    let turns = gate.turns.load(Ordering::SeqCst);
    gate.turn(true);
    gate.turn(false);
    assert!(gate.look_since(turns) == Look::Busy);
    assert!(gate.look() == Look::Drained);
}

#[test]
fn a_gate_that_ended_in_the_middle_of_a_look_is_drained() {
    let gate = shared();
    gate.turn(false);
    let turns = gate.turns.load(Ordering::SeqCst);
    gate.end("it has ended".to_owned(), None);
    assert!(gate.look_since(turns) == Look::Drained);
}

#[test]
fn who_has_looked_and_does_not_wait_yet_is_woken_all_the_same() {
    type Change = fn(&Shared);
    let (opens, ends): (Change, Change) =
        (|gate| gate.turn(true), |gate| gate.end("it has ended".to_owned(), None));
    let drains: Change = |gate| gate.count_out(0);
    for (change, at_the_door) in [(opens, true), (ends, true), (drains, false)] {
        let gate = shared();
        gate.shards[0].0.fetch_add(1, Ordering::SeqCst);
        gate.turn(false);
        let has_looked = AtomicBool::new(false);
        let look = |gate: &Shared| {
            if has_looked.swap(true, Ordering::SeqCst) {
                return Some(());
            }
            change(gate);
            None
        };
        let notify = if at_the_door { &gate.door } else { &gate.motion };
        let woken = Flag::new();
        let is_ready = pin!(gate.wait(notify, look)).poll(&mut woken.context()).is_ready();
        assert!(is_ready || woken.is_up(), "it sleeps through it");
    }
}

struct Flag(Arc<Up>, Waker);

#[derive(Default)]
struct Up(AtomicBool);

impl Wake for Up {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Flag {
    fn new() -> Self {
        let up = Arc::<Up>::default();
        Self(Arc::clone(&up), Waker::from(up))
    }

    fn context(&self) -> Context<'_> {
        Context::from_waker(&self.1)
    }

    fn is_up(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }
}
