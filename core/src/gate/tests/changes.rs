//! The states of a gate as a stream.

use futures_util::{Stream, StreamExt};

use super::*;
use GateState::{Ended, Open, Shut};

fn next(changes: &mut (impl Stream<Item = GateState> + Unpin)) -> Option<GateState> {
    at_once(changes.next())
}

#[test]
fn the_current_state_comes_first_and_then_each_change() {
    let keeper = GateKeeper::new();
    let mut changes = keeper.gate().changes();
    assert_eq!(next(&mut changes), Some(Open));
    for _ in 0..3 {
        let shut = Waiting::on(changes.next());
        keeper.shut();
        assert_eq!(shut.ends(), Some(Shut));
        let open = Waiting::on(changes.next());
        keeper.open();
        assert_eq!(open.ends(), Some(Open));
    }
    keeper.shut();
    assert_eq!(next(&mut keeper.gate().changes()), Some(Shut));
}

#[test]
fn a_slow_reader_sees_the_newest_state_and_none_twice_in_a_row() {
    let keeper = GateKeeper::new();
    let mut changes = keeper.gate().changes();
    keeper.shut();
    keeper.open();
    keeper.shut();
    assert_eq!(next(&mut changes), Some(Shut));
    let mut waiting = Waiting::on(changes.next());
    keeper.open();
    keeper.shut();
    waiting.still_waits();
    keeper.open();
    assert_eq!(waiting.ends(), Some(Open));
}

#[test]
fn a_change_is_not_lost_with_the_future_that_waited_for_it() {
    let keeper = GateKeeper::new();
    let mut changes = keeper.gate().changes();
    assert_eq!(next(&mut changes), Some(Open));
    let waiting = Waiting::on(changes.next());
    keeper.shut();
    assert_eq!(waiting.wakes(), 1);
    drop(waiting);
    assert_eq!(next(&mut changes), Some(Shut));
}

#[test]
fn the_stream_ends_after_the_end_of_the_gate() {
    for shut_before in [false, true] {
        let keeper = GateKeeper::new();
        if shut_before {
            keeper.shut();
        }
        let mut changes = keeper.gate().changes();
        assert!(matches!(next(&mut changes), Some(Open | Shut)));
        let ended = Waiting::on(changes.next());
        drop(keeper);
        assert_eq!(ended.ends(), Some(Ended));
        assert_eq!(next(&mut changes), None);
        assert_eq!(next(&mut changes), None, "also when it is asked again");
    }
    let mut of_an_ended_gate = GateKeeper::new().gate().changes();
    assert_eq!(next(&mut of_an_ended_gate), Some(Ended));
    assert_eq!(next(&mut of_an_ended_gate), None);
}

#[test]
fn a_reader_is_not_woken_by_permits_that_come_back() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    let permit = gate.try_enter().unwrap();
    keeper.shut();
    let mut changes = gate.changes();
    assert_eq!(next(&mut changes), Some(Shut));
    let waiting = Waiting::on(changes.next());
    drop(permit);
    assert_eq!(waiting.wakes(), 0);
}
