//! How a quantity grows with its size.

use std::fmt::Write;

use crate::options::{Quantity, Transport};
use crate::result::{Measurement, Results};
use crate::table::time;

/// How many columns the longest bar has.
const WIDTH: f64 = 48.0;
/// Eighths of a column.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The measurements of one quantity on one transport, by size.
pub(crate) struct Curve<'a> {
    pub(crate) quantity: Quantity,
    pub(crate) transport: Transport,
    pub(crate) points: Vec<&'a Measurement>,
}

impl<'a> Curve<'a> {
    pub(crate) fn of(results: &'a Results, quantity: Quantity, transport: Transport) -> Self {
        let mut points: Vec<_> = results
            .measurements
            .iter()
            .filter(|row| row.quantity == quantity.name() && row.transport == transport.name())
            .collect();
        points.sort_by_key(|row| row.size);
        Self { quantity, transport, points }
    }

    /// The least and the greatest time, rounded away to powers of ten: the axis of times. `None` without a point, and where nothing
    /// grows.
    pub(crate) fn times(&self) -> Option<(f64, f64)> {
        if !self.quantity.grows() {
            return None;
        }
        let all = || self.points.iter().flat_map(|row| [row.ours, row.raw]);
        let least = all().map(|times| times.median).reduce(f64::min)?;
        let greatest = all().map(|times| times.p99).reduce(f64::max)?;
        let sound = least > 0.0 && greatest.is_finite();
        sound.then(|| (10_f64.powf(least.log10().floor()), 10_f64.powf(greatest.log10().ceil())))
    }

    /// Bars of the medians on a logarithmic scale. `None` without a point.
    pub(crate) fn text(&self) -> Option<String> {
        let (least, greatest) = self.times()?;
        let decades = (greatest / least).log10().max(1.0);
        let mut text = format!("median, logarithmic from {} to {}\n", time(least), time(greatest));
        for row in &self.points {
            for (side, times) in [("ours", row.ours), ("raw", row.raw)] {
                let bar = bar((times.median / least).log10() / decades * WIDTH);
                let size = if side == "ours" { row.size.to_string() } else { String::new() };
                // Writing to a string does not fail.
                writeln!(text, "{size:>9}  {side:<4}  {bar} {}", time(times.median)).ok()?;
            }
        }
        Some(text)
    }
}

fn bar(columns: f64) -> String {
    // Not negative, and no more than a line holds.
    let eighths = (columns.clamp(0.0, WIDTH) * 8.0).round() as usize;
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn bars_have_eighths_of_a_column() {
        assert_eq!(bar(2.5), "██▌");
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(-1.0), "");
        assert_eq!(bar(1e9).chars().count(), 48);
    }
}
