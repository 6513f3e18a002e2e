//! Runs the cases: each on a lane and a runtime of its own, within a bound.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::bench::{Bench, Clock, Outcome, describe, failure};
use crate::cases::{self, Case};
use crate::harness::{Harness, Isolation, Lane};
use crate::nowhere::Nowhere;
use crate::profile::Ability;
use crate::report::{CaseReport, Failure, Report, Verdict};

/// How long a case may take as a whole. Its own waits are bounded more tightly; this catches what blocks a thread.
const BOUND: Duration = Duration::from_secs(120);

/// How long a lane may take to be made. Cases may stand in line for brokers of their own.
const LANE_BOUND: Duration = Duration::from_secs(300);

/// Runs the suite as a test program, with the arguments that `cargo test` knows (a filter, `--exact`, `--list`,
/// `--test-threads`), and prints the report by clause after the cases. The exit code is a failure when a case failed.
///
/// The harness is dropped before it returns, so that a server which the harness owns ends with it.
pub fn main<H: Harness>(harness: H) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(harness.profile().at_once());
    let harness = Arc::new(harness);
    let found = Arc::new(Mutex::new(Vec::new()));
    let trials = cases::all().into_iter().map(|case| {
        let (harness, found) = (Arc::clone(&harness), Arc::clone(&found));
        let kind = kind(&case);
        Trial::ignorable_test(case.name, move || {
            let report = run(&*harness, &case);
            let verdict = report.verdict.clone();
            found.lock().unwrap_or_else(PoisonError::into_inner).push(report);
            match verdict {
                Verdict::Passed => Ok(Completion::Completed),
                Verdict::Ignored(reason) => Ok(Completion::ignored_with(reason)),
                Verdict::Failed(failure) => Err(Failed::from(failure)),
            }
        })
        .with_kind(kind)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    if !arguments.list {
        print(&report(harness.name(), std::mem::take(&mut *found)));
    }
    conclusion.exit_code()
}

/// Stands in for [`main`] where there is no broker to run on: shows every case as ignored, with this reason, and then the
/// report by clause. It succeeds, as ignored tests do.
#[must_use]
pub fn ignored_main(name: &str, reason: &str) -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = cases::all::<Nowhere>();
    let trials = cases.iter().map(|case| {
        let reason = reason.to_owned();
        Trial::ignorable_test(case.name, move || Ok(Completion::ignored_with(reason))).with_kind(kind(case))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if !arguments.list {
        let ignored = |case: &Case<Nowhere>| CaseReport {
            name: case.name,
            clauses: case.clauses,
            verdict: Verdict::Ignored(reason.to_owned()),
            elapsed: Duration::ZERO,
        };
        print(&report(name, cases.iter().map(ignored).collect()));
    }
    conclusion.exit_code()
}

#[allow(clippy::print_stdout, reason = "the report is what a test program prints")]
fn print(report: &Report) {
    println!("{report}");
}

/// Runs every case, several at once, and returns what it found: the suite without a test program around it.
pub fn survey<H: Harness>(harness: &H) -> Report {
    let cases = cases::all();
    let next = Mutex::new(cases.iter());
    let found = Mutex::new(Vec::new());
    let work = || {
        loop {
            let case = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(case) = case else { return };
            let report = run(harness, case);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.push(report);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..harness.profile().at_once() {
            scope.spawn(work);
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    report(harness.name(), found)
}

fn kind<L: Lane>(case: &Case<L>) -> String {
    case.clauses.iter().map(|clause| clause.name()).collect::<Vec<_>>().join(" ")
}

fn report(name: &str, mut cases: Vec<CaseReport>) -> Report {
    cases.sort_by_key(|case| case.name);
    Report { transport: name.to_owned(), cases }
}

fn run<H: Harness>(harness: &H, case: &Case<H::Lane>) -> CaseReport {
    let begin = Instant::now();
    let profile = harness.profile();
    let lacks = case.needs.iter().find_map(|need| profile.reason(*need));
    let verdict = match lacks {
        Some(reason) => Verdict::Ignored(reason.to_owned()),
        None => execute(harness, case),
    };
    CaseReport { name: case.name, clauses: case.clauses, verdict, elapsed: begin.elapsed() }
}

fn execute<H: Harness>(harness: &H, case: &Case<H::Lane>) -> Verdict {
    let number = Uuid::new_v4().simple().to_string();
    let name = format!("{}-{}", case.name, &number[..8]);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(attempt(harness, case, &name));
            // What a transport left behind must not hold up the other cases.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(failure("a runtime", error)),
    };
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(failure) => Verdict::Failed(Failure { lane: name, ..failure }),
    }
}

fn isolation(needs: &[Ability]) -> Isolation {
    // No case needs two kinds of it.
    let disturbed = needs.iter().map(|need| need.isolation());
    disturbed.into_iter().find(|isolation| *isolation != Isolation::Shared).unwrap_or(Isolation::Shared)
}

async fn attempt<H: Harness>(harness: &H, case: &Case<H::Lane>, name: &str) -> Outcome {
    let profile = Arc::new(harness.profile());
    let clock = Clock::new(&profile);
    let isolation = isolation(case.needs);
    let making = tokio::time::timeout(LANE_BOUND, harness.lane(name, isolation));
    let lane = making
        .await
        .map_err(|_| failure("a lane", format_args!("none within {LANE_BOUND:?}")))?
        .map_err(|error| failure("a lane", describe(&error)))?;
    let bench = Bench { lane: Arc::new(lane), profile, clock: clock.clone() };
    // On a task, so that a case or a transport that blocks or panics is seen from here.
    let task = tokio::spawn((case.run)(bench));
    match tokio::time::timeout(BOUND, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(failure("no panic", format_args!("{error}, during: {}", clock.doing()))),
        Err(_) => Err(failure(
            format_args!("an end within {BOUND:?}"),
            format_args!("none, during: {}", clock.doing()),
        )),
    }
}
