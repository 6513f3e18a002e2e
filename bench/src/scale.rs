//! How much is measured.

use clap::ValueEnum;

use crate::options::{Quantity, Transport};
use crate::quantity::parts::PARTS;

/// How much of each quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scale {
    /// Seconds, also unoptimised: whether everything works. The numbers mean nothing.
    Smallest,
    /// A minute or two: where the distance is, roughly.
    Small,
    /// What the documentation shows: up to 100 secondaries and 1,000,000 events.
    Full,
}

/// One measurement to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Secondaries, parts, or events.
    pub(crate) size: usize,
    /// How many times each side is measured.
    pub(crate) rounds: usize,
    /// How many rounds before that are not counted.
    pub(crate) warm_up: usize,
}

const fn size(size: usize, rounds: usize, warm_up: usize) -> Size {
    Size { size, rounds, warm_up }
}

fn parts(rounds: usize, warm_up: usize) -> Vec<Size> {
    (1..=PARTS).map(|parts| size(parts, rounds, warm_up)).collect()
}

impl Scale {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smallest => "smallest",
            Self::Small => "small",
            Self::Full => "full",
        }
    }

    /// The sizes of a quantity: where it [grows](Quantity::grows), each about ten times the one before.
    pub(crate) fn sizes(self, quantity: Quantity, transport: Transport) -> Vec<Size> {
        match (quantity, self) {
            (Quantity::Announcement, Self::Smallest) => vec![size(1, 3, 1), size(2, 2, 1)],
            (Quantity::Announcement, Self::Small) => vec![size(1, 300, 30), size(10, 150, 15)],
            (Quantity::Announcement, Self::Full) => {
                vec![size(1, 2000, 100), size(10, 1000, 50), size(100, 400, 20)]
            }
            // Ours and raw are not one log there.
            (Quantity::Parts, _) if transport == Transport::Memory => vec![],
            (Quantity::Parts, Self::Smallest) => parts(2, 1),
            (Quantity::Parts, Self::Small) => parts(300, 30),
            (Quantity::Parts, Self::Full) => parts(2000, 100),
            (Quantity::CatchingUp, Self::Smallest) => vec![size(300, 2, 0)],
            (Quantity::CatchingUp, Self::Small) => vec![size(10_000, 7, 1), size(200_000, 5, 1)],
            (Quantity::CatchingUp, Self::Full) => {
                vec![size(10_000, 25, 2), size(100_000, 15, 1), size(1_000_000, 9, 1)]
            }
            // The raw consumer waits three seconds in each round.
            (Quantity::Start, Self::Smallest) if transport == Transport::Kafka => vec![size(3, 1, 0)],
            (Quantity::Start, Self::Smallest) => vec![size(3, 2, 0)],
            (Quantity::Start, Self::Small) => vec![size(100, 5, 1), size(1000, 5, 1)],
            (Quantity::Start, Self::Full) if transport == Transport::Kafka => {
                vec![size(100, 15, 1), size(1000, 15, 1), size(10_000, 15, 1)]
            }
            (Quantity::Start, Self::Full) => {
                vec![size(100, 100, 5), size(1000, 100, 5), size(10_000, 50, 5)]
            }
        }
    }
}
