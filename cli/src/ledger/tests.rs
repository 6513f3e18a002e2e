use backup_tracker::WireFormat;
use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use backup_tracker::BackupState::{self, BackingUp, Ready, Restoring, Starting};

/// Writes a log and folds it.
#[derive(Default)]
struct Log {
    ledger: Ledger,
    offset: u64,
}

impl Log {
    fn raw(&mut self, payload: impl Into<Option<Bytes>>) -> Result<Step, Skip> {
        self.offset += 1;
        let record = Record::new(Position::Offset(self.offset)).payload(payload);
        self.ledger.record(&record).cloned()
    }

    fn event(&mut self, transition: &BackupTransition) -> Result<Step, Skip> {
        let format = WireFormat::ALL[(self.offset % 3) as usize];
        self.raw(wire::encode(transition, format).payload)
    }

    /// A step of `shop` with an id and a time of its own.
    fn step(&mut self, from: BackupState, to: BackupState) -> Step {
        let id = Uuid::from_u128(u128::from(self.offset) << 8);
        let millis = 1000 * (self.offset + 1);
        self.event(&BackupTransition::new(id, "shop", millis, from, to)).unwrap()
    }

    fn shop(&self) -> &Account {
        self.ledger.account("shop").unwrap()
    }

    fn outcomes(&self) -> Vec<(BackupState, Outcome)> {
        self.shop().operations().iter().map(|operation| (operation.kind, operation.outcome)).collect()
    }
}

#[test]
fn an_operation_has_a_begin_an_end_and_a_duration() {
    let mut log = Log::default();
    log.step(Starting, Ready);
    let begin = log.step(Ready, BackingUp);
    assert_eq!(log.outcomes(), [(BackingUp, Outcome::Running)]);
    assert_eq!(log.shop().operations()[0].lasting(12_000).unwrap().duration.as_secs(), 10);
    assert_eq!(log.shop().operations()[0].span(12_000), (2000, 12_000));
    let end = log.step(BackingUp, Ready);
    assert_eq!(log.outcomes(), [(BackingUp, Outcome::Ended)]);
    let operation = &log.shop().operations()[0];
    assert_eq!((operation.begin.as_ref(), operation.end.as_ref()), (Some(&begin), Some(&end)));
    assert_eq!(operation.lasting(99_000).unwrap().duration.as_secs(), 1);
    assert_eq!((log.shop().state(), log.shop().since(), log.shop().last()), (Ready, Some(&end), Some(&end)));
    assert_eq!(log.shop().counts(), Counts { applied: 3, ..Counts::default() });
}

#[test]
fn a_new_start_or_a_ready_from_elsewhere_interrupts_what_was_running() {
    for (from, to) in [
        (Starting, Ready),
        (Ready, Ready),
        (Starting, Starting),
        (Starting, BackingUp),
        (Ready, Restoring),
        (Restoring, Ready),
    ] {
        let mut log = Log::default();
        log.step(Ready, BackingUp);
        let by = log.step(from, to);
        let interrupted = &log.shop().operations()[0];
        assert_eq!(interrupted.outcome, Outcome::Interrupted, "{from} to {to}");
        assert_eq!(interrupted.end.as_ref(), Some(&by));
        assert_eq!(log.shop().state(), to);
        assert_eq!(log.shop().counts().gaps, 1);
        match (from, to) {
            (Restoring, Ready) => assert_eq!(log.outcomes()[1..], [(Restoring, Outcome::Ended)]),
            (_, BackingUp | Restoring) => assert_eq!(log.outcomes()[1..], [(to, Outcome::Running)]),
            _ => assert_eq!(log.outcomes().len(), 1),
        }
    }
}

#[test]
fn an_operation_whose_beginning_is_not_in_the_log_is_there_all_the_same() {
    let mut log = Log::default();
    let end = log.step(Restoring, Ready);
    let operation = Operation { kind: Restoring, begin: None, end: Some(end), outcome: Outcome::Ended };
    assert_eq!(log.shop().operations(), std::slice::from_ref(&operation));
    assert_eq!((operation.lasting(5000), operation.span(5000)), (None, (1000, 1000)));
    assert_eq!(log.shop().counts().gaps, 0, "nothing was known before it");
}

#[test]
fn an_announcement_that_was_taken_back_is_no_backup() {
    let mut log = Log::default();
    log.step(Starting, Ready);
    let announced = log.step(Ready, BackingUp).transition;
    let id = Uuid::from_u128(announced.id.as_u128() ^ 1);
    log.event(&BackupTransition::new(id, "shop", announced.timestamp_millis, BackingUp, Ready)).unwrap();
    assert_eq!(log.outcomes(), [(BackingUp, Outcome::TakenBack)]);
}

#[test]
fn the_state_is_as_old_as_the_step_that_brought_it() {
    let mut log = Log::default();
    let first = log.step(Starting, Ready);
    let again = log.step(Ready, Ready);
    assert_eq!((log.shop().since(), log.shop().last()), (Some(&first), Some(&again)));
    let restarted = log.step(Starting, Ready);
    assert_eq!(log.shop().since(), Some(&restarted), "it may have been left in between");
    log.step(Ready, BackingUp);
    let anew = log.step(Starting, BackingUp);
    assert_eq!(log.shop().since(), Some(&anew), "it is another operation");
}

#[test]
fn what_has_no_effect_is_counted_by_reason_and_has_none() {
    let mut log = Log::default();
    let ready = log.step(Starting, Ready);
    assert!(matches!(log.raw(None), Err(Skip::Undecodable(_))));
    assert!(matches!(log.raw(Bytes::from_static(b"\xff garbage")), Err(Skip::Undecodable(_))));
    let forbidden = BackupTransition::new(Uuid::from_u128(77), "shop", 0, BackingUp, Restoring);
    assert!(matches!(log.event(&forbidden), Err(Skip::Forbidden { from: BackingUp, to: Restoring })));
    assert!(matches!(log.event(&ready.transition), Err(Skip::Duplicate(_))));
    let other = br#"{"id":"3f2b8a5e-7c1d-4e6f-9a0b-1c2d3e4f5a6b","application":"shop","action":"compact","timestamp":1,"from":"READY","to":"PROCESSING"}"#;
    assert!(matches!(log.raw(Bytes::from_static(other)), Err(Skip::OtherAction(_))));
    let elsewhere = BackupTransition::new(Uuid::from_u128(78), "another", 5, Ready, Restoring);
    log.event(&elsewhere).unwrap();

    assert_eq!((log.ledger.records(), log.ledger.undecodable()), (7, 2));
    let counts =
        Counts { applied: 1, forbidden: 1, duplicate: 1, other_operation: 0, other_action: 1, gaps: 0 };
    assert_eq!((log.shop().counts(), log.shop().state(), log.shop().last()), (counts, Ready, Some(&ready)));
    let names: Vec<_> = log.ledger.accounts().map(Account::application).collect();
    assert_eq!(names, ["another", "shop"]);
    assert_eq!(log.ledger.account("another").unwrap().state(), Restoring);
    assert!(log.ledger.account("nobody").is_none());
}

#[test]
fn when_records_were_lost_only_an_operation_is_still_believed() {
    let mut log = Log::default();
    log.step(Starting, Ready);
    log.event(&BackupTransition::new(Uuid::from_u128(1), "busy", 5, Ready, Restoring)).unwrap();
    log.ledger.lose();
    assert_eq!((log.shop().state(), log.shop().since()), (Starting, None));
    assert!(log.shop().last().is_some());
    let busy = log.ledger.account("busy").unwrap();
    assert_eq!(busy.state(), Restoring);
    assert!(busy.since().is_some());
    let back = log.step(Ready, Ready);
    assert_eq!((log.shop().since(), log.shop().counts().gaps, log.ledger.losses()), (Some(&back), 1, 1));
}

#[test]
fn clocks_that_disagree_give_zero_and_say_so() {
    assert_eq!(Lasting::between(5, 3), Lasting { duration: std::time::Duration::ZERO, skewed: true });
    assert!(!Lasting::between(3, 3).skewed);
    let mut log = Log::default();
    let begin = BackupTransition::new(Uuid::from_u128(1), "shop", 9000, Ready, BackingUp);
    log.event(&begin).unwrap();
    log.event(&BackupTransition::new(Uuid::from_u128(2), "shop", 4000, BackingUp, Ready)).unwrap();
    assert!(log.shop().operations()[0].lasting(0).unwrap().skewed);
    assert_eq!(log.shop().operations()[0].span(0), (4000, 9000));
}

/// One record of a log: garbage, or a step of an application with an id from a few.
#[derive(Clone, Debug)]
enum Written {
    Garbage,
    Step { application: usize, id: u8, from: BackupState, to: BackupState },
}

const APPLICATIONS: [&str; 3] = ["a", "b", "c"];

fn written() -> impl Strategy<Value = Written> {
    let state = || proptest::sample::select(&BackupState::ALL[..]);
    prop_oneof![
        1 => Just(Written::Garbage),
        12 => (0..APPLICATIONS.len(), any::<u8>(), state(), state())
            .prop_map(|(application, id, from, to)| Written::Step { application, id, from, to }),
    ]
}

/// What must come out for one application, said of the whole log at once: the steps that count are the legal ones, each id
/// once; what an operation becomes is decided by the step that counts next.
fn oracle(log: &[Written], wanted: usize) -> (BackupState, Vec<(BackupState, Outcome)>, u64) {
    let mut ids = Vec::new();
    let mut counting = Vec::new();
    for written in log {
        if let Written::Step { application, id, from, to } = *written
            && application == wanted
            && from.can_become(to)
            && !ids.contains(&id)
        {
            ids.push(id);
            counting.push((from, to));
        }
    }
    let mut operations = Vec::new();
    for (index, &(from, to)) in counting.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| counting[before].1);
        if from.is_operation() && before != Some(from) {
            operations.push((from, Outcome::Ended));
        }
        if to.is_operation() {
            let outcome = match counting.get(index + 1) {
                None => Outcome::Running,
                Some((from, _)) if *from == to => Outcome::Ended,
                Some(_) => Outcome::Interrupted,
            };
            operations.push((to, outcome));
        }
    }
    let gaps = counting.windows(2).filter(|pair| pair[0].1 != pair[1].0).count();
    (counting.last().map_or(Starting, |last| last.1), operations, gaps as u64)
}

proptest! {
    #[test]
    fn any_log_folds_as_the_oracle_says(written in prop::collection::vec(written(), 0..60)) {
        let mut log = Log::default();
        for one in &written {
            match *one {
                Written::Garbage => drop(log.raw(Bytes::from_static(b"{}")).unwrap_err()),
                Written::Step { application, id, from, to } => {
                    // Distinct times, so that no step looks like a way back.
                    let id = Uuid::from_u128(u128::from(id) << 8);
                    let millis = log.offset;
                    let transition = BackupTransition::new(id, APPLICATIONS[application], millis, from, to);
                    drop(log.event(&transition));
                }
            }
        }
        let garbage = written.iter().filter(|one| matches!(one, Written::Garbage)).count() as u64;
        prop_assert_eq!(log.ledger.undecodable(), garbage);
        let mut seen = garbage;
        for (number, name) in APPLICATIONS.into_iter().enumerate() {
            let (state, operations, gaps) = oracle(&written, number);
            let Some(account) = log.ledger.account(name) else {
                prop_assert_eq!(operations, []);
                continue;
            };
            let found: Vec<_> = account.operations().iter().map(|one| (one.kind, one.outcome)).collect();
            prop_assert_eq!(account.state(), state);
            prop_assert_eq!(found, operations);
            let counts = account.counts();
            prop_assert_eq!(counts.gaps, gaps);
            seen += counts.applied + counts.forbidden + counts.duplicate + counts.other_operation + counts.other_action;
        }
        prop_assert_eq!(seen, log.ledger.records());
    }
}

#[test]
fn of_operations_that_were_begun_on_top_of_each_other_the_first_runs() {
    let mut log = Log::default();
    log.step(Starting, Ready);
    assert_eq!(log.shop().running(), None);
    log.step(Ready, BackingUp);
    log.step(BackingUp, Ready);
    let first = log.step(Ready, BackingUp);
    for _ in 0..2 {
        assert_eq!(log.shop().running(), Some(&first));
        log.step(Ready, BackingUp);
    }
    log.step(Ready, Restoring);
    assert_eq!(log.shop().running(), Some(&first));
    log.step(Restoring, Ready);
    assert_eq!(log.shop().running(), None);
    let next = log.step(Ready, BackingUp);
    assert_eq!(log.shop().running(), Some(&next));
}
