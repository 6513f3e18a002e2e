#![doc = include_str!("../metrics.md")]

mod board;
mod catalogue;
#[cfg(feature = "metrics")]
mod facade;
mod instruments;
#[cfg(not(feature = "metrics"))]
mod silent;

#[cfg(feature = "metrics")]
use facade as backend;
#[cfg(not(feature = "metrics"))]
use silent as backend;

pub(crate) use backend::Counter;
pub(crate) use board::{AnnouncerMetrics, BoardMetrics};
pub(crate) use catalogue::{Role, Series, SkipReason};
pub(crate) use instruments::{ListenerMetrics, Share, Tally, Waiters};
