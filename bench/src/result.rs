//! The shape of the JSON. `bench/README.md` describes it.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::options::{Quantity, Transport};
use crate::samples::{Ratios, Rounds, Times};

/// The number of this shape.
pub(crate) const FORMAT: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) format: u32,
    pub(crate) scale: String,
    pub(crate) machine: Machine,
    pub(crate) transports: Vec<Used>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) measurements: Vec<Measurement>,
}

/// A transport that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Used {
    pub(crate) transport: String,
    pub(crate) client: String,
    pub(crate) server: String,
}

/// A transport that was not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) transport: String,
    pub(crate) reason: String,
}

/// A quantity on a transport at a size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) quantity: String,
    pub(crate) transport: String,
    pub(crate) size: usize,
    /// What `size` counts.
    pub(crate) of: String,
    pub(crate) rounds: usize,
    /// Seconds.
    pub(crate) ours: Times,
    /// Seconds.
    pub(crate) raw: Times,
    pub(crate) ratio: Ratios,
    pub(crate) goal: Option<Goal>,
}

/// What a ratio may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) median: f64,
    pub(crate) p99: Option<f64>,
    pub(crate) met: bool,
}

impl Measurement {
    pub(crate) fn new(quantity: Quantity, transport: Transport, size: usize, rounds: &Rounds) -> Self {
        let (ours, raw, ratio) = rounds.summary();
        let goal = most(quantity, transport, size).map(|(median, p99)| {
            let met = ratio.median <= median && p99.is_none_or(|p99| ratio.p99 <= p99);
            Goal { median, p99, met }
        });
        Self {
            quantity: quantity.name().to_owned(),
            transport: transport.name().to_owned(),
            size,
            of: quantity.of_what().to_owned(),
            rounds: rounds.len(),
            ours,
            raw,
            ratio,
            goal,
        }
    }
}

/// Where a goal is set: what the ratio of the medians, and that of the 99th percentiles, may be at most.
fn most(quantity: Quantity, transport: Transport, size: usize) -> Option<(f64, Option<f64>)> {
    match (quantity, transport) {
        // There is no client to be compared with.
        (_, Transport::Memory) => None,
        (Quantity::Announcement, _) => Some((1.05, Some(1.15))),
        // 0.9 of the rate, for the whole backlog.
        (Quantity::CatchingUp, Transport::Kafka | Transport::Redis) if size >= 1_000_000 => {
            Some((1.0 / 0.9, None))
        }
        (Quantity::Start, Transport::Kafka) => Some((0.1, None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::samples::Side;

    #[test]
    fn a_goal_is_met_when_both_ratios_are_low_enough() {
        let goal = |median: u64, slowest: u64| {
            let mut rounds = Rounds::default();
            for millis in [median, median, slowest] {
                rounds.add(Side::Ours, Duration::from_millis(millis));
                rounds.add(Side::Raw, Duration::from_millis(100));
            }
            Measurement::new(Quantity::Announcement, Transport::Redis, 1, &rounds).goal.unwrap()
        };
        assert!(goal(105, 115).met);
        assert!(!goal(106, 115).met);
        assert!(!goal(105, 116).met);
    }
}
