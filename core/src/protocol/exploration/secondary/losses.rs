//! A log that is lost anywhere, and every log that comes after it.

use super::*;

#[test]
fn wherever_the_log_is_lost_a_secondary_follows_the_new_one_and_knows_nothing_before() {
    let logs = logs(3);
    for old in &logs {
        for new in &logs {
            for lost_after in 0..=old.len() {
                for order in [CommitOrder::CommitFirst, CommitOrder::ListenersFirst] {
                    lose(old, new, lost_after, order);
                }
            }
        }
    }
}

fn lose(old: &[Entry], new: &[Entry], lost_after: usize, order: CommitOrder) {
    let mut machine = Secondary::new("app".into(), Settings { order, ..settings_of_a_quiet_one() }, false);
    let mut now = Duration::ZERO;
    let mut say = |machine: &mut Secondary, input: Input| {
        now += Duration::from_nanos(1);
        let mut effects = std::collections::VecDeque::from(machine.handle(input));
        while let Some(effect) = effects.pop_front() {
            let answer = match effect {
                Effect::Commit { .. } => Input::Committed { now },
                Effect::Call(_) => Input::Returned,
                _ => continue,
            };
            effects.extend(machine.handle(answer));
        }
    };
    let read = |log: &[Entry], index: usize| Input::Record {
        position: Position::Partition {
            partition: u32::from(log[index] == Entry::Other),
            offset: index as u64,
        },
        decoded: decoded(log, index),
        now: Duration::ZERO,
    };
    say(&mut machine, Input::Begin);
    say(&mut machine, Input::Remaining(counts(old)));
    for index in 0..lost_after {
        say(&mut machine, read(old, index));
    }
    let before = oracle(old, lost_after);
    let error = Error::new(ErrorKind::Lost, "read", "on purpose");
    say(&mut machine, Input::Lost { error, again_at: Duration::ZERO });
    say(&mut machine, Input::Remaining(counts(new)));
    let mut known = false;
    for index in 0..=new.len() {
        let view = machine.view();
        let expected = match (known, before.is_operation()) {
            (true, _) => oracle(new, index),
            (false, true) => before,
            (false, false) => BackupState::Starting,
        };
        assert_eq!(view.state, expected, "T14: {old:?} lost after {lost_after}, then {new:?} at {index}");
        assert!(
            !view.gate_open || known,
            "T14: open before anything is known: {old:?}, then {new:?} at {index}"
        );
        if index < new.len() {
            known |= matches!(new[index], Entry::Own(..));
            say(&mut machine, read(new, index));
        }
    }
    assert!(machine.view().synced);
    assert_eq!(machine.view().gate_open, known && !oracle(new, new.len()).is_operation());
}
