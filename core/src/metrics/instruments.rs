//! What the trackers hold: counters that can be read, and gauges that several trackers share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::backend::{Counter, Gauge};
use super::catalogue::Series;

/// A counter that the tracker itself can read, too.
#[derive(Debug)]
pub(crate) struct Tally {
    count: AtomicU64,
    counter: Counter,
}

impl Tally {
    pub(crate) const fn new(counter: Counter) -> Self {
        Self { count: AtomicU64::new(0), counter }
    }

    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
        self.counter.increment(count);
    }

    pub(crate) fn read(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// One tracker's part of a gauge. Trackers with the same labels add up, and each takes back its own part when it goes.
#[derive(Debug)]
pub(crate) struct Share {
    own: AtomicU64,
    gauge: Gauge,
}

impl Share {
    pub(super) const fn new(gauge: Gauge) -> Self {
        Self { own: AtomicU64::new(0), gauge }
    }

    pub(crate) fn backlog(series: &Series) -> Self {
        Self::new(series.backlog())
    }

    pub(crate) fn calls_waiting(series: &Series) -> Self {
        Self::new(series.calls_waiting())
    }

    /// Exact up to 2^53, which is where the gauge's own floating point ends.
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a floating point number")]
    pub(crate) fn set(&self, value: u64) {
        let before = self.own.swap(value, Ordering::Relaxed);
        if value != before {
            self.gauge.increment(value as f64 - before as f64);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// What the listeners of a tracker show.
#[derive(Debug)]
pub(crate) struct ListenerMetrics {
    pub(crate) failures: Tally,
    slow_since: Vec<(&'static str, Gauge)>,
}

impl ListenerMetrics {
    pub(crate) fn new(series: &Series, names: impl Iterator<Item = &'static str>) -> Self {
        let slow_since = names.map(|name| (name, series.slow_since(name))).collect();
        Self { failures: Tally::new(series.listener_failures()), slow_since }
    }

    /// When the listener was called that is slow, since the epoch; zero when it has returned.
    pub(crate) fn slow_since(&self, listener: &'static str, since: Duration) {
        if let Some((_, gauge)) = self.slow_since.iter().find(|(name, _)| *name == listener) {
            gauge.set(since.as_secs_f64());
        }
    }
}

/// How many tasks wait for a gate.
#[derive(Debug)]
pub(crate) struct Waiters(Gauge);

impl Waiters {
    pub(crate) fn new(series: &Series) -> Self {
        Self(series.gate_waiters())
    }

    pub(crate) const fn uncounted() -> Self {
        Self(Gauge::noop())
    }

    /// Counts one for as long as it lives.
    pub(crate) fn one(&self) -> Waiting<'_> {
        self.0.increment(1.0);
        Waiting(self)
    }
}

#[derive(Debug)]
#[must_use = "it stops counting when it is dropped"]
pub(crate) struct Waiting<'a>(&'a Waiters);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.increment(-1.0);
    }
}
