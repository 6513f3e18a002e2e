//! Explores the machines: every short script, every place for a crash, every outcome of a send.

use std::time::Duration;

use uuid::Uuid;

use super::primary::{Action, Command, Effect as Do, Input as In, Primary};
use super::secondary::{CommitOrder, Effect, Input, Secondary, Settings};
use crate::error::{Delivery, Error, ErrorKind};
use crate::event::Position;
use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::{DecodeError, Decoded};

/// A record of the log that a secondary reads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    Own(usize, BackupState, BackupState),
    /// The own entry before it, once more.
    Again,
    Other,
    Garbage,
}

/// Every log of up to `length` entries that a correct primary, its retries, and others can write.
fn logs(length: usize) -> Vec<Vec<Entry>> {
    let mut logs = vec![(Vec::new(), BackupState::Starting)];
    let mut from = 0;
    for _ in 0..length {
        let until = logs.len();
        for index in from..until {
            let (log, state): (Vec<Entry>, _) = logs[index].clone();
            for to in BackupState::ALL {
                let legal = state.can_become(to) && to != BackupState::Starting;
                // Ready after Ready is legal, and tells nothing new here.
                if legal && !(state == to) {
                    logs.push((with(&log, Entry::Own(log.len(), state, to)), to));
                }
            }
            for entry in [Entry::Again, Entry::Other, Entry::Garbage] {
                let repeated = log.last() == Some(&entry);
                let nothing_to_repeat = entry == Entry::Again && !matches!(log.last(), Some(Entry::Own(..)));
                if !repeated && !nothing_to_repeat {
                    logs.push((with(&log, entry), state));
                }
            }
        }
        from = until;
    }
    logs.into_iter().map(|(log, _)| log).collect()
}

fn with(log: &[Entry], entry: Entry) -> Vec<Entry> {
    log.iter().copied().chain([entry]).collect()
}

/// What is true after the first `length` entries.
fn oracle(log: &[Entry], length: usize) -> BackupState {
    log[..length]
        .iter()
        .rev()
        .find_map(|entry| if let Entry::Own(_, _, to) = entry { Some(*to) } else { None })
        .unwrap_or(BackupState::Starting)
}

fn decoded(log: &[Entry], index: usize) -> Result<Decoded, DecodeError> {
    let transition = |application: &str, id: usize, from, to| {
        Decoded::Transition(BackupTransition::new(Uuid::from_u128(id as u128), application, 0, from, to))
    };
    match log[index] {
        Entry::Own(id, from, to) => Ok(transition("app", id, from, to)),
        Entry::Again => decoded(log, index - 1),
        Entry::Other => Ok(transition("other", index, BackupState::Ready, BackupState::BackingUp)),
        Entry::Garbage => Err(DecodeError::Empty),
    }
}

/// A world of one log and one secondary that is killed after a number of effects, again and again.
struct World<'a> {
    log: &'a [Entry],
    committed: Option<usize>,
    told: Vec<usize>,
    state: BackupState,
    synced: bool,
}

impl World<'_> {
    /// One session; false if it was killed before it had read the log.
    fn session(&mut self, order: CommitOrder, mut effects_to_live: usize) -> bool {
        let settings = Settings {
            order,
            shut_while_starting: false,
            commit_interval: Duration::from_nanos(1),
            keep_alive: Duration::from_secs(1),
        };
        let start = self.committed.unwrap_or(0);
        let mut machine = Secondary::new("app".into(), settings, self.committed.is_some());
        self.state = machine.view().state;
        self.synced = false;
        assert_eq!(
            self.state,
            oracle(self.log, start),
            "T4: begins in the wrong state at {start} of {:?}",
            self.log
        );
        let mut inputs = vec![(start, Input::Remaining((self.log.len() - start) as u64))];
        for index in start..self.log.len() {
            let (position, now) = (Position::Offset(index as u64), Duration::from_nanos(index as u64 + 1));
            inputs.push((index + 1, Input::Record { position, decoded: decoded(self.log, index), now }));
        }
        for (read, input) in inputs {
            for effect in machine.handle(input) {
                if effects_to_live == 0 {
                    return false;
                }
                effects_to_live -= 1;
                self.perform(effect, read);
            }
        }
        true
    }

    fn perform(&mut self, effect: Effect, read: usize) {
        match effect {
            Effect::Commit => {
                let truth = oracle(self.log, read);
                assert_eq!(truth, BackupState::Ready, "T3: commit at {read} of {:?}", self.log);
                self.committed = Some(read);
            }
            Effect::Publish(view) => {
                assert!(!view.gate_open || view.synced, "T10: an open gate before synced");
                assert!(!view.gate_open || !view.state.is_operation(), "an open gate in {}", view.state);
                (self.state, self.synced) = (view.state, view.synced);
            }
            Effect::Notify { change, .. } => {
                self.told.push(usize::try_from(change.transition.id.as_u128()).unwrap());
            }
            Effect::Skip { .. } => {}
            Effect::Gap { .. } => {
                // The ids of an earlier session are not remembered: a repetition of what that one committed looks odd.
                assert_eq!(
                    self.log[read - 1],
                    Entry::Again,
                    "a gap where nothing is missing: {:?}",
                    self.log
                );
            }
            Effect::PartitionChange { position, .. } => panic!("a log of one partition: {position}"),
            Effect::CountRemaining => {}
        }
    }
}

#[test]
fn whenever_a_secondary_is_killed_nothing_is_forgotten() {
    let logs = logs(6);
    let mut worlds = 0;
    for log in &logs {
        for order in [CommitOrder::CommitFirst, CommitOrder::ListenersFirst] {
            for first in 0.. {
                let mut world = World {
                    log,
                    committed: None,
                    told: Vec::new(),
                    state: BackupState::Starting,
                    synced: false,
                };
                let lived = world.session(order, first);
                for second in [0, 1, 2, 3, 5, 8] {
                    if !lived {
                        world.session(order, second);
                    }
                }
                assert!(world.session(order, usize::MAX));
                check(&world, order);
                worlds += 1;
                if lived {
                    break;
                }
            }
        }
    }
    assert!(worlds > 10_000, "explored only {worlds}");
}

fn check(world: &World<'_>, order: CommitOrder) {
    let World { log, told, .. } = world;
    assert_eq!(world.state, oracle(log, log.len()), "ends in the wrong state: {log:?}");
    assert!(world.synced, "never synced: {log:?}");
    for entry in *log {
        let Entry::Own(id, _, to) = entry else { continue };
        // With the commit first, a crash may fall between the commit and the listeners of Ready; that is the price.
        let may_be_missed = order == CommitOrder::CommitFirst && *to == BackupState::Ready;
        assert!(may_be_missed || told.contains(id), "no listener was told of {id}: {log:?}");
    }
    if let Some(Entry::Own(id, ..)) = log.iter().rev().find(|entry| matches!(entry, Entry::Own(..)))
        && world.state.is_operation()
    {
        assert_eq!(told.last(), Some(id), "the running operation was not seen again: {log:?}");
    }
}

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
