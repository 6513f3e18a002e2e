//! What passes between the polling thread and its source.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use backup_tracker::wire::Others;
use backup_tracker::{Error, Record};

use crate::seen::Seen;

/// What the poller hands over, in order.
#[derive(Debug)]
pub(crate) enum Item {
    Record {
        partition: usize,
        seen: Seen,
        record: Record,
    },
    /// So many records that others wrote, and the last of them.
    LeftOut {
        partition: usize,
        seen: Seen,
        count: u64,
    },
    /// There is nothing below this offset that was not handed over.
    End {
        partition: usize,
        offset: i64,
    },
    /// Reading goes on at these positions, because the log does not hold the earlier ones.
    Lost {
        moved: Vec<(usize, i64)>,
        error: Error,
    },
    /// Partitions were added, and are read from these positions.
    Grown {
        starts: Vec<i64>,
    },
    /// Something that librdkafka does not heal in silence.
    Failed(Error),
}

/// What source and poller tell each other beside the channel.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// An error waits in the channel. One is enough: an outage must not fill it.
    reported: AtomicBool,
    /// Ends of partitions of which the source wants to know whether records come before them.
    questions: Mutex<Vec<(usize, i64)>>,
    /// The source has stored the group's position, and so the broker keeps it for a while.
    stored: AtomicBool,
    /// What need not be handed over.
    pub(crate) others: OnceLock<Others>,
}

impl Shared {
    /// Whether an error may go into the channel; if so, it counts as there.
    pub(crate) fn may_report(&self) -> bool {
        !self.reported.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn error_was_taken(&self) {
        self.reported.store(false, Ordering::Release);
    }

    pub(crate) fn position_was_stored(&self) {
        self.stored.store(true, Ordering::Release);
    }

    /// Whether the position was stored since this was asked last.
    pub(crate) fn take_stored(&self) -> bool {
        self.stored.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn ask(&self, partition: usize, end: i64) {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).push((partition, end));
    }

    pub(crate) fn take_questions(&self) -> Vec<(usize, i64)> {
        std::mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An end of a partition that librdkafka has not reported yet.
///
/// When it does, everything below `offset` was handed over, also where the last offsets hold no record (markers of
/// transactions, gaps of compaction): the report is made when all is read that the broker has, and that was so much already
/// when it was waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    pub(crate) offset: i64,
    pub(crate) since: Instant,
}

impl Awaited {
    pub(crate) fn now(offset: i64) -> Self {
        Self { offset, since: Instant::now() }
    }

    pub(crate) fn all(ends: Vec<i64>) -> Vec<Option<Self>> {
        ends.into_iter().map(|offset| Some(Self::now(offset))).collect()
    }
}
