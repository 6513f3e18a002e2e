//! A gate that is shut for good.

use std::error::Error as _;

use super::*;
use crate::error::{Delivery, Error, ErrorKind};

fn refusal() -> Error {
    Error::new(ErrorKind::Denied, "follow", "the topic may not be read").with_topic("backups")
}

#[track_caller]
fn tells_of_the_refusal(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(
        error.to_string(),
        "begin work: closed: the gate is shut for good: follow: denied: the topic may not be read (topic `backups`)"
    );
    assert_eq!(error.delivery(), Delivery::NotSent);
    let cause = error.source().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(cause.kind(), ErrorKind::Denied);
}

#[test]
fn who_waits_to_enter_when_the_gate_ends_gets_the_reason() {
    let (keeper, gate) = shut_gate();
    let (enter, enter_owned) = (Waiting::on(gate.enter()), Waiting::on(gate.enter_owned()));
    let opened = Waiting::on(gate.opened());
    keeper.end(refusal());
    assert_eq!((enter.wakes(), enter_owned.wakes(), opened.wakes()), (1, 1, 1));
    tells_of_the_refusal(&enter.ends().unwrap_err());
    tells_of_the_refusal(&enter_owned.ends().unwrap_err());
    tells_of_the_refusal(&opened.ends().unwrap_err());
}

#[test]
fn who_comes_after_the_end_gets_the_reason_at_once() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    keeper.end(refusal());
    tells_of_the_refusal(&at_once(gate.enter()).unwrap_err());
    tells_of_the_refusal(&at_once(gate.enter_owned()).unwrap_err());
    tells_of_the_refusal(&at_once(gate.opened()).unwrap_err());
    assert!(gate.try_enter().is_none());
    assert!(gate.try_enter_owned().is_none());
    assert!(!gate.is_open());
    assert_eq!(gate.state(), GateState::Ended);
}

#[test]
fn a_gate_that_ends_while_work_runs_drains_when_that_is_over() {
    let keeper = GateKeeper::new();
    let gate = keeper.gate();
    let permit = gate.try_enter().unwrap();
    let shut = Waiting::on(gate.shut());
    let mut drained = Waiting::on(gate.drained());
    keeper.end(refusal());
    shut.ends();
    at_once(gate.shut());
    drained.still_waits();
    let drained_or_open = Waiting::on(gate.drained_or_open());
    drop(permit);
    drained.ends();
    assert!(drained_or_open.ends());
    at_once(gate.drained());
}

#[test]
fn the_first_end_counts_and_nothing_opens_the_gate_again() {
    let (keeper, gate) = shut_gate();
    keeper.end(refusal());
    keeper.open();
    assert_eq!(gate.state(), GateState::Ended);
    keeper.shut();
    keeper.end(Error::closed("follow"));
    drop(keeper);
    assert_eq!(gate.state(), GateState::Ended);
    tells_of_the_refusal(&at_once(gate.enter()).unwrap_err());
}

#[test]
fn a_keeper_that_is_dropped_ends_its_gate() {
    let (keeper, gate) = shut_gate();
    let waiting = Waiting::on(gate.enter());
    drop(keeper);
    let error = waiting.ends().unwrap_err();
    assert_eq!(
        error.to_string(),
        "begin work: closed: the gate is shut for good: its tracker or keeper was dropped"
    );
    assert_eq!(gate.state(), GateState::Ended);
    let open = GateKeeper::new().gate();
    assert_eq!(open.state(), GateState::Ended);
    assert!(open.try_enter().is_none());
}
