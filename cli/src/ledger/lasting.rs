//! How long something took, by clocks that may disagree.

use std::time::Duration;

/// The time between two timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lasting {
    /// Zero if the later one came out before the earlier one.
    pub(crate) duration: Duration,
    /// Whether it did: two clocks disagree.
    pub(crate) skewed: bool,
}

impl Lasting {
    /// From one timestamp to the next, both in milliseconds since the epoch.
    pub(crate) const fn between(begin_millis: u64, end_millis: u64) -> Self {
        Self {
            duration: Duration::from_millis(end_millis.saturating_sub(begin_millis)),
            skewed: end_millis < begin_millis,
        }
    }
}
