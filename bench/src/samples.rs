//! Rounds of both sides, and what is said of them.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What the rounds of one side took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) min: f64,
    pub(crate) median: f64,
    /// The 99th percentile; with fewer than 100 rounds it is the slowest.
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// Ours divided by the raw client's: below 1 we are faster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratios {
    /// Of the medians.
    pub(crate) median: f64,
    /// Of the 99th percentiles.
    pub(crate) p99: f64,
    /// Of the rounds, each of ours with the raw client's beside it: a quarter of them are below the first, half below the
    /// second, a quarter above the third. How far they lie apart is how restless the measurement was.
    pub(crate) quartiles: [f64; 3],
}

/// The rounds, in pairs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    ours: Vec<f64>,
    raw: Vec<f64>,
}

/// Which side's turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    Ours,
    Raw,
}

impl Side {
    /// Ours first in one round and last in the next, so that neither always follows the other.
    pub(crate) const fn order(round: usize) -> [Self; 2] {
        if round.is_multiple_of(2) { [Self::Ours, Self::Raw] } else { [Self::Raw, Self::Ours] }
    }
}

impl Rounds {
    pub(crate) fn add(&mut self, side: Side, took: Duration) {
        let rounds = match side {
            Side::Ours => &mut self.ours,
            Side::Raw => &mut self.raw,
        };
        rounds.push(took.as_secs_f64());
    }

    pub(crate) fn len(&self) -> usize {
        self.ours.len().min(self.raw.len())
    }

    /// Median and p99 of each side, and the ratios. All zero where there are no rounds.
    pub(crate) fn summary(&self) -> (Times, Times, Ratios) {
        let (ours, raw) = (Times::of(&self.ours), Times::of(&self.raw));
        let by_round = sorted(self.ours.iter().zip(&self.raw).map(|(ours, raw)| ours / raw).collect());
        let quartile = |share| quantile(&by_round, share);
        let ratios = Ratios {
            median: ours.median / raw.median,
            p99: ours.p99 / raw.p99,
            quartiles: [quartile(0.25), quartile(0.5), quartile(0.75)],
        };
        (ours, raw, ratios)
    }
}

impl Times {
    fn of(seconds: &[f64]) -> Self {
        let sorted = sorted(seconds.to_vec());
        let at = |share| quantile(&sorted, share);
        Self { min: at(0.0), median: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The smallest value that so great a share of the values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    // Not negative, and no longer than a list can be.
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&hundred, 0.0), 1.0);
        assert_eq!(quantile(&hundred, 0.5), 50.0);
        assert_eq!(quantile(&hundred, 0.99), 99.0);
        assert_eq!(quantile(&hundred, 1.0), 100.0);
        assert_eq!(quantile(&[7.0, 8.0], 0.99), 8.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn ratios_are_ours_by_the_raw_clients() {
        let mut rounds = Rounds::default();
        for millis in [30, 10, 20] {
            rounds.add(Side::Ours, Duration::from_millis(millis));
            rounds.add(Side::Raw, Duration::from_millis(2 * millis));
        }
        let (ours, raw, ratios) = rounds.summary();
        assert_eq!((rounds.len(), ours.median, raw.median), (3, 0.02, 0.04));
        assert_eq!((ratios.median, ratios.p99, ratios.quartiles), (0.5, 0.5, [0.5; 3]));
    }

    #[test]
    fn the_sides_take_turns_in_going_first() {
        assert_eq!(Side::order(0), [Side::Ours, Side::Raw]);
        assert_eq!(Side::order(1), [Side::Raw, Side::Ours]);
    }
}
