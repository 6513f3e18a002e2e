//! What the open gate costs: entering and leaving, by 1 to 16 tasks, against tokio's `RwLock::read` and one counter that all
//! share.
//!
//! `cargo bench -p backup-tracker-bench --bench gate`
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

#[path = "../support/mod.rs"]
mod support;

mod subject;

use std::io;

use criterion::{BenchmarkId, Criterion, Throughput};

use subject::{Crowd, Subject};
use support::{Contender, Duel, Effort};

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
    let mut criterion = Criterion::default().configure_from_args();
    statistics(&mut criterion, &crowd);
    criterion.final_summary();
    Ok(())
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
