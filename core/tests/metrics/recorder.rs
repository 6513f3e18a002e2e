//! A recorder that can be looked at without being emptied, unlike the one of `metrics-util`: gauges must keep what they
//! have for increments to add up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use backup_tracker::Result;
use metrics::{
    Counter, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use crate::support::PATIENCE;

#[derive(Default)]
pub(crate) struct Emitted {
    values: Mutex<BTreeMap<String, Value>>,
    /// Kind, unit and help by name.
    described: Mutex<BTreeMap<String, (&'static str, String, String)>>,
    /// Series that [`Shown`] has seen with a value other than zero.
    shown: Mutex<BTreeSet<String>>,
}

#[derive(Clone)]
enum Value {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<Level>),
    Histogram(Arc<Samples>),
}

/// A gauge that knows how often it was touched.
#[derive(Default)]
struct Level {
    value: AtomicU64,
    updates: AtomicU64,
}

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        self.updates.fetch_add(1, Ordering::SeqCst);
        GaugeFn::increment(&self.value, value);
    }

    fn decrement(&self, value: f64) {
        self.increment(-value);
    }

    fn set(&self, value: f64) {
        self.updates.fetch_add(1, Ordering::SeqCst);
        GaugeFn::set(&self.value, value);
    }
}

#[derive(Default)]
struct Samples(Mutex<Vec<f64>>);

impl HistogramFn for Samples {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

/// As in Prometheus, with the labels in alphabetical order.
pub(crate) fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

impl Emitted {
    /// Builds with this recorder, which no other thread knows: what a tracker emits from its tasks must come here all the
    /// same.
    pub(crate) fn by<T>(self: &Arc<Self>, build: impl FnOnce() -> Result<T>) -> T {
        metrics::with_local_recorder(self, build).unwrap()
    }

    /// Every series with its kind.
    pub(crate) fn series(&self) -> BTreeSet<(String, &'static str)> {
        let kind = |value: &Value| match value {
            Value::Counter(_) => "counter",
            Value::Gauge(_) => "gauge",
            Value::Histogram(_) => "histogram",
        };
        self.values.lock().unwrap().iter().map(|(series, value)| (series.clone(), kind(value))).collect()
    }

    pub(crate) fn described(&self) -> BTreeMap<String, (&'static str, String, String)> {
        self.described.lock().unwrap().clone()
    }

    pub(crate) fn shown(&self) -> BTreeSet<String> {
        self.shown.lock().unwrap().clone()
    }

    fn find(&self, series: &str) -> Value {
        let values = self.values.lock().unwrap();
        values.get(series).cloned().unwrap_or_else(|| panic!("{series} is not emitted"))
    }

    #[allow(clippy::cast_precision_loss, reason = "the tests count no further than thousands")]
    pub(crate) fn value(&self, series: &str) -> f64 {
        match self.find(series) {
            Value::Counter(value) => value.load(Ordering::SeqCst) as f64,
            Value::Gauge(level) => f64::from_bits(level.value.load(Ordering::SeqCst)),
            Value::Histogram(samples) => samples.0.lock().unwrap().len() as f64,
        }
    }

    pub(crate) fn samples(&self, series: &str) -> Vec<f64> {
        match self.find(series) {
            Value::Histogram(samples) => samples.0.lock().unwrap().clone(),
            _ => panic!("{series} is no histogram"),
        }
    }

    /// How often a gauge was touched.
    pub(crate) fn updates(&self, series: &str) -> u64 {
        match self.find(series) {
            Value::Gauge(level) => level.updates.load(Ordering::SeqCst),
            _ => panic!("{series} is no gauge"),
        }
    }

    /// Gauges that are not zero.
    pub(crate) fn standing(&self) -> Vec<String> {
        let gauges = self.series().into_iter().filter(|(_, kind)| *kind == "gauge");
        gauges.map(|(series, _)| series).filter(|series| self.value(series) != 0.0).collect()
    }

    /// Waits until the series has a value other than zero, and remembers that it had one.
    pub(crate) async fn shows_something(&self, series: String) {
        let wait = async {
            while self.value(&series) == 0.0 {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{series} stays 0");
        self.shown.lock().unwrap().insert(series);
    }

    /// Waits until the series has this value, and remembers that it had one.
    pub(crate) async fn shows(&self, series: String, expected: f64) {
        let wait = async {
            while self.value(&series) != expected {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("{series} is {} and not {expected}", self.value(&series));
        }
        if expected != 0.0 {
            self.shown.lock().unwrap().insert(series);
        }
    }

    fn describe(&self, kind: &'static str, name: &KeyName, unit: Option<Unit>, help: &SharedString) {
        let unit = unit.map_or("", |unit| unit.as_str()).to_owned();
        let entry = (kind, unit, help.to_string());
        self.described.lock().unwrap().insert(name.as_str().to_owned(), entry);
    }

    fn register<V: Clone>(
        &self,
        key: &Key,
        new: impl FnOnce() -> Value,
        same: impl FnOnce(&Value) -> Option<V>,
    ) -> V {
        let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
        let series = series(key.name(), &labels);
        let mut values = self.values.lock().unwrap();
        let value = values.entry(series.clone()).or_insert_with(new);
        same(value).unwrap_or_else(|| panic!("{series} is of two kinds"))
    }
}

impl Recorder for Emitted {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe("counter", &key, unit, &help);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe("gauge", &key, unit, &help);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe("histogram", &key, unit, &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(
            key,
            || Value::Counter(Arc::default()),
            |value| if let Value::Counter(value) = value { Some(value.clone()) } else { None },
        ))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(
            key,
            || Value::Gauge(Arc::default()),
            |value| if let Value::Gauge(value) = value { Some(value.clone()) } else { None },
        ))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register(
            key,
            || Value::Histogram(Arc::default()),
            |value| if let Value::Histogram(value) = value { Some(value.clone()) } else { None },
        ))
    }
}
