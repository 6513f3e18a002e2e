//! A verdict that cannot fail is worth nothing: every kind of wrong observation, and the finding that it must bring.

use uuid::Uuid;

use super::*;

const MILLI: Duration = Duration::from_millis(1);

/// A run as it should be, that a test spoils.
struct Run(Vec<Entry>);

impl Run {
    fn good() -> Self {
        use BackupState::{BackingUp, Ready, Restoring, Starting};
        let mut run = Self(Vec::new());
        for who in Who::ALL {
            run.add(who, What::Opened(BackupState::Starting));
        }
        run.everybody_works(&Who::SECONDARIES);
        run.announce(0, Starting, Ready);
        run.everybody_works(&Who::SECONDARIES);
        run.announce(1, Ready, BackingUp);
        run.add(Who::Orders, What::OperationBegan(BackingUp));
        run.add(Who::Billing, What::Killed);
        run.add(Who::Billing, What::Opened(BackupState::Starting));
        run.tell(Who::Billing, 1, true);
        run.add(Who::Billing, What::Paused);
        run.add(Who::Orders, What::OperationEnded(BackingUp));
        run.announce(2, BackingUp, Ready);
        run.everybody_works(&Who::SECONDARIES);
        run.announce(3, Ready, Restoring);
        run.add(Who::Orders, What::OperationBegan(Restoring));
        run.add(Who::Orders, What::OperationEnded(Restoring));
        run.announce(4, Restoring, Ready);
        run.everybody_works(&Who::SECONDARIES);
        for who in Who::SECONDARIES {
            run.add(who, What::Closed);
        }
        run
    }

    fn add(&mut self, who: Who, what: What) {
        let at = self.0.last().map_or(Duration::ZERO, |last| last.at + MILLI);
        self.0.push(Entry { at, who, what });
    }

    fn everybody_works(&mut self, all: &[Who]) {
        for who in all {
            self.add(*who, What::WorkBegan);
            self.add(*who, What::WorkEnded);
        }
    }

    fn announce(&mut self, number: u128, from: BackupState, to: BackupState) {
        let id = Uuid::from_u128(number);
        let transition = BackupTransition::new(id, "shop", 1, from, to);
        self.add(Who::Orders, What::Announcing(to));
        self.add(Who::Orders, What::Announced(transition));
        for who in Who::SECONDARIES {
            self.tell(who, number, false);
            if to.is_operation() {
                self.add(who, What::Paused);
            }
        }
    }

    fn announced(&self, number: u128) -> BackupTransition {
        let id = Uuid::from_u128(number);
        let found = self.0.iter().find_map(|entry| match &entry.what {
            What::Announced(transition) if transition.id == id => Some(transition.clone()),
            _ => None,
        });
        found.unwrap()
    }

    fn told(&self, number: u128, replay: bool) -> What {
        What::Told(Told { transition: self.announced(number), replay, missed: false })
    }

    fn tell(&mut self, who: Who, number: u128, replay: bool) {
        let told = self.told(number, replay);
        self.add(who, told);
    }

    /// Where `who` was told so.
    fn place(&self, who: Who, told: &What) -> usize {
        self.0.iter().position(|entry| entry.who == who && entry.what == *told).unwrap()
    }

    fn remove(&mut self, who: Who, what: &What) {
        let place = self.place(who, what);
        self.0.remove(place);
    }

    /// Puts something right behind something else, at the same time.
    fn put_behind(&mut self, (who, what): (Who, &What), new: (Who, What)) {
        let place = self.place(who, what);
        self.0.insert(place + 1, Entry { at: self.0[place].at, who: new.0, what: new.1 });
    }

    fn change(&mut self, who: Who, told: &What, change: impl FnOnce(&mut Told)) {
        let place = self.place(who, told);
        let What::Told(told) = &mut self.0[place].what else {
            panic!("a change needs somebody who was told")
        };
        change(told);
    }

    /// What is found wrong with this secondary; with the others nothing may be wrong.
    fn findings(&self, who: Who) -> Vec<Finding> {
        let judgement = judge(&self.0);
        assert_eq!(judgement.findings, []);
        assert!(!judgement.is_good());
        let mut findings = Vec::new();
        for verdict in judgement.verdicts {
            match verdict.who == who {
                true => findings = verdict.findings,
                false => assert_eq!(verdict.findings, [], "{}", verdict.who),
            }
        }
        findings
    }
}

#[test]
fn a_run_as_it_should_be_is_good_and_counted() {
    let judgement = judge(&Run::good().0);
    assert!(judgement.is_good(), "{judgement:#?}");
    assert_eq!(judgement.announced, 5);
    let [search, reports, billing] = &judgement.verdicts[..] else { panic!("there are three secondaries") };
    for verdict in [search, reports] {
        assert_eq!(verdict.tallies, [Tally { seen: 5, expected: 5, replays: 0 }]);
        assert_eq!(verdict.pieces, 4);
    }
    let sessions = [Tally { seen: 2, expected: 2, replays: 0 }, Tally { seen: 4, expected: 4, replays: 1 }];
    assert_eq!(billing.tallies, sessions);
    assert_eq!(search.slowest_pause, Some(3 * MILLI));
    assert_eq!(
        billing.slowest_pause,
        Some(7 * MILLI),
        "the pause after the restart is measured from nothing"
    );
}

#[test]
fn a_transition_that_was_never_told_is_missed() {
    let mut run = Run::good();
    run.remove(Who::Search, &run.told(3, false));
    assert_eq!(run.findings(Who::Search), [Finding::Missing { session: 1, transition: run.announced(3) }]);
}

#[test]
fn a_restart_without_the_running_backup_is_found() {
    let mut run = Run::good();
    run.remove(Who::Billing, &run.told(1, true));
    assert_eq!(run.findings(Who::Billing), [Finding::Missing { session: 2, transition: run.announced(1) }]);
}

#[test]
fn the_running_backup_told_as_news_after_the_restart_is_found() {
    let mut run = Run::good();
    run.change(Who::Billing, &run.told(1, true), |told| told.replay = false);
    let transition = run.announced(1);
    assert_eq!(run.findings(Who::Billing), [Finding::WrongReplay { session: 2, transition, replay: false }]);
}

#[test]
fn news_told_as_a_replay_is_found() {
    let mut run = Run::good();
    run.change(Who::Search, &run.told(4, false), |told| told.replay = true);
    let transition = run.announced(4);
    assert_eq!(run.findings(Who::Search), [Finding::WrongReplay { session: 1, transition, replay: true }]);
}

#[test]
fn what_was_told_twice_is_found() {
    let mut run = Run::good();
    let told = run.told(2, false);
    run.put_behind((Who::Reports, &told), (Who::Reports, told.clone()));
    let transition = run.announced(2);
    assert_eq!(run.findings(Who::Reports), [Finding::Repeated { session: 1, transition, times: 2 }]);
}

#[test]
fn a_restart_that_begins_too_early_is_found() {
    let mut run = Run::good();
    let (ready, replayed) = (run.told(0, true), run.told(1, true));
    let place = run.place(Who::Billing, &replayed);
    run.0.insert(place, Entry { at: run.0[place].at, who: Who::Billing, what: ready });
    let transition = run.announced(0);
    assert_eq!(run.findings(Who::Billing), [Finding::Unexpected { session: 2, transition }]);
}

#[test]
fn another_order_is_found() {
    let mut run = Run::good();
    let (two, three) =
        (run.place(Who::Search, &run.told(2, false)), run.place(Who::Search, &run.told(3, false)));
    run.0.swap(two, three);
    assert_eq!(run.findings(Who::Search), [Finding::OutOfOrder { session: 1 }]);
}

#[test]
fn another_content_under_the_same_id_is_found() {
    let mut run = Run::good();
    run.change(Who::Search, &run.told(3, false), |told| told.transition.timestamp_millis += 1);
    assert_eq!(run.findings(Who::Search), [Finding::Altered { session: 1, transition: run.announced(3) }]);
}

#[test]
fn a_tracker_that_says_that_it_missed_something_is_found() {
    let mut run = Run::good();
    run.change(Who::Search, &run.told(1, false), |told| told.missed = true);
    assert_eq!(run.findings(Who::Search), [Finding::SaidMissed { session: 1, transition: run.announced(1) }]);
}

#[test]
fn work_that_begins_during_an_operation_is_found_once() {
    let mut run = Run::good();
    let state = BackupState::BackingUp;
    let during = What::OperationBegan(state);
    for what in [What::WorkEnded, What::WorkBegan, What::WorkEnded, What::WorkBegan] {
        run.put_behind((Who::Orders, &during), (Who::Search, what));
    }
    assert_eq!(run.findings(Who::Search), [Finding::WorkedDuring { state }]);
}

#[test]
fn work_that_goes_on_while_an_operation_begins_is_found() {
    let mut run = Run::good();
    let state = BackupState::Restoring;
    run.put_behind((Who::Orders, &What::Announcing(state)), (Who::Reports, What::WorkBegan));
    run.put_behind((Who::Orders, &What::OperationEnded(state)), (Who::Reports, What::WorkEnded));
    assert_eq!(run.findings(Who::Reports), [Finding::WorkedDuring { state }]);
}

#[test]
fn a_secondary_that_never_works_proves_nothing() {
    let mut run = Run::good();
    run.0.retain(|entry| !(entry.who == Who::Search && entry.what == What::WorkBegan));
    let expected = ["before the backup", "after the restore"].map(|when| Finding::NeverWorked { when });
    assert_eq!(run.findings(Who::Search), expected);
}

#[test]
fn a_secondary_that_was_never_killed_proves_nothing() {
    let mut run = Run::good();
    run.remove(Who::Billing, &What::Killed);
    run.remove(Who::Billing, &run.told(1, true));
    let second =
        run.0.iter().rposition(|entry| entry.who == Who::Billing && matches!(entry.what, What::Opened(_)));
    run.0.remove(second.unwrap());
    assert_eq!(run.findings(Who::Billing), [Finding::Sessions { expected: 2, count: 1 }]);
}

#[test]
fn a_run_that_ends_before_its_time_is_not_good() {
    let whole = Run::good().0;
    let last_told = whole.iter().rposition(|entry| matches!(entry.what, What::Told(_))).unwrap();
    for end in 0..last_told {
        assert!(!judge(&whole[..end]).is_good(), "cut after {end} entries");
    }
}

#[test]
fn announcements_off_the_script_are_found() {
    let mut run = Run::good();
    let last = run.0.iter().position(|entry| entry.what == What::Announced(run.announced(4))).unwrap();
    run.0.truncate(last);
    let announced = PLAN[..4].to_vec();
    assert_eq!(judge(&run.0).findings, [Finding::OffPlan { announced }]);
}

#[test]
fn an_operation_without_work_is_found() {
    let mut run = Run::good();
    let state = BackupState::Restoring;
    run.remove(Who::Orders, &What::OperationBegan(state));
    assert_eq!(judge(&run.0).findings, [Finding::NoOperation { state }]);
}
