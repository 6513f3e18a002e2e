//! Operations drawn to scale in one line.

use backup_tracker::BackupState;

use super::super::reading::time;
use crate::ledger::{Operation, Outcome};

/// How many characters a line has.
pub(super) const WIDTH: usize = 76;

pub(super) const LEGEND: &str =
    "B backup   R restore   b r interrupted or taken back   > running   · neither";

const NOTHING: char = '·';

/// Operations between two times, drawn to scale. Each takes at least one character, however short it was; where several fall
/// into the same one, the newest shows.
#[derive(Debug)]
pub(super) struct Timeline {
    cells: [char; WIDTH],
    from_millis: u64,
    to_millis: u64,
}

impl Timeline {
    /// From the first operation, or from the time that was asked for where that is later, until now.
    pub(super) fn new(operations: &[Operation], since_millis: Option<u64>, now_millis: u64) -> Self {
        let spans = || operations.iter().map(|operation| operation.span(now_millis));
        let first = spans().map(|(begin, _)| begin).min().unwrap_or(now_millis);
        let to_millis = spans().map(|(_, end)| end).chain([now_millis]).max().unwrap_or(now_millis);
        let from_millis = first.max(since_millis.unwrap_or(0)).min(to_millis);
        let mut timeline = Self { cells: [NOTHING; WIDTH], from_millis, to_millis };
        for operation in operations {
            timeline.draw(operation, operation.span(now_millis));
        }
        timeline
    }

    fn draw(&mut self, operation: &Operation, (begin, end): (u64, u64)) {
        let letter = match (operation.kind, operation.outcome) {
            (BackupState::Restoring, Outcome::Running | Outcome::Ended) => 'R',
            (BackupState::Restoring, _) => 'r',
            (_, Outcome::Running | Outcome::Ended) => 'B',
            (_, _) => 'b',
        };
        let (first, last) = (self.cell(begin), self.cell(end));
        // The character in which the operation before it ended stays that one's, where this one has others.
        let free = (first..last).find(|cell| self.cells[*cell] == NOTHING).unwrap_or(last);
        self.cells[free..=last].fill(letter);
        if operation.outcome == Outcome::Running {
            self.cells[last] = '>';
        }
    }

    /// The cell in which this moment lies.
    fn cell(&self, millis: u64) -> usize {
        let range = u128::from(self.to_millis - self.from_millis) + 1;
        let offset = u128::from(millis.clamp(self.from_millis, self.to_millis) - self.from_millis);
        usize::try_from(offset * WIDTH as u128 / range).unwrap_or(WIDTH - 1)
    }

    pub(super) fn bar(&self) -> String {
        self.cells.iter().collect()
    }

    /// The times of both ends, below the bar.
    pub(super) fn scale(&self) -> String {
        let (from, to) = (time::to_the_second(self.from_millis), time::to_the_second(self.to_millis));
        let width = WIDTH.saturating_sub(from.len());
        format!("{from}{to:>width$}")
    }
}

#[cfg(test)]
mod tests;
