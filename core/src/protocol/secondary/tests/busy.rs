//! Neither state nor gate waits for listeners, commits that are not due, or counts; and no commit covers what was not told
//! (T2, T8, T12).

use super::*;

fn busy(order: CommitOrder) -> Session {
    let mut session = Session::new(Settings { order, ..settings() }, true, 0);
    session.listeners_are_busy = true;
    session.step("app", Ready, BackingUp);
    session
}

#[test]
fn t2_ready_waits_a_moment_for_earlier_listeners_so_that_its_commit_covers_nothing_untold() {
    let mut session = busy(CommitOrder::CommitFirst);
    assert!(session.step("app", BackingUp, Ready).is_empty());
    assert!(!session.machine.reads());
    assert_eq!(session.shows(), (BackingUp, false));
    assert_eq!(session.returned(), ["commit", "publish READY, open", "notify READY"]);
    assert!(session.machine.reads());
}

#[test]
fn t12_a_listener_that_does_not_return_keeps_the_gate_shut_for_a_moment_only_and_nothing_is_committed() {
    let mut session = busy(CommitOrder::CommitFirst);
    session.step("app", BackingUp, Ready);
    assert_eq!(session.machine.deadline(), Some(LISTENER_GRACE));
    assert_eq!(session.tick(LISTENER_GRACE), ["publish READY, open"]);
    assert!(session.machine.reads());
    assert_eq!(session.step("app", Ready, BackingUp), ["publish BACKING_UP"], "a later backup is seen");
    assert_eq!(session.step("app", BackingUp, Ready), ["publish READY, open"], "it is waited for once");
    assert!(session.tick(1000 * SECOND).is_empty(), "the position stays before what was not told");
    // It returns after all. The first Ready was passed over, the newest gets its commit.
    assert_eq!(session.returned(), ["notify BACKING_UP, 1 passed over"]);
    assert!(session.returned().is_empty());
    assert_eq!(session.tick(Duration::ZERO), ["try to commit", "notify READY"]);
}

#[test]
fn t12_with_listeners_first_the_gate_opens_at_once_and_the_commit_comes_when_all_were_told() {
    let mut session = busy(CommitOrder::ListenersFirst);
    assert_eq!(session.step("app", BackingUp, Ready), ["publish READY, open"]);
    assert_eq!(session.step("app", Ready, BackingUp), ["publish BACKING_UP"], "read meanwhile");
    assert_eq!(session.returned(), ["notify READY"]);
    assert_eq!(session.returned(), ["notify BACKING_UP"]);
    assert!(session.returned().is_empty());
    assert!(session.tick(1000 * SECOND).is_empty(), "T3");
    assert_eq!(session.step("app", BackingUp, Ready), ["publish READY, open", "notify READY"]);
    assert!(session.tick(1000 * SECOND).is_empty());
    assert!(session.returned().is_empty());
    assert_eq!(session.tick(Duration::ZERO), ["try to commit"]);
}

#[test]
fn t12_a_step_from_an_open_gate_is_not_held_back() {
    let mut session = Session::new(settings(), true, 0);
    session.listeners_are_busy = true;
    session.step("app", Starting, Starting);
    assert_eq!(session.shows(), (Starting, true));
    assert_eq!(session.step("app", Starting, Ready), ["publish READY, open"]);
    assert!(session.returned().is_empty());
    assert_eq!(session.tick(Duration::ZERO), ["try to commit", "notify READY"]);
}

#[test]
fn t12_with_the_gate_open_a_commit_of_ready_that_fails_stops_no_reading_and_holds_back_its_listeners_only() {
    let mut session = Session::new(settings(), true, 0);
    session.commits_fail = true;
    assert_eq!(session.step("app", Ready, Ready), ["try to commit", "publish READY, open"]);
    assert_eq!(
        session.step("app", Ready, BackingUp),
        ["publish BACKING_UP", "notify BACKING_UP, 1 passed over"]
    );
}

#[test]
fn t2_the_commit_of_a_ready_comes_before_the_opening_and_is_tried_until_it_succeeds() {
    let mut session = Session::new(settings(), true, 0);
    session.step("app", Ready, BackingUp);
    session.commits_fail = true;
    assert_eq!(session.step("app", BackingUp, Ready), ["commit"]);
    assert!(!session.machine.reads());
    assert_eq!(session.machine.deadline(), Some(SECOND));
    assert_eq!(session.tick(SECOND), ["commit"]);
    session.commits_fail = false;
    assert_eq!(session.tick(SECOND), ["commit", "publish READY, open", "notify READY"]);
}

#[test]
fn t12_a_routine_commit_that_fails_stops_no_reading_and_is_tried_again_later() {
    let mut session = Session::new(settings(), true, 0);
    session.commits_fail = true;
    session.now = 5 * SECOND;
    assert_eq!(session.others(1), ["try to commit"]);
    assert!(session.machine.reads());
    assert_eq!(session.machine.deadline(), Some(6 * SECOND));
    assert_eq!(session.step("app", Ready, BackingUp), ["publish BACKING_UP", "notify BACKING_UP"]);
    assert!(session.tick(60 * SECOND).is_empty(), "T3");
}

#[test]
fn t12_a_count_that_is_not_answered_is_asked_for_again_and_stops_no_reading() {
    let mut session = Session::new(settings(), true, 5);
    session.say(Input::NotCounted { retry_at: 3 * SECOND });
    assert_eq!(session.machine.deadline(), Some(3 * SECOND));
    assert!(session.tick(SECOND).is_empty());
    assert_eq!(
        session.step("app", Ready, BackingUp),
        ["publish BACKING_UP, not synced", "notify BACKING_UP, replay"]
    );
    assert_eq!(session.tick(2 * SECOND), ["count"]);
}

#[test]
fn t8_others_records_may_be_committed_while_the_listeners_of_a_committed_ready_run() {
    let mut session = Session::new(settings(), true, 0);
    session.step("app", Ready, BackingUp);
    session.listeners_are_busy = true;
    session.step("app", BackingUp, Ready);
    session.now = 5 * SECOND;
    assert_eq!(session.others(1), ["try to commit"]);
}

#[test]
fn no_interval_overflows() {
    let forever = Duration::MAX;
    let settings = Settings {
        commit_interval: forever,
        keep_alive: forever,
        shut_after_silence: Some(forever),
        ..settings()
    };
    let mut session = Session::new(settings, true, 0);
    session.now = SECOND;
    session.step("app", Ready, Ready);
    session.others(1);
    session.say(Input::OutOfContact { now: SECOND });
    assert_eq!(session.machine.deadline(), Some(forever));
    assert!(session.tick(1000 * SECOND).is_empty());
}
