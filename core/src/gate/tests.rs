use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;

mod changes;
mod end;
mod stress;
mod wakes;

/// A future that waits, and how often it was woken.
struct Waiting<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<'a, T> Waiting<'a, T> {
    /// Polls it once; it must wait.
    #[track_caller]
    fn on(future: impl Future<Output = T> + Send + 'a) -> Self {
        let mut waiting = Self { future: Box::pin(future), wakes: Arc::default() };
        assert!(waiting.poll().is_pending(), "it does not wait");
        waiting
    }

    fn poll(&mut self) -> Poll<T> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    #[track_caller]
    fn still_waits(&mut self) {
        assert!(self.poll().is_pending(), "it waits no more");
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }

    /// Its result; it must have been woken.
    #[track_caller]
    fn ends(mut self) -> T {
        assert!(self.wakes() > 0, "it was not woken");
        now(self.poll())
    }
}

/// The result of a future that need not wait.
#[track_caller]
fn at_once<T>(future: impl Future<Output = T>) -> T {
    now(std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())))
}

#[track_caller]
fn now<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn shut_gate() -> (GateKeeper, WorkGate) {
    let keeper = GateKeeper::new();
    keeper.shut();
    let gate = keeper.gate();
    (keeper, gate)
}

#[test]
fn a_shut_gate_lets_nobody_in_until_it_opens() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    drop(gate.try_enter().unwrap());
    keeper.shut();
    assert!(gate.try_enter().is_none());
    assert!(gate.try_enter_owned().is_none());
    let waiting = Waiting::on(gate.enter());
    let waiting_too = Waiting::on(gate.enter_owned());
    keeper.open();
    drop(waiting.ends().unwrap());
    drop(waiting_too.ends().unwrap());
}

#[test]
fn drained_waits_for_shut_and_for_every_permit() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    let mut drained = Waiting::on(gate.drained());
    let one = gate.try_enter().unwrap();
    let two = gate.try_enter_owned().unwrap();
    keeper.shut();
    drained.still_waits();
    drop(one);
    drained.still_waits();
    let clone = gate.clone();
    std::thread::spawn(move || drop(two)).join().unwrap();
    drained.ends();
    assert!(!clone.is_open());
}

#[test]
fn who_waits_for_drained_or_open_hears_of_either() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    assert!(!at_once(gate.drained_or_open()));
    let permit = gate.try_enter().unwrap();
    keeper.shut();
    let waiting = Waiting::on(gate.drained_or_open());
    keeper.open();
    assert!(!waiting.ends());
    keeper.shut();
    let waiting = Waiting::on(gate.drained_or_open());
    drop(permit);
    assert!(waiting.ends());
    assert!(at_once(gate.drained_or_open()));
}

#[test]
fn opened_waits_for_the_gate_and_takes_no_permit() {
    let (keeper, gate) = shut_gate();
    let opened = Waiting::on(gate.opened());
    keeper.open();
    opened.ends().unwrap();
    at_once(gate.opened()).unwrap();
    keeper.shut();
    at_once(gate.drained());
}

#[test]
fn shut_waits_for_the_gate_and_not_for_the_permits() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    let _permit = gate.try_enter().unwrap();
    let shut = Waiting::on(gate.shut());
    keeper.shut();
    shut.ends();
    at_once(gate.shut());
    keeper.open();
    drop(Waiting::on(gate.shut()));
}

#[test]
fn a_future_that_is_dropped_while_waiting_leaves_no_permit_behind() {
    let (_keeper, gate) = shut_gate();
    for _ in 0..1000 {
        drop(Waiting::on(gate.enter()));
    }
    at_once(gate.drained());
}

#[test]
fn a_permit_takes_no_more_room_for_the_error_that_may_stand_in_its_place() {
    assert_eq!(size_of::<Result<Permit<'_>>>(), size_of::<Permit<'_>>());
}
