//! What the feature `metrics` adds: the way to the recorder that is current when a tracker is built.

pub(crate) use ::metrics::{Counter, Gauge, Histogram};
use ::metrics::{Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::catalogue::{Kind, Unit};

pub(super) fn describe(kind: Kind, name: &'static str, unit: Unit, help: &'static str) {
    let unit = match unit {
        Unit::Count => ::metrics::Unit::Count,
        Unit::Seconds => ::metrics::Unit::Seconds,
    };
    match kind {
        Kind::Counter => describe_counter!(name, unit, help),
        Kind::Gauge => describe_gauge!(name, unit, help),
        Kind::Histogram => describe_histogram!(name, unit, help),
    }
}

pub(super) fn counter(name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
    counter!(name, owned(labels))
}

pub(super) fn gauge(name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
    gauge!(name, owned(labels))
}

pub(super) fn histogram(name: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
    histogram!(name, owned(labels))
}

fn owned(labels: &[(&'static str, &str)]) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect()
}
