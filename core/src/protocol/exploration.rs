//! Explores the machines: every short script, every place for a crash, every outcome of a send or a commit.

mod secondary;

use uuid::Uuid;

use super::primary::{Action, Command, Effect as Do, Input as In, Primary};
use crate::error::{Delivery, Error, ErrorKind};
use crate::state::BackupState;
use crate::transition::BackupTransition;

/// What becomes of one attempt to send.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Accepted,
    NotSent,
    UnknownAndThere,
    UnknownAndNotThere,
    Denied,
}

const FATES: [Fate; 5] =
    [Fate::Accepted, Fate::NotSent, Fate::UnknownAndThere, Fate::UnknownAndNotThere, Fate::Denied];
const ACTIONS: [Action; 5] = [
    Action::StartupComplete,
    Action::StartBackup,
    Action::FinishBackup,
    Action::StartRestore,
    Action::FinishRestore,
];

/// Choices are taken from the digits of a number, so that counting explores everything.
struct Choices(usize);

impl Choices {
    fn take<T: Copy>(&mut self, from: &[T]) -> T {
        let choice = from[self.0 % from.len()];
        self.0 /= from.len();
        choice
    }
}

#[test]
fn whatever_becomes_of_its_sends_a_primary_and_its_log_agree() {
    for number in 0..200_000 {
        // A multiplier without common factor spreads the numbers over all digits.
        let mut choices = Choices(number * 2_654_435_761);
        let mut primary = Primary::new("app".into(), BackupState::Starting);
        let mut log: Vec<BackupTransition> = Vec::new();
        // Nothing comes after them by itself: the caller knows that they may be in the log, and repeats the call.
        let mut given_up = Vec::new();
        for step in 0..4 {
            let id = Uuid::from_u128(2 * (step + 1));
            let action = choices.take(&ACTIONS);
            let command = Command { action, id, now_millis: 0, only_if_running: None };
            let before = primary.state();
            let answer = drive(&mut primary, In::Command(command), &mut log, &mut choices);
            match answer.expect("every command is answered") {
                Ok(transition) => {
                    assert_eq!(primary.state(), action.target());
                    assert_eq!(
                        log.last().map(|t| t.id),
                        Some(transition.id),
                        "Ok without the event in the log"
                    );
                }
                Err(error) if error.kind() == ErrorKind::IllegalTransition => {
                    assert_eq!(error.states(), Some((primary.state(), action.target())));
                }
                Err(error) => {
                    assert!(primary.state() == before || primary.state() == BackupState::Ready);
                    if primary.pending().is_none() && error.delivery() == Delivery::Unknown {
                        given_up.push(id);
                    }
                }
            }
            if primary.pending().is_none() {
                let last = log.iter().rev().find(|step| !given_up.contains(&step.id));
                let end = last.map_or(BackupState::Starting, |last| last.to);
                assert_eq!(end, primary.state(), "number {number}, step {step}: {log:?}");
            }
        }
        // With a broker that works again, what is owed gets paid, and everybody is where the primary is.
        drive(&mut primary, In::Idle, &mut log, &mut Choices(0));
        assert!(primary.pending().is_none());
        drive(&mut primary, In::Command(ready(100)), &mut log, &mut Choices(0)).unwrap().unwrap();
        assert_eq!((log.last().unwrap().to, primary.state()), (BackupState::Ready, BackupState::Ready));
        assert!(log.iter().all(|t| t.from.can_become(t.to)), "a step that the table forbids: {log:?}");
    }
}

fn ready(id: u128) -> Command {
    let action = Action::StartupComplete;
    Command { action, id: Uuid::from_u128(id), now_millis: 0, only_if_running: None }
}

fn drive(
    primary: &mut Primary,
    input: In,
    log: &mut Vec<BackupTransition>,
    choices: &mut Choices,
) -> Option<Result<BackupTransition, Error>> {
    let mut answer = None;
    let mut effects = std::collections::VecDeque::from(primary.handle(input));
    while let Some(effect) = effects.pop_front() {
        let next = match effect {
            Do::Send(transition) => {
                let fate = choices.take(&FATES);
                if matches!(fate, Fate::Accepted | Fate::UnknownAndThere) {
                    log.push(transition);
                }
                let failed =
                    |kind, delivery| In::Failed(Error::new(kind, "send", "").with_delivery(delivery));
                match fate {
                    Fate::Accepted => In::Accepted,
                    Fate::NotSent => failed(ErrorKind::Unavailable, Delivery::NotSent),
                    Fate::Denied => failed(ErrorKind::Denied, Delivery::NotSent),
                    Fate::UnknownAndThere | Fate::UnknownAndNotThere => {
                        failed(ErrorKind::Unavailable, Delivery::Unknown)
                    }
                }
            }
            Do::BackOff(_) => {
                if choices.take(&[true, false]) {
                    In::Retry
                } else {
                    In::GiveUp
                }
            }
            Do::Answer(result) => {
                assert!(answer.replace(result).is_none(), "answered twice");
                continue;
            }
            Do::Apply(_) | Do::Postpone(..) => continue,
        };
        effects.extend(primary.handle(next));
    }
    answer
}
