//! The twin of `facade` without the feature: the same names, and nothing behind them.

use super::catalogue::{Kind, Unit};

#[derive(Debug)]
pub(crate) struct Counter;

impl Counter {
    pub(crate) const fn noop() -> Self {
        Self
    }

    pub(crate) const fn increment(&self, _by: u64) {}
}

#[derive(Debug)]
pub(crate) struct Gauge;

impl Gauge {
    pub(crate) const fn noop() -> Self {
        Self
    }

    pub(crate) const fn increment(&self, _by: f64) {}

    pub(crate) const fn set(&self, _value: f64) {}
}

#[derive(Debug)]
pub(crate) struct Histogram;

impl Histogram {
    pub(crate) const fn noop() -> Self {
        Self
    }

    pub(crate) const fn record(&self, _value: f64) {}
}

pub(super) const fn describe(_kind: Kind, _name: &'static str, _unit: Unit, _help: &'static str) {}

pub(super) const fn counter(_name: &'static str, _labels: &[(&'static str, &str)]) -> Counter {
    Counter
}

pub(super) const fn gauge(_name: &'static str, _labels: &[(&'static str, &str)]) -> Gauge {
    Gauge
}

pub(super) const fn histogram(_name: &'static str, _labels: &[(&'static str, &str)]) -> Histogram {
    Histogram
}
