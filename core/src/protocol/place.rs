//! Whether the log keeps the steps of one application in one place.

use crate::event::Position;

/// Remembers where the last step stood. A log keeps order within a partition, and not across two: a primary that spreads its
/// steps leaves it to chance which of them is read first. Where positions name no partition there is but one.
#[derive(Debug, Default)]
pub(crate) struct Place {
    partition: Option<u32>,
}

impl Place {
    /// A step stands here. Returns the partition of the one before, if that was another.
    pub(crate) fn moves_to(&mut self, position: Position) -> Option<u32> {
        let Position::Partition { partition, .. } = position else { return None };
        self.partition.replace(partition).filter(|before| *before != partition)
    }

    /// What is in the log now may have been written anew.
    pub(crate) fn lose(&mut self) {
        self.partition = None;
    }
}
