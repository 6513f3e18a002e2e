//! Whether every secondary saw exactly what it should have. The record of the run is all that counts.

use std::time::Duration;

use backup_tracker::{BackupState, BackupTransition};

use super::cast::Who;
use super::finding::Finding;
use super::record::{Entry, Told, What};
use super::script::PLAN;

/// What became of the run.
#[derive(Debug)]
pub(super) struct Judgement {
    /// How many transitions the primary announced.
    pub(super) announced: usize,
    /// What is wrong with the run itself: then what the secondaries saw proves nothing.
    pub(super) findings: Vec<Finding>,
    pub(super) verdicts: Vec<Verdict>,
}

impl Judgement {
    pub(super) fn is_good(&self) -> bool {
        self.findings.is_empty() && self.verdicts.iter().all(Verdict::is_good)
    }
}

/// What became of one secondary.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) who: Who,
    /// Session by session.
    pub(super) tallies: Vec<Tally>,
    /// The longest time from an announcement until the gate was shut and nothing ran behind it.
    pub(super) slowest_pause: Option<Duration>,
    /// How many pieces of work it began.
    pub(super) pieces: usize,
    pub(super) findings: Vec<Finding>,
}

impl Verdict {
    pub(super) fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What one session saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) seen: usize,
    pub(super) expected: usize,
    pub(super) replays: usize,
}

/// Reads the record of a run.
pub(super) fn judge(record: &[Entry]) -> Judgement {
    let announced: Vec<_> = record
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Announced(transition) => Some(transition.clone()),
            _ => None,
        })
        .collect();
    let states: Vec<_> = announced.iter().map(|transition| transition.to).collect();
    let mut findings = Vec::new();
    if states != PLAN {
        findings.push(Finding::OffPlan { announced: states });
    }
    for state in [BackupState::BackingUp, BackupState::Restoring] {
        if !record.iter().any(|entry| entry.what == What::OperationBegan(state)) {
            findings.push(Finding::NoOperation { state });
        }
    }
    let verdicts = Who::SECONDARIES.map(|who| judge_secondary(who, record, &announced)).into();
    Judgement { announced: announced.len(), findings, verdicts }
}

fn judge_secondary(who: Who, record: &[Entry], announced: &[BackupTransition]) -> Verdict {
    let sessions = sessions_of(who, record);
    let mut findings = Vec::new();
    if sessions.len() != who.sessions() {
        findings.push(Finding::Sessions { expected: who.sessions(), count: sessions.len() });
    }
    let mut tallies = Vec::new();
    for (number, session) in (1..).zip(&sessions) {
        let expected = expected_of(number, session, announced);
        compare(number, &expected, &session.told, &mut findings);
        tallies.push(Tally {
            seen: session.told.len(),
            expected: expected.len(),
            replays: session.told.iter().filter(|told| told.replay).count(),
        });
    }
    let pieces = check_work(who, record, &mut findings);
    Verdict { who, tallies, slowest_pause: slowest_pause(who, record), pieces, findings }
}

/// A session of a secondary; what was announced is counted.
struct Session {
    announced_before: usize,
    announced_until_end: usize,
    told: Vec<Told>,
}

fn sessions_of(who: Who, record: &[Entry]) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut announced = 0;
    let mut alive = false;
    for entry in record {
        match &entry.what {
            What::Announced(_) => {
                announced += 1;
                if let Some(session) = sessions.last_mut().filter(|_| alive) {
                    session.announced_until_end = announced;
                }
            }
            What::Opened(_) if entry.who == who => {
                alive = true;
                let (announced_before, announced_until_end) = (announced, announced);
                sessions.push(Session { announced_before, announced_until_end, told: Vec::new() });
            }
            What::Killed | What::Closed if entry.who == who => alive = false,
            What::Told(told) if entry.who == who => {
                if let Some(session) = sessions.last_mut() {
                    session.told.push(told.clone());
                }
            }
            _ => {}
        }
    }
    sessions
}

/// What a session should see: a first one everything, a later one what follows the last Ready before it began, since only
/// Ready is ever committed. What stood in the log before the session began is a replay.
fn expected_of(number: usize, session: &Session, announced: &[BackupTransition]) -> Vec<Told> {
    let before = &announced[..session.announced_before];
    let last_ready = before.iter().rposition(|transition| transition.to == BackupState::Ready);
    let begin = if number == 1 { 0 } else { last_ready.map_or(0, |ready| ready + 1) };
    (begin..session.announced_until_end)
        .map(|index| Told {
            transition: announced[index].clone(),
            replay: index < session.announced_before,
            missed: false,
        })
        .collect()
}

/// Finds every difference between what a session should see and what it saw.
fn compare(session: usize, expected: &[Told], seen: &[Told], findings: &mut Vec<Finding>) {
    let is = |one: &Told| {
        let id = one.transition.id;
        move |other: &&Told| other.transition.id == id
    };
    for told in expected {
        let transition = told.transition.clone();
        match seen.iter().filter(is(told)).count() {
            0 => findings.push(Finding::Missing { session, transition }),
            1 => {}
            times => findings.push(Finding::Repeated { session, transition, times }),
        }
    }
    for told in seen {
        let transition = told.transition.clone();
        let Some(due) = expected.iter().find(is(told)) else {
            findings.push(Finding::Unexpected { session, transition });
            continue;
        };
        if told.transition != due.transition {
            findings.push(Finding::Altered { session, transition: due.transition.clone() });
        }
        if told.replay != due.replay {
            let transition = transition.clone();
            findings.push(Finding::WrongReplay { session, transition, replay: told.replay });
        }
        if told.missed {
            findings.push(Finding::SaidMissed { session, transition });
        }
    }
    let places: Vec<_> =
        seen.iter().filter_map(|told| expected.iter().position(|due| is(told)(&due))).collect();
    if !places.is_sorted() {
        findings.push(Finding::OutOfOrder { session });
    }
}

/// Nobody works during an operation, and everybody does before the first and after the last: a secondary that never works
/// would prove nothing. Counts the pieces.
fn check_work(who: Who, record: &[Entry], findings: &mut Vec<Finding>) -> usize {
    let (mut pieces, mut before, mut after) = (0, 0, 0);
    let mut working = false;
    let mut operation = None;
    let mut seen_any = false;
    let mut found = None;
    for Entry { who: acting, what, .. } in record {
        match what {
            What::OperationBegan(state) => {
                operation = Some(*state);
                seen_any = true;
                after = 0;
            }
            What::OperationEnded(_) => operation = None,
            What::WorkBegan if *acting == who => {
                pieces += 1;
                working = true;
                if seen_any { after += 1 } else { before += 1 }
            }
            What::WorkEnded | What::Killed if *acting == who => working = false,
            _ => {}
        }
        // Once for each operation.
        if let Some(state) = operation.filter(|_| working)
            && found.replace(state) != Some(state)
        {
            findings.push(Finding::WorkedDuring { state });
        }
    }
    if before == 0 {
        findings.push(Finding::NeverWorked { when: "before the backup" });
    }
    if after == 0 {
        findings.push(Finding::NeverWorked { when: "after the restore" });
    }
    pieces
}

fn slowest_pause(who: Who, record: &[Entry]) -> Option<Duration> {
    let mut announced = None;
    let mut slowest = None;
    for entry in record {
        match &entry.what {
            What::Announcing(state) => announced = state.is_operation().then_some(entry.at),
            // Who starts in the middle of an operation pauses after its own start, not after the announcement.
            What::Opened(_) if entry.who == who => announced = None,
            What::Paused if entry.who == who => {
                let took = announced.take().map(|announced| entry.at.saturating_sub(announced));
                slowest = slowest.max(took);
            }
            _ => {}
        }
    }
    slowest
}

#[cfg(test)]
mod tests;
