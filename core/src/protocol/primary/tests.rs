use super::*;
use crate::error::ErrorKind;
use BackupState::{BackingUp, Ready, Restoring, Starting};

fn command(action: Action, id: u128) -> Command {
    Command { action, id: Uuid::from_u128(id), now_millis: 7, only_if_running: None }
}

fn failed(delivery: Delivery) -> Input {
    Input::Failed(Error::new(ErrorKind::Unavailable, "send", "down").with_delivery(delivery))
}

fn primary_in(state: BackupState) -> Primary {
    let mut primary = Primary::new("app".into(), Starting);
    let action = match state {
        Starting => return primary,
        Ready => Action::StartupComplete,
        BackingUp => Action::StartBackup,
        Restoring => Action::StartRestore,
    };
    primary.handle(Input::Command(command(action, 1)));
    primary.handle(Input::Accepted);
    assert_eq!(primary.state(), state);
    primary
}

#[test]
fn t7_every_action_is_announced_where_it_is_legal_and_refused_elsewhere() {
    use Action::{FinishBackup, FinishRestore, StartBackup, StartRestore, StartupComplete};
    for state in BackupState::ALL {
        for (action, legal_in) in [
            (StartupComplete, &BackupState::ALL[..]),
            (StartBackup, &[Starting, Ready]),
            (FinishBackup, &[BackingUp]),
            (StartRestore, &[Starting, Ready]),
            (FinishRestore, &[Restoring]),
        ] {
            let mut primary = primary_in(state);
            let effects = primary.handle(Input::Command(command(action, 2)));
            match &effects[..] {
                [Effect::Send(transition)] => {
                    assert!(legal_in.contains(&state), "{action:?} in {state}");
                    assert_eq!((transition.from, transition.to), (state, action.target()));
                    assert_eq!(primary.state(), state, "announce first, change after");
                }
                [Effect::Answer(Err(error))] => {
                    assert!(!legal_in.contains(&state), "{action:?} in {state}");
                    assert_eq!(error.kind(), ErrorKind::IllegalTransition);
                    assert_eq!(error.states(), Some((state, action.target())));
                    assert_eq!(primary.state(), state);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn t11_a_retry_keeps_the_id() {
    let mut primary = primary_in(Ready);
    primary.handle(Input::Command(command(Action::StartBackup, 5)));
    let effects = primary.handle(failed(Delivery::Unknown));
    assert!(matches!(&effects[..], [Effect::BackOff(_)]), "{effects:?}");
    let effects = primary.handle(Input::Retry);
    assert!(matches!(&effects[..], [Effect::Send(t)] if t.id == Uuid::from_u128(5)), "{effects:?}");
}

#[test]
fn t7_after_a_start_that_was_given_up_with_unknown_outcome_its_end_is_pending() {
    let mut primary = primary_in(Ready);
    primary.handle(Input::Command(command(Action::StartBackup, 5)));
    primary.handle(failed(Delivery::Unknown));
    primary.handle(Input::Retry);
    // One unknown attempt makes the whole unknown.
    primary.handle(failed(Delivery::NotSent));
    let effects = primary.handle(Input::GiveUp);
    let [Effect::Postpone(pending, _), Effect::Answer(Err(error))] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((pending.from, pending.to), (BackingUp, Ready));
    assert_ne!(pending.id, Uuid::from_u128(5));
    assert_eq!(pending.operation, Some(Uuid::from_u128(5)));
    assert_eq!(error.delivery(), Delivery::Unknown);
    assert_eq!(primary.state(), Ready);

    // Before anything else.
    let effects = primary.handle(Input::Command(command(Action::StartRestore, 6)));
    assert!(matches!(&effects[..], [Effect::Send(t)] if t == pending), "{effects:?}");
    let effects = primary.handle(Input::Accepted);
    assert!(
        matches!(&effects[..], [Effect::Apply(a), Effect::Send(b)] if a == pending && b.to == Restoring),
        "{effects:?}"
    );
    assert!(primary.pending().is_none());
}

#[test]
fn t7_behind_a_start_that_was_certainly_not_sent_nothing_is_pending() {
    let mut primary = primary_in(Ready);
    primary.handle(Input::Command(command(Action::StartBackup, 5)));
    primary.handle(failed(Delivery::NotSent));
    let effects = primary.handle(Input::GiveUp);
    assert!(
        matches!(&effects[..], [Effect::Answer(Err(error))] if error.delivery() == Delivery::NotSent),
        "{effects:?}"
    );
    assert!(primary.pending().is_none());
    assert!(primary.handle(Input::Idle).is_empty());
}

#[test]
fn t7_a_permanent_error_is_not_retried() {
    let mut primary = primary_in(Ready);
    primary.handle(Input::Command(command(Action::StartBackup, 5)));
    let denied = Error::new(ErrorKind::Denied, "send", "no").with_delivery(Delivery::NotSent);
    let effects = primary.handle(Input::Failed(denied));
    assert!(matches!(&effects[..], [Effect::Answer(Err(_))]), "{effects:?}");
}

/// A primary whose finish, event 5, was given up.
fn with_pending_end(delivery: Delivery) -> Primary {
    let mut primary = primary_in(BackingUp);
    primary.handle(Input::Command(command(Action::FinishBackup, 5)));
    primary.handle(failed(delivery));
    let effects = primary.handle(Input::GiveUp);
    let [Effect::Postpone(pending, _), Effect::Answer(Err(error))] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(error.delivery(), delivery);
    assert_eq!((pending.id, pending.operation), (Uuid::from_u128(5), Some(Uuid::from_u128(1))));
    assert_eq!(primary.state(), BackingUp);
    primary
}

#[test]
fn t7_a_finish_that_was_given_up_is_pending_and_asking_again_announces_it() {
    for delivery in [Delivery::NotSent, Delivery::Unknown] {
        let mut primary = with_pending_end(delivery);
        let effects = primary.handle(Input::Command(command(Action::FinishBackup, 6)));
        assert!(matches!(&effects[..], [Effect::Send(t)] if t.id == Uuid::from_u128(5)), "{effects:?}");
        let effects = primary.handle(Input::Accepted);
        let [Effect::Apply(applied), Effect::Answer(Ok(answer))] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(applied, answer);
        assert_eq!(applied.id, Uuid::from_u128(5), "the very announcement that was given up (T11)");
        assert_eq!(primary.state(), Ready);
    }
}

#[test]
fn t7_asking_again_after_the_background_has_announced_a_finish_has_the_same_answer() {
    let mut primary = with_pending_end(Delivery::NotSent);
    let effects = primary.handle(Input::Idle);
    assert!(matches!(&effects[..], [Effect::Send(t)] if t.to == Ready), "{effects:?}");
    let effects = primary.handle(Input::Accepted);
    let [Effect::Apply(announced)] = &effects[..] else { panic!("{effects:?}") };
    for id in [6, 7] {
        let effects = primary.handle(Input::Command(command(Action::FinishBackup, id)));
        assert!(matches!(&effects[..], [Effect::Answer(Ok(step))] if step == announced), "{effects:?}");
    }
}

#[test]
fn t7_a_finish_that_was_announced_late_is_forgotten_when_something_else_is_asked_for() {
    for before in [true, false] {
        for other in [Action::StartRestore, Action::FinishRestore, Action::StartupComplete] {
            let mut primary = with_pending_end(Delivery::NotSent);
            if !before {
                primary.handle(Input::Idle);
                primary.handle(Input::Accepted);
            }
            primary.handle(Input::Command(command(other, 6)));
            if before {
                primary.handle(Input::Accepted);
            }
            if other != Action::FinishRestore {
                primary.handle(Input::Accepted);
            }
            let effects = primary.handle(Input::Command(command(Action::FinishBackup, 7)));
            assert!(matches!(&effects[..], [Effect::Answer(Err(_))]), "{before}, {other:?}: {effects:?}");
        }
    }
}

#[test]
fn f1_ends_name_the_operation_of_this_primary_and_startup_complete_names_none() {
    for (state, action, named) in [
        (BackingUp, Action::FinishBackup, Some(Uuid::from_u128(1))),
        (Restoring, Action::FinishRestore, Some(Uuid::from_u128(1))),
        (BackingUp, Action::StartupComplete, None),
        (Ready, Action::StartBackup, None),
    ] {
        let effects = primary_in(state).handle(Input::Command(command(action, 5)));
        assert!(matches!(&effects[..], [Effect::Send(t)] if t.operation == named), "{effects:?}");
    }
}

#[test]
fn f1_what_could_end_an_operation_of_somebody_else_is_never_pending() {
    // Begun by another primary, and the id is not known.
    let taken_over = || Primary::new("app".into(), BackingUp);
    for delivery in [Delivery::NotSent, Delivery::Unknown] {
        for (mut primary, action) in [
            (primary_in(Starting), Action::StartupComplete),
            (primary_in(Ready), Action::StartupComplete),
            (taken_over(), Action::StartupComplete),
            (taken_over(), Action::FinishBackup),
        ] {
            primary.handle(Input::Command(command(action, 5)));
            primary.handle(failed(delivery));
            let effects = primary.handle(Input::GiveUp);
            assert!(matches!(&effects[..], [Effect::Answer(Err(_))]), "{action:?}: {effects:?}");
            assert!(primary.handle(Input::Idle).is_empty());
        }
    }
}

#[test]
fn f1_a_startup_complete_that_was_given_up_while_an_own_operation_runs_ends_only_that() {
    let mut primary = primary_in(BackingUp);
    primary.handle(Input::Command(command(Action::StartupComplete, 5)));
    primary.handle(failed(Delivery::Unknown));
    primary.handle(Input::GiveUp);
    let pending = primary.pending().unwrap();
    assert_eq!((pending.id, pending.operation), (Uuid::from_u128(5), Some(Uuid::from_u128(1))));
    primary.handle(Input::Command(command(Action::StartupComplete, 6)));
    let effects = primary.handle(Input::Accepted);
    let [Effect::Apply(ended), Effect::Send(everything)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((ended.operation, everything.operation), (Some(Uuid::from_u128(1)), None));
}

#[test]
fn nobody_ends_an_operation_that_is_not_theirs() {
    let mut primary = primary_in(BackingUp);
    for (operation, ends) in [(9, false), (1, true)] {
        let only_if_running = Some(Uuid::from_u128(operation));
        let end = Command { only_if_running, ..command(Action::FinishBackup, 5) };
        let effects = primary.handle(Input::Command(end));
        assert_eq!(matches!(&effects[..], [Effect::Send(_)]), ends, "{effects:?}");
    }
}

#[test]
fn a_command_behind_a_pending_announcement_that_fails_was_never_sent() {
    let mut primary = primary_in(Ready);
    primary.handle(Input::Command(command(Action::StartBackup, 5)));
    primary.handle(failed(Delivery::Unknown));
    primary.handle(Input::GiveUp);
    primary.handle(Input::Command(command(Action::StartRestore, 6)));
    primary.handle(failed(Delivery::Unknown));
    let effects = primary.handle(Input::GiveUp);
    assert!(
        matches!(&effects[..], [Effect::Answer(Err(error))] if error.delivery() == Delivery::NotSent),
        "{effects:?}"
    );
    assert!(primary.pending().is_some());
}
