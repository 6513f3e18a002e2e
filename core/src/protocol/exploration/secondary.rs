//! The secondary's half: logs of several partitions, losses, listeners and commits of every kind, and a crash at every effect.

mod losses;
mod partitions;

use std::time::Duration;

use uuid::Uuid;

use super::Choices;
use crate::error::{Error, ErrorKind};
use crate::event::Position;
use crate::protocol::calls::Call;
use crate::protocol::secondary::{CommitOrder, Effect, Input, LISTENER_GRACE, Secondary, Settings};
use crate::source::Remaining;
use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::{DecodeError, Decoded};

/// A record of the log.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    Own(usize, BackupState, BackupState),
    /// The own entry before it, once more.
    Again,
    /// In a partition of its own.
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
    let own = log[..length].iter().rev();
    own.filter_map(|entry| if let Entry::Own(_, _, to) = entry { Some(*to) } else { None })
        .next()
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

/// What may go otherwise than well in a session, one choice after the other.
#[derive(Clone, Copy, Debug)]
enum Commit {
    Confirmed,
    Refused,
    /// The position has moved, and nobody hears of it.
    Unconfirmed,
}

/// A world of one log and one secondary that is killed after a number of effects, again and again.
struct World<'a> {
    log: &'a [Entry],
    order: CommitOrder,
    committed: Option<usize>,
    /// The steps whose listeners have returned, or that were passed over, in any session.
    told: Vec<usize>,
    /// Those that were applied in this session and not told yet, oldest first.
    untold: Vec<usize>,
    /// The call that has not returned: of a step, or about no step.
    running: Option<Option<usize>>,
    state: BackupState,
    gate_open: bool,
    synced: bool,
    effects_to_live: usize,
}

impl<'a> World<'a> {
    fn new(log: &'a [Entry], order: CommitOrder) -> Self {
        Self {
            log,
            order,
            committed: None,
            told: Vec::new(),
            untold: Vec::new(),
            running: None,
            state: BackupState::Starting,
            gate_open: false,
            synced: false,
            effects_to_live: usize::MAX,
        }
    }

    /// One session that reads everything; false if it was killed before.
    fn session(&mut self, choices: &mut Choices, effects_to_live: usize) -> bool {
        let settings = Settings {
            order: self.order,
            shut_while_starting: false,
            open_after_loss: false,
            shut_after_silence: None,
            commit_interval: Duration::from_nanos(1),
            keep_alive: Duration::from_secs(3600),
        };
        self.effects_to_live = effects_to_live;
        let start = self.committed.unwrap_or(0);
        let mut machine = Secondary::new("app".into(), settings, self.committed.is_some());
        self.state = machine.view().state;
        (self.gate_open, self.synced, self.running) = (false, false, None);
        self.untold.clear();
        assert_eq!(self.state, oracle(self.log, start), "T4: wrong at {start} of {:?}", self.log);

        let mut now = Duration::ZERO;
        let mut read = start;
        if !self.say(&mut machine, Input::Begin, read, now, choices) {
            return false;
        }
        let all = Input::Remaining(counts(&self.log[start..]));
        if !self.say(&mut machine, all, read, now, choices) {
            return false;
        }
        loop {
            now += Duration::from_nanos(10);
            // Listeners return at any time; they must when nothing else can happen.
            let idle = read == self.log.len() || !machine.reads();
            let returns = self.running.is_some()
                && (choices.take(&[true, false]) || (idle && choices.take(&[true, false])));
            let input = if returns {
                self.told.extend(self.running.take().flatten());
                Input::Returned
            } else if !machine.reads() || (read < self.log.len() && choices.take(&[false, false, true])) {
                now += LISTENER_GRACE;
                Input::Tick { now }
            } else if read < self.log.len() {
                let place = |partition| Position::Partition { partition, offset: read as u64 };
                let position = place(u32::from(self.log[read] == Entry::Other));
                read += 1;
                Input::Record { position, decoded: decoded(self.log, read - 1), now }
            } else if self.running.is_some() {
                self.told.extend(self.running.take().flatten());
                Input::Returned
            } else {
                return true;
            };
            if !self.say(&mut machine, input, read, now, choices) {
                return false;
            }
            self.check_gate(read);
        }
    }

    fn say(
        &mut self,
        machine: &mut Secondary,
        input: Input,
        read: usize,
        now: Duration,
        choices: &mut Choices,
    ) -> bool {
        let mut effects = std::collections::VecDeque::from(machine.handle(input));
        while let Some(effect) = effects.pop_front() {
            if self.effects_to_live == 0 {
                return false;
            }
            self.effects_to_live -= 1;
            let answer = self.perform(effect, read, now, choices);
            for effect in answer.into_iter().flat_map(|answer| machine.handle(answer)).rev() {
                effects.push_front(effect);
            }
        }
        true
    }

    fn perform(
        &mut self,
        effect: Effect,
        read: usize,
        now: Duration,
        choices: &mut Choices,
    ) -> Option<Input> {
        match effect {
            Effect::Commit { .. } => {
                let outcome = choices.take(&[
                    Commit::Confirmed,
                    Commit::Confirmed,
                    Commit::Refused,
                    Commit::Unconfirmed,
                ]);
                if !matches!(outcome, Commit::Refused) {
                    self.commits(read);
                }
                return Some(match outcome {
                    Commit::Confirmed => Input::Committed { now },
                    _ => Input::NotCommitted { retry_at: now },
                });
            }
            Effect::Publish(view) => {
                assert!(!view.gate_open || view.synced, "T10: an open gate before synced");
                assert!(!view.gate_open || !view.state.is_operation(), "an open gate in {}", view.state);
                (self.state, self.synced, self.gate_open) = (view.state, view.synced, view.gate_open);
            }
            Effect::Applied { transition, .. } => self.untold.push(number(&transition)),
            Effect::Call(Call::Change(change)) => {
                assert_eq!(self.running, None, "two calls at a time");
                let passed_over = usize::try_from(change.passed_over).unwrap();
                self.told.extend(self.untold.drain(..passed_over));
                let next = number(&change.transition);
                assert_eq!(self.untold.remove(0), next, "T8: out of order");
                let committed = self.committed.unwrap_or(0) > self.place_of(next);
                let needs_commit =
                    self.order == CommitOrder::CommitFirst && change.transition.to == BackupState::Ready;
                assert!(committed || !needs_commit, "T2: a Ready was told before its commit: {:?}", self.log);
                self.running = Some(Some(next));
            }
            Effect::Call(Call::Notice(_)) => {
                assert_eq!(self.running, None, "two calls at a time");
                self.running = Some(None);
            }
            Effect::Gap { .. } => {
                // The ids of an earlier session are not remembered: a repetition of what that one committed looks odd.
                assert_eq!(
                    self.log[read - 1],
                    Entry::Again,
                    "a gap where nothing is missing: {:?}",
                    self.log
                );
            }
            Effect::PartitionChange { position, .. } => {
                panic!("all own steps are in one partition: {position}")
            }
            Effect::Skip { .. } | Effect::CountRemaining => {}
        }
        None
    }

    fn place_of(&self, id: usize) -> usize {
        self.log.iter().position(|entry| matches!(entry, Entry::Own(own, ..) if *own == id)).unwrap()
    }

    /// What is behind the position was told, but for the Ready for which the commit is made.
    fn commits(&mut self, read: usize) {
        assert_eq!(oracle(self.log, read), BackupState::Ready, "T3: commit at {read} of {:?}", self.log);
        let own = self.log[..read].iter().enumerate().filter_map(|(place, entry)| match entry {
            Entry::Own(id, _, to) => Some((place, *id, *to)),
            _ => None,
        });
        let newest = own.clone().next_back().map(|(place, ..)| place);
        for (place, id, to) in own {
            let made_for =
                self.order == CommitOrder::CommitFirst && to == BackupState::Ready && Some(place) == newest;
            let earlier = place < self.committed.unwrap_or(0);
            assert!(
                self.told.contains(&id) || made_for || earlier,
                "T2: {id} is behind a commit at {read} and was not told: {:?}",
                self.log
            );
        }
        self.committed = Some(self.committed.map_or(read, |before| before.max(read)));
    }

    /// What was in the log when the session began is older than anything that opens the gate.
    fn check_gate(&self, read: usize) {
        assert!(
            !self.gate_open
                || read == self.log.len()
                || self.log[read..].iter().all(|entry| *entry == Entry::Other),
            "T10: the gate is open at {read} of {:?}",
            self.log
        );
    }
}

/// What remains, partition by partition.
fn counts(log: &[Entry]) -> Remaining {
    let others = log.iter().filter(|entry| **entry == Entry::Other).count();
    Remaining::in_partitions([(log.len() - others) as u64, others as u64])
}

fn number(transition: &BackupTransition) -> usize {
    usize::try_from(transition.id.as_u128()).unwrap()
}

#[test]
fn whenever_a_secondary_is_killed_nothing_is_forgotten() {
    let logs = logs(5);
    let mut worlds = 0;
    for log in &logs {
        for order in [CommitOrder::CommitFirst, CommitOrder::ListenersFirst] {
            for first in 0.. {
                let mut lived = false;
                for seed in [0, 7, 89_342_111, 123_456_789_123] {
                    let mut choices = Choices(seed);
                    let mut world = World::new(log, order);
                    lived = world.session(&mut choices, first);
                    for second in [2, 7] {
                        if !lived {
                            world.session(&mut choices, second);
                        }
                    }
                    // With a broker and listeners that work.
                    assert!(world.session(&mut Choices(0), usize::MAX));
                    check(&world);
                    worlds += 1;
                }
                if lived {
                    break;
                }
            }
        }
    }
    assert!(worlds > 50_000, "explored only {worlds}");
}

fn check(world: &World<'_>) {
    let World { log, told, order, .. } = world;
    assert_eq!(world.state, oracle(log, log.len()), "ends in the wrong state: {log:?}");
    assert!(world.synced, "never synced: {log:?}");
    for entry in *log {
        let Entry::Own(id, _, to) = entry else { continue };
        // With the commit first, a crash may fall between the commit and the listeners of Ready; that is the price.
        let may_be_missed = *order == CommitOrder::CommitFirst && *to == BackupState::Ready;
        assert!(may_be_missed || told.contains(id), "no listener was told of {id}: {log:?}");
    }
    if let Some(Entry::Own(id, ..)) = log.iter().rev().find(|entry| matches!(entry, Entry::Own(..)))
        && world.state.is_operation()
    {
        assert_eq!(told.last(), Some(id), "the running operation was not seen again: {log:?}");
    }
}

fn settings_of_a_quiet_one() -> Settings {
    Settings {
        order: CommitOrder::CommitFirst,
        shut_while_starting: false,
        open_after_loss: false,
        shut_after_silence: None,
        commit_interval: Duration::MAX,
        keep_alive: Duration::MAX,
    }
}
