//! Explores two primaries of one application, whose announcements come in any order, and one reader of their log (F1).

use std::collections::VecDeque;

use uuid::Uuid;

use super::applier::{Applier, Skip};
use super::primary::{Action, Command, Effect, Input, Primary};
use crate::error::{Delivery, Error, ErrorKind};
use crate::state::BackupState;
use crate::transition::BackupTransition;
use crate::wire::Decoded;

/// What becomes of one attempt to send.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Accepted,
    NotSent,
    UnknownAndThere,
    UnknownAndNotThere,
    /// In the log one day, behind what is sent meanwhile.
    UnknownAndLate,
}

const FATES: [Fate; 5] =
    [Fate::Accepted, Fate::NotSent, Fate::UnknownAndThere, Fate::UnknownAndNotThere, Fate::UnknownAndLate];

/// What happens next in the world.
#[derive(Clone, Copy, Debug)]
enum Move {
    Ask(Action),
    Idle,
    Land,
}

const MOVES: [Move; 7] = [
    Move::Ask(Action::StartupComplete),
    Move::Ask(Action::StartBackup),
    Move::Ask(Action::FinishBackup),
    Move::Ask(Action::StartRestore),
    Move::Ask(Action::FinishRestore),
    Move::Idle,
    Move::Land,
];

/// Choices are drawn from a number: a generator of full period, so that each number is another script.
struct Choices(u64);

impl Choices {
    fn take<T: Copy>(&mut self, from: &[T]) -> T {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from[usize::try_from(self.0 >> 33).unwrap() % from.len()]
    }
}

struct World {
    primaries: [Primary; 2],
    choices: Choices,
    /// Every send is accepted from now on.
    healed: bool,
    late: VecDeque<BackupTransition>,
    reader: Applier,
    /// Whose operations must be running for the reader: announced with `Ok`, and since then nothing came that may end them.
    at_work: Vec<(usize, Uuid)>,
    refused: u32,
    next_id: u128,
}

impl World {
    fn new(number: u64) -> Self {
        let primary = || Primary::new("app".into(), BackupState::Starting);
        Self {
            primaries: [primary(), primary()],
            choices: Choices(number),
            healed: false,
            late: VecDeque::new(),
            reader: Applier::new("app"),
            at_work: Vec::new(),
            refused: 0,
            next_id: 2,
        }
    }

    fn command(&mut self, action: Action) -> Input {
        // Ids of undo announcements are derived: each takes two.
        self.next_id += 2;
        let id = Uuid::from_u128(self.next_id);
        Input::Command(Command { action, id, now_millis: 0, only_if_running: None })
    }

    fn land(&mut self, transition: BackupTransition) {
        let BackupTransition { from, to, operation: named, .. } = transition;
        match self.reader.apply(Ok(Decoded::Transition(transition))) {
            // A primary that begins anew, or says Ready, is the authority on whatever ran.
            Ok(_) if from == BackupState::Starting || (to == BackupState::Ready && named.is_none()) => {
                self.at_work.clear();
            }
            // An end that its primary has given up is still its own.
            Ok(_) if to == BackupState::Ready => self.at_work.retain(|(_, id)| Some(*id) != named),
            Ok(_) | Err(Skip::Duplicate(_)) => {}
            Err(Skip::OtherOperation { named, .. }) => {
                self.at_work.retain(|(_, id)| *id != named);
                self.refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn send(&mut self, transition: BackupTransition) -> Input {
        let fate = if self.healed { Fate::Accepted } else { self.choices.take(&FATES) };
        // A nameless one that comes late ends whatever runs by then: no machine can help that, the transports must (K2).
        let may_come_late = transition.to.is_operation() || transition.operation.is_some();
        let delivery = match fate {
            Fate::Accepted => {
                self.land(transition);
                return Input::Accepted;
            }
            Fate::NotSent => Delivery::NotSent,
            Fate::UnknownAndThere => {
                self.land(transition);
                Delivery::Unknown
            }
            Fate::UnknownAndLate if may_come_late => {
                self.late.push_back(transition);
                Delivery::Unknown
            }
            Fate::UnknownAndNotThere | Fate::UnknownAndLate => Delivery::Unknown,
        };
        Input::Failed(Error::new(ErrorKind::Unavailable, "send", "").with_delivery(delivery))
    }

    fn drive(&mut self, who: usize, input: Input) {
        let mut effects = VecDeque::from(self.primaries[who].handle(input));
        while let Some(effect) = effects.pop_front() {
            let next = match effect {
                Effect::Send(transition) => self.send(transition),
                Effect::BackOff(_) => {
                    if self.choices.take(&[true, false]) {
                        Input::Retry
                    } else {
                        Input::GiveUp
                    }
                }
                Effect::Apply(step) if step.to.is_operation() => {
                    if self.reader.running().contains(&step.id) {
                        self.at_work.push((who, step.id));
                    }
                    continue;
                }
                Effect::Apply(_) => {
                    self.at_work.retain(|(worker, _)| *worker != who);
                    continue;
                }
                Effect::Postpone(pending, _) => {
                    assert!(pending.operation.is_some(), "pending, and may end anything: {pending:?}");
                    continue;
                }
                Effect::Answer(_) => continue,
            };
            effects.extend(self.primaries[who].handle(next));
        }
        self.check();
    }

    fn check(&self) {
        for (who, id) in &self.at_work {
            let state = self.reader.state();
            assert!(state.is_operation(), "primary {who} is at work in {id}, and its reader is {state}");
        }
    }

    fn is_at_rest(&self) -> bool {
        let rests = |primary: &Primary| !primary.state().is_operation() && primary.pending().is_none();
        self.primaries.iter().all(rests) && self.late.is_empty()
    }

    fn step(&mut self) {
        let who = self.choices.take(&[0, 1]);
        match self.choices.take(&MOVES) {
            Move::Ask(action) => {
                let command = self.command(action);
                self.drive(who, command);
            }
            Move::Idle => self.drive(who, Input::Idle),
            Move::Land => self.land_late(),
        }
        self.check();
    }

    fn land_late(&mut self) {
        if let Some(transition) = self.late.pop_front() {
            self.land(transition);
        }
    }
}

#[test]
fn f1_an_end_never_ends_an_operation_of_another_primary_and_everybody_converges() {
    let (mut refused, mut rests, mut held) = (0, 0, 0);
    for number in 0..60_000 {
        let mut world = World::new(number);
        for _ in 0..10 {
            world.step();
            held += u32::from(!world.at_work.is_empty());
            if world.is_at_rest() {
                rests += 1;
                let state = world.reader.state();
                assert!(
                    !state.is_operation(),
                    "number {number}: nobody is at work, and the reader is {state}"
                );
            }
        }
        converge(&mut world);
        refused += world.refused;
    }
    assert!(refused > 1000 && rests > 1000 && held > 1000, "{refused} {rests} {held}");
}

/// The faults are over, and primary 1 takes over while primary 0 still has its end to announce.
fn converge(world: &mut World) {
    world.healed = true;
    while !world.late.is_empty() {
        world.land_late();
    }
    let (ready, begin, end) = (Action::StartupComplete, Action::StartBackup, Action::FinishBackup);
    for (action, state) in
        [(ready, BackupState::Ready), (begin, BackupState::BackingUp), (end, BackupState::Ready)]
    {
        let command = world.command(action);
        world.drive(1, command);
        assert_eq!((world.primaries[1].state(), world.reader.state()), (state, state), "{action:?}");
        world.drive(0, Input::Idle);
        assert_eq!(world.reader.state(), state, "after {action:?}");
    }
}
