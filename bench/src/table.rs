//! The table.

use crate::options::Quantity;
use crate::result::{Measurement, Results};

/// The columns, and how wide they are.
const HEADER: &str = "  transport       size  rounds  ours median       p99   raw median       p99  ratio median    p99  quartiles of rounds   goal";

pub(crate) fn head(quantity: Quantity) -> String {
    format!("\n{} (size: {})\n{HEADER}", quantity.title(), quantity.of_what())
}

pub(crate) fn row(measurement: &Measurement) -> String {
    let Measurement { transport, size, rounds, ours, raw, ratio, .. } = measurement;
    let [low, middle, high] = ratio.quartiles;
    let mut row = format!(
        "  {transport:<9} {size:>10}  {rounds:>6}  {:>11} {:>9}  {:>11} {:>9}  {:>12.3} {:>6.3}  {low:>5.3} {middle:>5.3} {high:>5.3}   {:>9}",
        time(ours.median),
        time(ours.p99),
        time(raw.median),
        time(raw.p99),
        ratio.median,
        ratio.p99,
        goal(measurement),
    );
    if measurement.quantity == Quantity::CatchingUp.name() {
        row.push_str(&format!("   {} against {}", rate(*size, ours.median), rate(*size, raw.median)));
    }
    row
}

/// All of it.
pub(crate) fn table(results: &Results) -> String {
    let mut text = String::new();
    for quantity in Quantity::ALL {
        let mut rows = results.measurements.iter().filter(|row| row.quantity == quantity.name()).peekable();
        if rows.peek().is_some() {
            text.push_str(&head(quantity));
            text.push('\n');
        }
        for measurement in rows {
            text.push_str(&row(measurement));
            text.push('\n');
        }
    }
    text
}

/// Whether the goal is met, where there is one.
pub(crate) fn goal(measurement: &Measurement) -> &'static str {
    match &measurement.goal {
        None => "",
        Some(goal) if goal.met => "met",
        Some(_) => "missed",
    }
}

/// Three digits and a unit.
pub(crate) fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

pub(crate) fn rate(events: usize, seconds: f64) -> String {
    let rate = events as f64 / seconds;
    if rate >= 1e6 { format!("{:.2} M/s", rate / 1e6) } else { format!("{:.0} k/s", rate / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let times = [2.5, 0.123_4, 0.012_34, 0.001_234, 0.000_012_34].map(time);
        assert_eq!(times, ["2.50 s", "123 ms", "12.3 ms", "1.23 ms", "12.3 µs"]);
        assert_eq!(rate(1_000_000, 0.5), "2.00 M/s");
        assert_eq!(rate(1000, 0.5), "2 k/s");
    }
}
