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
fn who_waits_for_drained_or_open_hears_of_either() {
    let gate = WorkGate::new();
    let now = |gate: &WorkGate| pin!(gate.drained_or_open()).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(now(&gate), Poll::Ready(false));
    let permit = gate.try_enter().unwrap();
    gate.shut();
    let mut waiting = pin!(gate.drained_or_open());
    assert!(is_pending(waiting.as_mut()));
    gate.open();
    assert_eq!(waiting.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(false));
    gate.shut();
    drop(permit);
    assert_eq!(now(&gate), Poll::Ready(true));
}

#[test]
fn opened_waits_for_the_gate_and_takes_no_permit() {
    let gate = WorkGate::new();
    gate.shut();
    let mut opened = pin!(gate.opened());
    assert!(is_pending(opened.as_mut()));
    gate.open();
    assert!(!is_pending(opened));
    gate.shut();
    assert!(!is_pending(pin!(gate.drained())));
}

#[test]
fn a_future_that_is_dropped_while_waiting_leaves_no_permit_behind() {
    let gate = WorkGate::new();
    gate.shut();
    for _ in 0..1000 {
        assert!(is_pending(pin!(gate.enter())));
    }
    assert!(matches!(pin!(gate.drained()).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(())));
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
