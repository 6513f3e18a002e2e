//! What a secondary counts, and what it logs of records that have no effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{debug, info, warn};

use super::secondary::SecondaryStats;
use crate::event::Position;
use crate::metrics::{Counter, ListenerMetrics, Series, SkipReason, Tally};
use crate::protocol::applier::Skip;
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

    /// Once is enough: where the primary spreads its steps, most of them follow one of another partition.
    pub(super) fn partition_change(&self, position: Position, before: u32) {
        let counter = &self.partition_changes;
        counter.add_one();
        if counter.read() > 1 {
            debug!(%position, before, "this step, too, stands in another partition than the one before it");
            return;
        }
        warn!(
            %position,
            before,
            "this step stands in another partition than the one before it, so that their order is not certain: the primary \
             spreads its steps, as Java's does, or partitions were added; give the topic one partition, or write it with a \
             primary of this library"
        );
    }

    pub(super) fn skip(&self, position: Position, reason: Skip) {
        let counter = match reason {
            Skip::OtherApplication => &self.other_application,
            Skip::OtherAction(action) => {
                debug!(%position, action, "skipped: an action that is neither a backup nor a restore");
                &self.other_action
            }
            Skip::Undecodable(error) => {
                warn!(%position, %error, "skipped: not a transition");
                &self.undecodable
            }
            Skip::Forbidden { from, to } => {
                warn!(%position, %from, %to, "skipped: the state table forbids this step");
                &self.forbidden
            }
            Skip::Duplicate(id) => {
                info!(%position, %id, "skipped: applied before");
                &self.duplicate
            }
            Skip::OtherOperation { named, running } => {
                warn!(
                    %position,
                    %named,
                    %running,
                    "skipped: it ends another operation than the one that runs; two primaries announce this application"
                );
                &self.other_operation
            }
        };
        counter.add_one();
    }
}
