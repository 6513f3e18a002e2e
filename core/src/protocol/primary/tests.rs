use super::*;
use crate::error::ErrorKind;
use BackupState::{BackingUp, Ready, Restoring, Starting};

fn command(action: Action, id: u128) -> Command {
    Command { action, id: Uuid::from_u128(id), now_millis: 7, only_if_running: None, insist: false }
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
fn t7_a_start_that_was_given_up_with_unknown_outcome_owes_the_way_back() {
    let mut primary = primary_in(Ready);
    primary.handle(Input::Command(command(Action::StartBackup, 5)));
    primary.handle(failed(Delivery::Unknown));
    primary.handle(Input::Retry);
    // One unknown attempt makes the whole unknown.
    primary.handle(failed(Delivery::NotSent));
    let effects = primary.handle(Input::GiveUp);
    let [Effect::Owe(owed, _), Effect::Answer(Err(error))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((owed.from, owed.to), (BackingUp, Ready));
    assert_ne!(owed.id, Uuid::from_u128(5));
    assert_eq!(error.delivery(), Delivery::Unknown);
    assert_eq!(primary.state(), Ready);

    // Before anything else.
    let effects = primary.handle(Input::Command(command(Action::StartRestore, 6)));
    assert!(matches!(&effects[..], [Effect::Send(t)] if t == owed), "{effects:?}");
    let effects = primary.handle(Input::Accepted);
    assert!(
        matches!(&effects[..], [Effect::Apply(a), Effect::Send(b)] if a == owed && b.to == Restoring),
        "{effects:?}"
    );
    assert!(primary.owes().is_none());
}

#[test]
fn t7_what_is_certainly_not_sent_owes_nothing() {
    let mut primary = primary_in(Ready);
    primary.handle(Input::Command(command(Action::StartBackup, 5)));
    primary.handle(failed(Delivery::NotSent));
    let effects = primary.handle(Input::GiveUp);
    assert!(
        matches!(&effects[..], [Effect::Answer(Err(error))] if error.delivery() == Delivery::NotSent),
        "{effects:?}"
    );
    assert!(primary.owes().is_none());
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

#[test]
fn t7_a_finish_that_was_given_up_is_finished_by_asking_again() {
    let mut primary = primary_in(BackingUp);
    primary.handle(Input::Command(command(Action::FinishBackup, 5)));
    primary.handle(failed(Delivery::Unknown));
    primary.handle(Input::GiveUp);
    assert_eq!(primary.state(), BackingUp);
    primary.handle(Input::Command(command(Action::FinishBackup, 6)));
    let effects = primary.handle(Input::Accepted);
    let [Effect::Apply(applied), Effect::Answer(Ok(answer))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(applied, answer);
    assert_eq!(applied.id, Uuid::from_u128(5), "the very announcement that was given up (T11)");
    assert_eq!(primary.state(), Ready);
}

#[test]
fn what_is_insisted_on_is_owed_even_when_it_was_certainly_not_sent() {
    let mut primary = primary_in(BackingUp);
    let end = Command { insist: true, ..command(Action::FinishBackup, 5) };
    primary.handle(Input::Command(end));
    primary.handle(failed(Delivery::NotSent));
    primary.handle(Input::GiveUp);
    assert!(primary.owes().is_some_and(|owed| owed.id == Uuid::from_u128(5)));
    let effects = primary.handle(Input::Idle);
    assert!(matches!(&effects[..], [Effect::Send(t)] if t.to == Ready), "{effects:?}");
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
fn a_command_behind_an_unpaid_debt_fails_and_was_never_sent() {
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
    assert!(primary.owes().is_some());
}
