//! The suite is tested, too: each deliberately broken transport fails the case that names its fault, the sound one fails
//! none, and there is no case that nothing fails.

#![allow(clippy::print_stdout, reason = "the matrix is what this test is read for")]

#[path = "../../transport-memory/tests/harness/mod.rs"]
mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use backup_tracker_conformance::saboteurs::{Sabotage, Sabotaged};
use backup_tracker_conformance::{Verdict, survey};
use harness::MemoryHarness;

/// Enough for the sound transport on a busy machine; and what a broken one costs whose records do not come.
const PATIENCE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(1)];

/// Saboteurs that work at once. They wait more than they work.
const AT_ONCE: usize = 6;

#[test]
fn every_saboteur_is_caught_and_the_sound_transport_is_not() {
    let sound = survey(&MemoryHarness { patience: PATIENCE[0] });
    assert_eq!(sound.failed().count(), 0, "the sound transport fails:\n{sound}");
    let runs: BTreeSet<_> =
        sound.cases.iter().filter(|case| case.verdict == Verdict::Passed).map(|case| case.name).collect();

    let waiting = Mutex::new(Sabotage::ALL.iter());
    let matrix = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(&sabotage) = waiting.lock().unwrap().next() else { return };
                    let report = survey(&Sabotaged::new(MemoryHarness { patience: PATIENCE[1] }, sabotage));
                    let failed: Vec<_> = report.failed().map(|case| case.name).collect();
                    matrix.lock().unwrap().insert(format!("{sabotage:?}"), (sabotage, failed));
                }
            });
        }
    });
    let matrix = matrix.into_inner().unwrap();

    let mut bitten = BTreeSet::new();
    let mut at_large = Vec::new();
    for (name, (sabotage, failed)) in &matrix {
        println!("{name} ({}):", sabotage.meaning());
        for case in failed {
            let mark = if *case == sabotage.caught_by() { "*" } else { " " };
            println!("  {mark} {case}");
        }
        bitten.extend(failed.iter().copied());
        if !failed.contains(&sabotage.caught_by()) {
            at_large.push(format!("{name} passes {}", sabotage.caught_by()));
        }
    }
    let unproved: Vec<_> = runs.difference(&bitten).collect();
    println!("{} saboteurs, {} of {} cases bite", matrix.len(), bitten.len(), runs.len());
    assert!(at_large.is_empty(), "not caught: {at_large:#?}");
    assert!(unproved.is_empty(), "no saboteur fails these cases: {unproved:#?}");
}
