//! What the polling thread hands over at a time.

use backup_tracker::Record;

use crate::items::Item;
use crate::seen::Seen;

/// How many records a batch takes, how many of others' it leaves out, and after how many bytes it is full.
const RECORDS: usize = 256;
const LEFT_OUT: u64 = 4096;
const BYTES: usize = 256 * 1024;

/// What is to be handed over next.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    bytes: usize,
    left_out: u64,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= RECORDS || self.bytes >= BYTES || self.left_out >= LEFT_OUT
    }

    pub(crate) fn take(&mut self) -> Vec<Item> {
        std::mem::take(self).items
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    pub(crate) fn push_record(&mut self, partition: usize, seen: Seen, record: Record) {
        self.bytes += record.payload.as_ref().map_or(0, |payload| payload.len());
        self.items.push(Item::Record { partition, seen, record });
    }

    /// Adds one to the records of others that end the batch, or begins to count.
    pub(crate) fn leave_out(&mut self, at: usize, last: Seen) {
        self.left_out += 1;
        match self.items.last_mut() {
            Some(Item::LeftOut { partition, seen, count }) if *partition == at => {
                *seen = last;
                *count += 1;
            }
            _ => self.items.push(Item::LeftOut { partition: at, seen: last, count: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(offset: i64) -> Seen {
        Seen::read(&format!("{offset}:0000000000000000")).unwrap()
    }

    #[test]
    fn records_of_others_in_a_row_are_one_item() {
        let mut batch = Batch::default();
        batch.leave_out(0, seen(4));
        batch.leave_out(0, seen(6));
        batch.leave_out(1, seen(2));
        batch.push(Item::End { partition: 1, offset: 3 });
        batch.leave_out(1, seen(5));
        let counted: Vec<_> = batch
            .items
            .iter()
            .filter_map(|item| match item {
                Item::LeftOut { partition, seen, count } => Some((*partition, seen.offset, *count)),
                _ => None,
            })
            .collect();
        assert_eq!(counted, [(0, 6, 2), (1, 2, 1), (1, 5, 1)]);
        assert!(!batch.is_full());
        (0..LEFT_OUT).for_each(|_| batch.leave_out(1, seen(6)));
        assert!(batch.is_full());
        assert_eq!(batch.take().len(), 4);
        assert!(batch.is_empty() && !batch.is_full());
    }
}
