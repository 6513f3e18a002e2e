use super::*;
use BackupState::{BackingUp, Ready, Restoring, Starting};

fn step(id: u128, from: BackupState, to: BackupState) -> BackupTransition {
    BackupTransition::new(Uuid::from_u128(id), "app", 0, from, to)
}

fn end(id: u128, operation: u128) -> BackupTransition {
    step(id, BackingUp, Ready).ending(Uuid::from_u128(operation))
}

fn apply(applier: &mut Applier, transition: BackupTransition) -> Result<Applied, Skip> {
    applier.apply(Ok(Decoded::Transition(transition)))
}

/// Whose operation 1 was ended by nobody before operation 2 began.
fn in_operation_2() -> Applier {
    let mut applier = Applier::new("app");
    apply(&mut applier, step(1, Ready, BackingUp)).unwrap();
    apply(&mut applier, step(2, Starting, BackingUp)).unwrap();
    applier
}

#[test]
fn f1_an_end_that_names_another_operation_changes_nothing_however_often_it_comes() {
    let mut applier = in_operation_2();
    for _ in 0..2 {
        let skip = apply(&mut applier, end(5, 1)).unwrap_err();
        let expected = (Uuid::from_u128(1), Uuid::from_u128(2));
        let Skip::OtherOperation { named, running } = skip else { panic!("{skip:?}") };
        assert_eq!((named, running, applier.state()), (expected.0, expected.1, BackingUp));
    }
    let applied = apply(&mut applier, end(6, 2)).unwrap();
    assert_eq!((applied.gap, applier.state()), (None, Ready));
    // Nothing runs, so it ends nothing that it does not name.
    assert!(apply(&mut applier, end(5, 1)).is_ok());
}

#[test]
fn f1_what_was_begun_on_top_of_each_other_is_over_when_all_of_it_is() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut applier = Applier::resumed("app".into());
        apply(&mut applier, step(1, Ready, BackingUp)).unwrap();
        apply(&mut applier, step(2, Ready, BackingUp)).unwrap();
        assert!(matches!(apply(&mut applier, end(5, first)), Err(Skip::OtherOperation { .. })));
        assert_eq!(applier.state(), BackingUp);
        apply(&mut applier, end(6, second)).unwrap();
        assert_eq!((applier.state(), applier.running()), (Ready, &[][..]));
    }
}

#[test]
fn f1_a_primary_that_begins_anew_is_the_authority_on_what_ran_before() {
    let mut applier = in_operation_2();
    assert_eq!(applier.running(), [Uuid::from_u128(2)]);
    apply(&mut applier, end(5, 2)).unwrap();
    assert_eq!(applier.state(), Ready);
}

#[test]
fn f1_an_end_without_a_name_ends_whatever_runs() {
    let mut applier = in_operation_2();
    apply(&mut applier, step(5, BackingUp, Ready)).unwrap();
    assert_eq!(applier.state(), Ready);
}

#[test]
fn f1_an_end_ends_an_operation_whose_beginning_is_not_known() {
    let mut applier = in_operation_2();
    applier.lose();
    assert_eq!(applier.state(), BackingUp);
    apply(&mut applier, end(5, 1)).unwrap();
    assert_eq!(applier.state(), Ready);
}

#[test]
fn f1_a_beginning_that_comes_after_its_end_begins_nothing() {
    let mut applier = Applier::resumed("app".into());
    apply(&mut applier, end(5, 1)).unwrap();
    assert!(matches!(apply(&mut applier, step(1, Ready, BackingUp)), Err(Skip::Duplicate(_))));
    assert_eq!(applier.state(), Ready);

    let mut applier = in_operation_2();
    apply(&mut applier, end(6, 3)).unwrap_err();
    assert!(matches!(apply(&mut applier, step(3, Ready, Restoring)), Err(Skip::Duplicate(_))));
    assert!(apply(&mut applier, end(7, 2)).is_ok(), "operation 2 is still the one that runs");
}

#[test]
fn s12_after_a_loss_what_was_applied_before_is_applied_again() {
    let mut applier = Applier::new("app");
    apply(&mut applier, step(1, Starting, Ready)).unwrap();
    apply(&mut applier, step(2, Ready, BackingUp)).unwrap();
    applier.lose();
    for (id, from, to) in [(1, Starting, Ready), (2, Ready, BackingUp)] {
        apply(&mut applier, step(id, from, to)).unwrap();
        assert_eq!(applier.state(), to);
    }
}
