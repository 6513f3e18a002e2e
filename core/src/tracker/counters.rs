//! What a secondary counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::secondary::SecondaryStats;
use crate::metrics::{Counter, ListenerMetrics, Series, SkipReason, Tally};
use crate::state::BackupState;

/// See [`SecondaryStats`].
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) received: Tally,
    /// By the state that the step leads to.
    pub(super) applied: [Tally; BackupState::ALL.len()],
    pub(super) other_application: Tally,
    pub(super) other_action: Tally,
    pub(super) undecodable: Tally,
    pub(super) forbidden: Tally,
    pub(super) duplicate: Tally,
    pub(super) other_operation: Tally,
    pub(super) gaps: Tally,
    pub(super) partition_changes: Tally,
    pub(super) losses: Tally,
    pub(super) commits: Tally,
    pub(super) commit_failures: Counter,
    /// Shown as a metric by the board.
    pub(super) troubles: AtomicU64,
    pub(super) passed_over: Tally,
    pub(super) listeners: Arc<ListenerMetrics>,
}

impl Counters {
    pub(super) fn new(series: &Series, listeners: Arc<ListenerMetrics>) -> Self {
        let skipped = |reason| Tally::new(series.skipped(reason));
        Self {
            received: Tally::new(series.received()),
            applied: BackupState::ALL.map(|to| Tally::new(series.applied(to))),
            other_application: skipped(SkipReason::OtherApplication),
            other_action: skipped(SkipReason::OtherAction),
            undecodable: skipped(SkipReason::Undecodable),
            forbidden: skipped(SkipReason::Forbidden),
            duplicate: skipped(SkipReason::Duplicate),
            other_operation: skipped(SkipReason::OtherOperation),
            gaps: Tally::new(series.gaps()),
            partition_changes: Tally::new(series.partition_changes()),
            losses: Tally::new(series.losses()),
            commits: Tally::new(series.commits()),
            commit_failures: series.commit_failures(),
            troubles: AtomicU64::new(0),
            passed_over: Tally::new(series.passed_over()),
            listeners,
        }
    }

    pub(super) fn read(&self) -> SecondaryStats {
        SecondaryStats {
            received: self.received.read(),
            applied: self.applied.iter().map(Tally::read).sum(),
            other_application: self.other_application.read(),
            other_action: self.other_action.read(),
            undecodable: self.undecodable.read(),
            forbidden: self.forbidden.read(),
            duplicate: self.duplicate.read(),
            other_operation: self.other_operation.read(),
            gaps: self.gaps.read(),
            partition_changes: self.partition_changes.read(),
            losses: self.losses.read(),
            commits: self.commits.read(),
            troubles: self.troubles.load(Ordering::Relaxed),
            passed_over: self.passed_over.read(),
            listener_failures: self.listeners.failures.read(),
        }
    }
}
