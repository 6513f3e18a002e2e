//! What a secondary knows after a loss, and in silence (S12, T13, T14).

use super::*;

#[test]
fn s12_after_a_loss_nothing_is_certain_and_an_operation_goes_on() {
    for (before, after) in [(Ready, Starting), (BackingUp, BackingUp)] {
        let mut session = Session::new(settings(), true, 0);
        session.step("app", Ready, before);
        assert_eq!(session.lose(), [format!("publish {after}, not synced"), "lost".into()]);
        assert_eq!(session.tick(RECOUNT_AFTER), ["count"]);
        assert!(session.say(Input::Remaining(1.into())).is_empty());
        assert_eq!(
            session.step("app", Ready, Ready),
            [&format!("gap {after} READY"), "commit", "publish READY, open", "notify READY, replay, missed"]
        );
    }
}

#[test]
fn t14_after_a_loss_the_gate_stays_shut_until_a_step_of_the_application() {
    for (open_after_loss, opens) in [(false, false), (true, true)] {
        let mut session = Session::new(Settings { open_after_loss, ..settings() }, true, 0);
        assert_eq!(session.shows(), (Ready, true));
        session.lose();
        session.say(Input::Remaining(1.into()));
        session.step("other", Ready, Ready);
        assert!(session.machine.view().synced);
        assert_eq!(session.shows(), (Starting, opens));
        session.step("app", Starting, Starting);
        assert_eq!(session.shows(), (Starting, true), "a step says where the application is");
    }
}

#[test]
fn s12_what_is_read_again_after_a_loss_is_applied_again() {
    let mut session = Session::new(settings(), false, 0);
    let (begin, end) = (Uuid::from_u128(100), Uuid::from_u128(101));
    session.with_id("app", begin, Ready, BackingUp);
    session.with_id("app", end, BackingUp, Ready);
    session.lose();
    session.say(Input::Remaining(2.into()));
    session.with_id("app", begin, Ready, BackingUp);
    assert_eq!(session.shows(), (BackingUp, false));
    session.with_id("app", end, BackingUp, Ready);
    assert_eq!(session.shows(), (Ready, true));
}

#[test]
fn s12_nothing_is_committed_between_a_loss_and_the_next_ready() {
    let mut session = Session::new(settings(), true, 0);
    session.lose();
    session.say(Input::Remaining(0.into()));
    session.now = 1000 * SECOND;
    assert!(session.others(10).is_empty());
    assert!(session.tick(1000 * SECOND).is_empty());
}

#[test]
fn s12_a_source_that_loses_again_and_again_is_asked_when_it_is_time() {
    let mut session = Session::new(settings(), true, 0);
    let error = Error::new(ErrorKind::Lost, "count", "on purpose");
    session.say(Input::Lost { error, again_at: 3 * SECOND });
    assert_eq!(session.machine.deadline(), Some(3 * SECOND));
    assert!(session.tick(SECOND).is_empty());
    assert_eq!(session.tick(2 * SECOND), ["count"]);
}

#[test]
fn s12_a_ready_whose_commit_meets_a_loss_is_told_and_shows_nothing() {
    let mut session = Session::new(settings(), false, 0);
    session.step("app", Ready, BackingUp);
    session.commits_fail = true;
    assert_eq!(session.step("app", BackingUp, Ready), ["commit"]);
    assert_eq!(
        session.lose(),
        ["publish STARTING, not synced", "notify READY", "lost"],
        "nothing is left that could be read again"
    );
}

#[test]
fn t13_a_gate_that_was_shut_in_silence_opens_when_everything_is_read_that_came_meanwhile() {
    let shut_after_silence = Some(30 * SECOND);
    let mut session = Session::new(Settings { shut_after_silence, ..settings() }, true, 0);
    session.say(Input::OutOfContact { now: SECOND });
    session.say(Input::OutOfContact { now: 20 * SECOND });
    assert_eq!(session.machine.deadline(), Some(31 * SECOND), "since the first failure");
    session.now = 31 * SECOND;
    assert_eq!(session.tick(Duration::ZERO), ["publish READY"]);
    // A count that is answered while reading fails proves nothing.
    assert!(session.say(Input::Remaining(0.into())).is_empty());
    assert_eq!(session.say(Input::InContact), ["publish READY, not synced"]);
    assert!(session.say(Input::Remaining(1.into())).is_empty());
    assert_eq!(session.step("app", Ready, BackingUp), ["publish BACKING_UP", "notify BACKING_UP, replay"]);
}

#[test]
fn t13_unless_asked_for_silence_changes_nothing_but_what_remains_is_counted_again() {
    let mut session = Session::new(settings(), true, 0);
    session.say(Input::OutOfContact { now: SECOND });
    assert_eq!(session.machine.deadline(), Some(300 * SECOND));
    assert!(session.say(Input::InContact).is_empty());
    assert_eq!(session.tick(SECOND), ["count"]);
    assert_eq!(session.shows(), (Ready, true));
}
