//! Who takes part in the demo.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The application that all of them belong to.
pub(super) const APPLICATION: &str = "shop";

/// A service of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Who {
    /// The primary.
    Orders,
    /// A secondary that behaves well.
    Search,
    /// A secondary whose listener takes its time.
    Reports,
    /// A secondary that is killed in the middle of the backup, and started again.
    Billing,
}

impl Who {
    pub(super) const ALL: [Self; 4] = [Self::Orders, Self::Search, Self::Reports, Self::Billing];
    pub(super) const SECONDARIES: [Self; 3] = [Self::Search, Self::Reports, Self::Billing];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Search => "search",
            Self::Reports => "reports",
            Self::Billing => "billing",
        }
    }

    pub(super) const fn role(self) -> &'static str {
        match self {
            Self::Orders => "the primary: announces a backup, then a restore",
            Self::Search => "a secondary that behaves well",
            Self::Reports => "a secondary whose listener takes its time",
            Self::Billing => "a secondary that is killed in the middle of the backup, and started again",
        }
    }

    /// How long its listener takes.
    pub(super) const fn listener_time(self) -> Duration {
        match self {
            Self::Reports => Duration::from_millis(600),
            _ => Duration::ZERO,
        }
    }

    /// How long each piece of its work takes: different, so that one can see who has to finish what.
    pub(super) const fn work_time(self) -> Duration {
        Duration::from_millis(match self {
            Self::Orders | Self::Search => 20,
            Self::Reports => 60,
            Self::Billing => 35,
        })
    }

    /// In how many sessions it follows the log.
    pub(super) const fn sessions(self) -> usize {
        match self {
            Self::Orders => 0,
            Self::Search | Self::Reports => 1,
            Self::Billing => 2,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
