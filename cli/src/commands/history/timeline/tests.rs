use backup_tracker::{BackupTransition, Position};
use uuid::Uuid;

use super::*;
use crate::ledger::Step;
use BackupState::{BackingUp, Ready, Restoring};

fn operation(kind: BackupState, outcome: Outcome, begin: Option<u64>, end: Option<u64>) -> Operation {
    let step = |millis, from, to| Step {
        transition: BackupTransition::new(Uuid::nil(), "shop", millis, from, to),
        position: Position::Offset(0),
        headers: Vec::new(),
    };
    let begin = begin.map(|millis| step(millis, Ready, kind));
    let end = end.map(|millis| step(millis, kind, Ready));
    Operation { kind, begin, end, outcome }
}

fn runs(bar: &str) -> Vec<(char, usize)> {
    let mut runs: Vec<(char, usize)> = Vec::new();
    for cell in bar.chars() {
        match runs.last_mut() {
            Some((last, count)) if *last == cell => *count += 1,
            _ => runs.push((cell, 1)),
        }
    }
    runs
}

#[test]
fn operations_are_drawn_to_scale() {
    let cell = 1000;
    let operations = [
        operation(BackingUp, Outcome::Ended, Some(0), Some(10 * cell - 1)),
        operation(Restoring, Outcome::Interrupted, Some(20 * cell), Some(30 * cell - 1)),
        operation(BackingUp, Outcome::TakenBack, Some(40 * cell), Some(40 * cell)),
        operation(Restoring, Outcome::Running, Some(70 * cell), None),
    ];
    let timeline = Timeline::new(&operations, None, WIDTH as u64 * cell - 1);
    assert_eq!(
        runs(&timeline.bar()),
        [('B', 10), ('·', 10), ('r', 10), ('·', 10), ('b', 1), ('·', 29), ('R', 5), ('>', 1)]
    );
    assert_eq!(timeline.scale().chars().count(), WIDTH);
    assert!(timeline.scale().starts_with("1970-01-01T00:00:00Z  "), "{}", timeline.scale());
    assert!(timeline.scale().ends_with("  1970-01-01T00:01:15Z"), "{}", timeline.scale());
}

#[test]
fn an_operation_does_not_hide_the_one_that_ended_just_before_it() {
    let operations = [
        operation(BackingUp, Outcome::Ended, Some(0), Some(0)),
        operation(Restoring, Outcome::Ended, Some(1), Some(20_000)),
    ];
    let timeline = Timeline::new(&operations, None, 76_000);
    assert_eq!(runs(&timeline.bar()), [('B', 1), ('R', 19), ('·', 56)]);
}

#[test]
fn it_begins_where_it_was_asked_to_and_holds_clocks_that_are_ahead() {
    let operations = [
        operation(Restoring, Outcome::Ended, None, Some(60_000)),
        operation(BackingUp, Outcome::Ended, Some(10_000), Some(80_000)),
    ];
    let timeline = Timeline::new(&operations, Some(50_000), 70_000);
    assert_eq!((timeline.from_millis, timeline.to_millis), (50_000, 80_000));
    assert!(timeline.bar().starts_with('B') && timeline.bar().ends_with('B'));
    for now in [0, u64::MAX] {
        let bar = Timeline::new(&operations, Some(u64::MAX), now).bar();
        assert_eq!(bar.chars().count(), WIDTH);
    }
}
