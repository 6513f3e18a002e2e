//! Who is woken by what. At a shut gate with many waiters, one wake too many a refusal or an arrival makes their number a factor.

use futures_util::StreamExt;

use super::*;

fn crowd(gate: &WorkGate) -> Vec<Waiting<'_, Result<Permit<'_>>>> {
    (0..100).map(|_| Waiting::on(gate.enter())).collect()
}

fn all_wakes<T>(crowd: &[Waiting<'_, T>]) -> usize {
    crowd.iter().map(Waiting::wakes).sum()
}

/// A permit that is counted on another shard than those of this thread, where there are several.
fn permit_of_another_shard(gate: &WorkGate) -> OwnedPermit {
    let own = gate.try_enter().unwrap().shard;
    let mut last = None;
    // Threads take the shards in turn, as they count for the first time.
    for _ in 0..64 {
        let gate = gate.clone();
        let permit = std::thread::spawn(move || gate.try_enter_owned().unwrap()).join().unwrap();
        let found = permit.shard != own;
        last = Some(permit);
        if found {
            break;
        }
    }
    last.unwrap()
}

#[test]
fn a_refusal_wakes_neither_who_waits_to_enter_nor_who_waits_for_drained() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    let permit = permit_of_another_shard(&gate);
    keeper.shut();
    let crowd = crowd(&gate);
    let drained = Waiting::on(gate.drained());
    for _ in 0..100 {
        assert!(gate.try_enter().is_none());
        assert!(gate.try_enter_owned().is_none());
    }
    assert_eq!(all_wakes(&crowd), 0);
    assert_eq!(drained.wakes(), 0, "the refused were counted");
    drop(permit);
    drained.ends();
}

#[test]
fn who_comes_wakes_neither_who_waits_to_enter_nor_who_waits_for_drained() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    let permit = permit_of_another_shard(&gate);
    keeper.shut();
    let drained = Waiting::on(gate.drained());
    let first = crowd(&gate);
    let second = crowd(&gate);
    let opened = Waiting::on(gate.opened());
    assert_eq!(all_wakes(&first) + all_wakes(&second) + opened.wakes(), 0);
    assert_eq!(drained.wakes(), 0, "those who wait were counted");
    drop(second);
    assert_eq!(all_wakes(&first) + drained.wakes(), 0, "who gives up wakes somebody");
    drop(permit);
}

#[test]
fn a_permit_that_comes_back_to_a_shut_gate_wakes_only_who_waits_for_drained() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    let permits: Vec<_> = (0..10).map(|_| gate.try_enter().unwrap()).collect();
    keeper.shut();
    let crowd = crowd(&gate);
    let mut drained = Waiting::on(gate.drained());
    let drained_or_open = Waiting::on(gate.drained_or_open());
    for permit in permits {
        drained.still_waits();
        assert_eq!(drained.wakes(), 0, "permits of the same thread are still out");
        drop(permit);
    }
    assert_eq!(all_wakes(&crowd), 0);
    assert_eq!(drained.wakes(), 1);
    drained.ends();
    assert!(drained_or_open.ends());
}

#[test]
fn opening_wakes_each_who_waits_once_and_lets_all_of_them_in() {
    let (keeper, gate) = shut_gate();
    let crowd = crowd(&gate);
    keeper.open();
    assert!(crowd.iter().all(|waiting| waiting.wakes() == 1));
    let permits: Vec<_> = crowd.into_iter().map(|waiting| waiting.ends().unwrap()).collect();
    assert_eq!(permits.len(), 100);
}

#[test]
fn who_is_woken_and_finds_the_gate_shut_again_waits_for_the_next_opening() {
    let (keeper, gate) = shut_gate();
    let mut waiting = Waiting::on(gate.enter());
    keeper.open();
    keeper.shut();
    waiting.still_waits();
    assert_eq!(waiting.wakes(), 1, "shutting woke it");
    keeper.open();
    assert_eq!(waiting.wakes(), 2);
    drop(waiting.ends().unwrap());
}

#[test]
fn what_moves_nothing_wakes_nobody() {
    let (keeper, gate) = shut_gate();
    let crowd = crowd(&gate);
    let mut changes = gate.changes();
    assert_eq!(at_once(changes.next()), Some(GateState::Shut));
    let next = Waiting::on(changes.next());
    keeper.shut();
    assert_eq!(all_wakes(&crowd) + next.wakes(), 0);
}
