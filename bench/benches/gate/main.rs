//! What the gate costs. Open: entering and leaving, by 1 to 16 tasks, against tokio's `RwLock::read` and one counter that all
//! share. Shut: 10,000 tasks that come and wait, refusals beside them, and letting them in, against the same lock.
//!
//! `cargo bench -p backup-tracker-bench --bench gate`
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

#[path = "../support/mod.rs"]
mod support;

mod shut;
mod subject;

use std::io;

use criterion::{BenchmarkId, Criterion, Throughput};

use shut::{Barrier, Refusals};
use subject::{Crowd, Subject};
use support::{Contender, Duel, Effort};

const GATE: &str = "WorkGate::enter";
const RW_LOCK: &str = "tokio RwLock::read";
const TASKS: [usize; 5] = [1, 2, 4, 8, 16];

fn main() -> io::Result<()> {
    let effort = Effort::of_arguments();
    let crowd = Crowd::new();
    if effort == Effort::Full {
        crowd.describe()?;
    }
    for tasks in TASKS {
        let contender = |subject: Subject| {
            Contender::new(subject.name(), {
                let crowd = &crowd;
                move |times| crowd.run(&subject, tasks, times)
            })
        };
        Duel::new(format!("gate, tasks: {tasks}"), contender(Subject::gate()))
            .against(contender(Subject::atomic()))
            .against(contender(Subject::rw_lock()))
            .settle(effort)?;
    }
    shut_gate(effort)?;
    let mut criterion = Criterion::default().configure_from_args();
    statistics(&mut criterion, &crowd);
    statistics_of_the_shut_gate(&mut criterion);
    criterion.final_summary();
    Ok(())
}

fn shut_gate(effort: Effort) -> io::Result<()> {
    if effort == Effort::None {
        return Ok(());
    }
    if effort == Effort::Full {
        shut::describe()?;
    }
    Duel::new("shut gate, who comes", Contender::new(GATE, |times| shut::come(Barrier::gate, times)))
        .against(Contender::new(RW_LOCK, |times| shut::come(Barrier::rw_lock, times)))
        .settle(effort)?;
    let (gate, rw_lock) = (Refusals::new(Barrier::gate()), Refusals::new(Barrier::rw_lock()));
    Duel::new("shut gate, who is refused", Contender::new("WorkGate::try_enter", |times| gate.refuse(times)))
        .against(Contender::new("tokio RwLock::try_read", |times| rw_lock.refuse(times)))
        .settle(effort)?;
    Duel::new("shut gate, who is let in", Contender::new(GATE, |times| shut::pass(Barrier::gate, times)))
        .against(Contender::new(RW_LOCK, |times| shut::pass(Barrier::rw_lock, times)))
        .settle(effort)
}

fn statistics(criterion: &mut Criterion, crowd: &Crowd) {
    let mut group = criterion.benchmark_group("gate");
    group.throughput(Throughput::Elements(1));
    for subject in [Subject::gate(), Subject::atomic(), Subject::rw_lock()] {
        for tasks in TASKS {
            let id = BenchmarkId::new(subject.name(), tasks);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|times| crowd.run(&subject, tasks, times));
            });
        }
    }
    group.finish();
}

fn statistics_of_the_shut_gate(criterion: &mut Criterion) {
    type Barriers = [(&'static str, fn() -> Barrier); 2];
    let barriers: Barriers = [("WorkGate", Barrier::gate), ("tokio RwLock", Barrier::rw_lock)];
    let mut group = criterion.benchmark_group("shut gate");
    group.throughput(Throughput::Elements(1));
    for (name, barrier) in barriers {
        group.bench_function(BenchmarkId::new("come", name), |bencher| {
            bencher.iter_custom(|times| shut::come(barrier, times));
        });
        group.bench_function(BenchmarkId::new("let in", name), |bencher| {
            bencher.iter_custom(|times| shut::pass(barrier, times));
        });
        group.bench_function(BenchmarkId::new("refuse", name), |bencher| {
            let refusals = Refusals::new(barrier());
            bencher.iter_custom(|times| refusals.refuse(times));
        });
    }
    group.finish();
}
