//! What the protocol costs without a broker: writing and reading a step in each format, the decision about a record, and the
//! whole way of a step through the trackers.
//!
//! `cargo bench -p backup-tracker-bench --bench protocol`
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

#[path = "../support/mod.rs"]
mod support;

mod decisions;
mod direct;
mod formats;
mod trackers;

use std::io;

use criterion::{Criterion, Throughput};

use decisions::{Bench, KINDS};
use formats::Case;
use support::Effort;
use trackers::Stage;

fn main() -> io::Result<()> {
    let effort = Effort::of_arguments();
    formats::ratios(effort)?;
    decisions::times(effort)?;
    trackers::times(effort)?;
    let mut criterion = Criterion::default().configure_from_args();
    formats_in_detail(&mut criterion);
    decisions_in_detail(&mut criterion);
    trackers_in_detail(&mut criterion);
    criterion.final_summary();
    Ok(())
}

fn formats_in_detail(criterion: &mut Criterion) {
    for case in Case::all() {
        let mut group = criterion.benchmark_group(format!("write {:?}", case.format));
        group.bench_function("encode", |bencher| bencher.iter(|| case.encode()));
        group.bench_function(case.library(), |bencher| bencher.iter(case.encode_directly()));
        group.finish();
        let mut group = criterion.benchmark_group(format!("read {:?}", case.format));
        group.bench_function("decode", |bencher| bencher.iter(|| case.decode()));
        group.bench_function(case.library(), |bencher| bencher.iter(case.decode_directly()));
        group.finish();
    }
}

fn decisions_in_detail(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("decide");
    for (kind, decide) in KINDS {
        group.bench_function(kind, |bencher| bencher.iter(|| decide(&bench)));
    }
    group.finish();
}

fn trackers_in_detail(criterion: &mut Criterion) {
    let stage = Stage::new();
    let mut group = criterion.benchmark_group("follow");
    group.throughput(Throughput::Elements(1));
    for (what, application) in [("a step", "shop"), ("another application's", "maps")] {
        group.bench_function(what, |bencher| bencher.iter_custom(|times| stage.read(application, times)));
    }
    group.finish();
    let (primary, simple) = (stage.primary(), stage.simple());
    let mut group = criterion.benchmark_group("a backup");
    group.bench_function("PrimaryBackupTracker", |bencher| {
        bencher.iter_custom(|times| stage.announce(&primary, times));
    });
    group.bench_function("SimpleBackupTracker", |bencher| {
        bencher.iter_custom(|times| stage.announce(&simple, times));
    });
    group.finish();
}
