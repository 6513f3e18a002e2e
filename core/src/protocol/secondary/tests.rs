use super::*;
use uuid::Uuid;

use crate::error::ErrorKind;
use crate::protocol::applier::{REMEMBERED_IDS, Skip};
use crate::protocol::backlog::RECOUNT_AFTER;
use BackupState::{BackingUp, Ready, Restoring, Starting};

mod busy;
mod loss;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        order: CommitOrder::CommitFirst,
        shut_while_starting: false,
        open_after_loss: false,
        shut_after_silence: None,
        commit_interval: 5 * SECOND,
        keep_alive: 300 * SECOND,
    }
}

/// A driver whose commits succeed and whose listeners return at once, unless told otherwise.
struct Session {
    machine: Secondary,
    /// Of a log that has several.
    partition: Option<u32>,
    offset: u64,
    now: Duration,
    commits_fail: bool,
    listeners_are_busy: bool,
}

impl Session {
    fn new(settings: Settings, resumed: bool, remaining: u64) -> Self {
        let machine = Secondary::new("app".into(), settings, resumed);
        let mut session = Self {
            machine,
            partition: None,
            offset: 0,
            now: Duration::ZERO,
            commits_fail: false,
            listeners_are_busy: false,
        };
        session.say(Input::Begin);
        session.say(Input::Remaining(remaining.into()));
        session
    }

    /// What it does, and what follows from that.
    fn say(&mut self, input: Input) -> Vec<String> {
        let mut effects = std::collections::VecDeque::from(self.machine.handle(input));
        let mut done = Vec::new();
        while let Some(effect) = effects.pop_front() {
            done.extend(brief(&effect));
            let answer = match effect {
                Effect::Commit { .. } if self.commits_fail => {
                    Input::NotCommitted { retry_at: self.now + SECOND }
                }
                Effect::Commit { .. } => Input::Committed { now: self.now },
                Effect::Call(_) if !self.listeners_are_busy => Input::Returned,
                _ => continue,
            };
            for effect in self.machine.handle(answer).into_iter().rev() {
                effects.push_front(effect);
            }
        }
        done
    }

    fn returned(&mut self) -> Vec<String> {
        self.say(Input::Returned)
    }

    fn lose(&mut self) -> Vec<String> {
        let error = Error::new(ErrorKind::Lost, "read", "on purpose");
        self.say(Input::Lost { error, again_at: self.now })
    }

    fn decoded(&mut self, decoded: Result<Decoded, DecodeError>) -> Vec<String> {
        assert!(self.machine.reads(), "nothing is to be read now");
        self.offset += 1;
        let offset = self.offset;
        let position = self
            .partition
            .map_or(Position::Offset(offset), |partition| Position::Partition { partition, offset });
        self.say(Input::Record { position, decoded, now: self.now })
    }

    fn step(&mut self, application: &str, from: BackupState, to: BackupState) -> Vec<String> {
        let id = Uuid::from_u128(u128::from(self.offset));
        self.with_id(application, id, from, to)
    }

    fn with_id(&mut self, application: &str, id: Uuid, from: BackupState, to: BackupState) -> Vec<String> {
        self.decoded(Ok(Decoded::Transition(BackupTransition::new(id, application, 0, from, to))))
    }

    fn others(&mut self, count: u64) -> Vec<String> {
        self.say(Input::Others { position: Position::Offset(0), count, now: self.now })
    }

    fn tick(&mut self, after: Duration) -> Vec<String> {
        self.now += after;
        self.say(Input::Tick { now: self.now })
    }

    fn shows(&self) -> (BackupState, bool) {
        let view = self.machine.view();
        (view.state, view.gate_open)
    }
}

fn brief(effect: &Effect) -> Option<String> {
    let flag = |on, name| if on { name } else { "" };
    Some(match effect {
        Effect::Commit { insist: true } => "commit".into(),
        Effect::Commit { insist: false } => "try to commit".into(),
        Effect::Publish(view) => {
            let (synced, gate) = (flag(!view.synced, ", not synced"), flag(view.gate_open, ", open"));
            format!("publish {}{synced}{gate}", view.state)
        }
        // Told by the call.
        Effect::Applied { .. } => return None,
        Effect::Call(Call::Change(change)) => {
            let (replay, missed) = (flag(change.replay, ", replay"), flag(change.missed, ", missed"));
            let passed_over = match change.passed_over {
                0 => String::new(),
                count => format!(", {count} passed over"),
            };
            format!("notify {}{replay}{missed}{passed_over}", change.transition.to)
        }
        Effect::Call(Call::Notice(notice)) => match notice {
            Notice::Begun { state, resumed } => format!("begun {state}{}", flag(*resumed, ", resumed")),
            Notice::Lost { .. } => "lost".into(),
            Notice::Closed | Notice::Failed { .. } => "ended".into(),
        },
        Effect::Skip { reason, .. } => match reason {
            Skip::OtherApplication => "skip foreign".into(),
            Skip::OtherAction(action) => format!("skip action {action}"),
            Skip::Undecodable(_) => "skip undecodable".into(),
            Skip::Forbidden { from, to } => format!("skip {from} to {to}"),
            Skip::Duplicate(_) => "skip duplicate".into(),
            Skip::OtherOperation { .. } => "skip other operation".into(),
        },
        Effect::Gap { known, from, .. } => format!("gap {known} {from}"),
        Effect::PartitionChange { before, .. } => format!("not in {before}"),
        Effect::CountRemaining => "count".into(),
    })
}

#[test]
fn t2_commit_comes_before_the_state_and_the_listeners_of_ready() {
    let mut session = Session::new(settings(), true, 0);
    assert_eq!(session.step("app", Ready, BackingUp), ["publish BACKING_UP", "notify BACKING_UP"]);
    assert_eq!(session.step("app", BackingUp, Ready), ["commit", "publish READY, open", "notify READY"]);
}

#[test]
fn t2_with_listeners_first_the_commit_waits_for_them() {
    let order = CommitOrder::ListenersFirst;
    let mut session = Session::new(Settings { order, ..settings() }, true, 0);
    assert_eq!(session.step("app", Ready, Restoring), ["publish RESTORING", "notify RESTORING"]);
    assert_eq!(session.step("app", Restoring, Ready), ["publish READY, open", "notify READY"]);
    assert_eq!(session.tick(Duration::ZERO), ["try to commit"]);
}

#[test]
fn t1_and_t3_what_a_source_left_out_of_others_counts_as_so_many_records_in_everything() {
    let mut session = Session::new(settings(), true, 5);
    session.now = SECOND;
    assert_eq!((session.others(4), session.machine.backlog()), (vec![], 1));
    session.now = 2 * SECOND;
    assert_eq!((session.others(1), session.machine.backlog()), (vec!["publish READY, open".to_owned()], 0));
    session.now = 5 * SECOND;
    assert_eq!((session.others(1000), session.machine.backlog()), (vec!["try to commit".to_owned()], 0));
    // Nothing is committed while an operation runs.
    session.now = 6 * SECOND;
    session.step("app", Ready, BackingUp);
    session.now = 60 * SECOND;
    assert!(session.others(1000).is_empty());
}

#[test]
fn t1_and_t3_foreign_events_are_committed_while_ready_and_not_too_often() {
    let mut session = Session::new(settings(), true, 0);
    session.now = SECOND;
    assert_eq!(session.step("other", Ready, BackingUp), ["skip foreign"]);
    session.now = 5 * SECOND;
    assert_eq!(session.step("other", BackingUp, Ready), ["skip foreign", "try to commit"]);
    assert_eq!(session.step("other", Ready, BackingUp), ["skip foreign"]);
    assert_eq!(session.machine.deadline(), Some(10 * SECOND));
    assert_eq!(session.tick(5 * SECOND), ["try to commit"], "a later one is not needed for it");
}

#[test]
fn t3_nothing_is_committed_while_not_ready() {
    for state in [Starting, BackingUp, Restoring] {
        let mut session = Session::new(settings(), state != Starting, 0);
        if state != Starting {
            session.step("app", Ready, state);
        }
        session.now = 1000 * SECOND;
        assert_eq!(session.step("other", Ready, BackingUp), ["skip foreign"]);
        assert_eq!(session.decoded(Err(DecodeError::Empty)), ["skip undecodable"]);
        assert!(session.tick(1000 * SECOND).is_empty());
        assert_eq!(session.machine.deadline(), None);
    }
}

#[test]
fn the_position_is_kept_alive_while_ready_and_quiet() {
    let mut session = Session::new(settings(), true, 0);
    assert_eq!(session.machine.deadline(), Some(300 * SECOND));
    assert!(session.tick(299 * SECOND).is_empty());
    assert_eq!(session.tick(SECOND), ["try to commit"]);
    assert_eq!(session.machine.deadline(), Some(600 * SECOND));
}

#[test]
fn t4_a_resumed_session_starts_in_ready_and_another_in_starting() {
    for (resumed, state) in [(true, Ready), (false, Starting)] {
        let view = Secondary::new("app".into(), settings(), resumed).view();
        assert_eq!((view.state, view.synced, view.gate_open), (state, false, false));
    }
}

#[test]
fn t5_a_gap_is_reported_and_the_target_adopted() {
    let mut session = Session::new(settings(), true, 0);
    assert_eq!(
        session.step("app", BackingUp, Ready),
        ["gap READY BACKING_UP", "try to commit", "publish READY, open", "notify READY, missed"]
    );
    assert_eq!(session.step("app", Ready, Restoring), ["publish RESTORING", "notify RESTORING"]);
    assert_eq!(
        session.step("app", Ready, BackingUp),
        ["gap RESTORING READY", "publish BACKING_UP", "notify BACKING_UP, missed"]
    );
}

#[test]
fn t5_the_first_step_of_a_new_group_has_no_gap() {
    let mut session = Session::new(settings(), false, 0);
    assert_eq!(session.step("app", Ready, BackingUp), ["publish BACKING_UP", "notify BACKING_UP"]);
}

#[test]
fn t5_forbidden_steps_are_refused() {
    let mut session = Session::new(settings(), true, 0);
    for (from, to) in [(Ready, Starting), (BackingUp, Restoring), (BackingUp, BackingUp)] {
        assert_eq!(session.step("app", from, to), [format!("skip {from} to {to}")]);
    }
    assert_eq!(session.machine.view().state, Ready);
}

#[test]
fn t6_what_is_no_transition_is_skipped() {
    let mut session = Session::new(settings(), true, 0);
    assert_eq!(session.decoded(Err(DecodeError::NoValue)), ["skip undecodable"]);
    for (application, expected) in [("app", "skip action compact"), ("other", "skip foreign")] {
        let (application, action) = (application.into(), "compact".into());
        assert_eq!(session.decoded(Ok(Decoded::OtherAction { application, action })), [expected]);
    }
}

#[test]
fn t10_synced_comes_with_the_last_event_of_the_backlog() {
    let mut session = Session::new(settings(), false, 3);
    assert_eq!(
        session.step("app", Starting, Ready),
        ["commit", "publish READY, not synced", "notify READY, replay"]
    );
    assert_eq!(session.step("other", Starting, Ready), ["skip foreign"]);
    assert_eq!(session.step("app", Ready, BackingUp), ["publish BACKING_UP", "notify BACKING_UP, replay"]);
    assert_eq!(session.step("app", BackingUp, Ready), ["commit", "publish READY, open", "notify READY"]);
}

#[test]
fn t10_an_empty_log_is_synced_at_once_and_a_skipped_record_can_be_the_last() {
    assert!(Session::new(settings(), false, 0).machine.view().synced);
    let mut session = Session::new(settings(), false, 1);
    assert_eq!(session.step("other", Ready, Ready), ["skip foreign", "publish STARTING, open"]);
}

#[test]
fn t10_a_count_that_was_too_high_is_taken_again() {
    let mut session = Session::new(settings(), true, 5);
    session.step("other", Ready, Ready);
    assert!(session.tick(RECOUNT_AFTER / 2).is_empty());
    assert_eq!(session.tick(RECOUNT_AFTER), ["count"]);
    assert!(session.say(Input::Remaining(2.into())).is_empty());
    session.tick(RECOUNT_AFTER);
    assert_eq!(session.say(Input::Remaining(0.into())), ["publish READY, open"]);
    assert!(session.tick(RECOUNT_AFTER).is_empty());
}

#[test]
fn the_backlog_is_what_was_counted_less_what_came_and_an_old_count_is_taken_again() {
    let mut session = Session::new(settings(), true, 2);
    assert_eq!(session.machine.backlog(), 2);
    session.step("other", Ready, Ready);
    assert_eq!(session.machine.backlog(), 1);
    session.step("other", Ready, Ready);
    session.step("other", Ready, Ready);
    assert_eq!(session.machine.backlog(), 0);

    // After trouble, although it is synced; one of the three is a gap in the log.
    session.say(Input::Remaining(3.into()));
    session.step("app", Ready, BackingUp);
    session.step("other", Ready, Ready);
    assert_eq!(session.machine.backlog(), 1);
    assert_eq!(session.machine.deadline(), Some(session.now + RECOUNT_AFTER));
    assert_eq!(session.tick(RECOUNT_AFTER), ["count"]);
    assert!(session.say(Input::Remaining(0.into())).is_empty());
    assert_eq!((session.machine.backlog(), session.machine.deadline()), (0, None));
}

#[test]
fn t10_the_gate_can_be_shut_while_starting() {
    for (shut, open) in [(false, true), (true, false)] {
        let settings = Settings { shut_while_starting: shut, ..settings() };
        assert_eq!(Session::new(settings, false, 0).machine.view().gate_open, open);
    }
}

#[test]
fn t11_an_id_is_applied_once_within_the_remembered_ones() {
    let mut session = Session::new(settings(), true, 0);
    let id = Uuid::from_u128(1 << 100);
    session.with_id("app", id, Ready, BackingUp);
    session.step("app", BackingUp, Ready);
    assert_eq!(session.with_id("app", id, Ready, BackingUp), ["skip duplicate"]);
    assert_eq!(session.machine.view().state, Ready);
    for _ in 0..REMEMBERED_IDS {
        session.step("app", Ready, Ready);
    }
    assert_eq!(session.machine.applier.remembers(), REMEMBERED_IDS);
    assert_eq!(session.with_id("app", id, Ready, BackingUp).len(), 2);
}

#[test]
fn a_step_in_another_partition_than_the_one_before_it_is_told_and_applied_all_the_same() {
    let mut session = Session::new(settings(), true, 0);
    let mut in_partition = |partition, application, from, to| {
        session.partition = Some(partition);
        session.step(application, from, to)
    };
    assert_eq!(in_partition(2, "app", Ready, BackingUp), ["publish BACKING_UP", "notify BACKING_UP"]);
    assert_eq!(
        in_partition(0, "app", BackingUp, Ready),
        ["not in 2", "commit", "publish READY, open", "notify READY"]
    );
    let from_an_open_gate = ["try to commit", "publish READY, open", "notify READY"];
    assert_eq!(in_partition(0, "app", Ready, Ready), from_an_open_gate);
    // Where others stand is their affair, and so is what has no effect.
    assert_eq!(in_partition(1, "other", Ready, BackingUp), ["skip foreign"]);
    assert_eq!(in_partition(1, "app", Restoring, BackingUp), ["skip RESTORING to BACKING_UP"]);
    assert_eq!(in_partition(0, "app", Ready, Restoring), ["publish RESTORING", "notify RESTORING"]);
    assert_eq!(
        in_partition(1, "app", Restoring, Ready),
        ["not in 0", "commit", "publish READY, open", "notify READY"]
    );
    // Of what stood in a log that is gone, nothing follows for the new one.
    session.lose();
    session.partition = Some(2);
    assert!(!session.step("app", Ready, BackingUp).iter().any(|effect| effect.starts_with("not in")));
}
