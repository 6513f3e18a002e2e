//! What a log says about one application.

use std::collections::HashSet;
use std::sync::Arc;

use backup_tracker::wire::Decoded;
use backup_tracker::{Applied, Applier, BackupState, Record, Skip};

use uuid::Uuid;

use super::operation::Operation;
use super::{Lasting, Outcome, Step};

/// One application, as every secondary sees it, and its operations.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    application: Arc<str>,
    applier: Applier,
    last: Option<Step>,
    since: Option<Step>,
    operations: Vec<Operation>,
    /// The operations whose ends were announced by name, also where that was of no effect (F1).
    ended: HashSet<Uuid>,
    counts: Counts,
}

/// What was counted of one application's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Steps that were applied.
    pub(crate) applied: u64,
    /// Steps before which something is missing (T5).
    pub(crate) gaps: u64,
    /// Skipped: the state table forbids the step (T5).
    pub(crate) forbidden: u64,
    /// Skipped: the event was applied before (T11).
    pub(crate) duplicate: u64,
    /// Skipped: the end of another operation than the one that ran (F1).
    pub(crate) other_operation: u64,
    /// Skipped: about neither a backup nor a restore.
    pub(crate) other_action: u64,
}

impl Account {
    pub(super) fn new(application: Arc<str>) -> Self {
        Self {
            applier: Applier::new(application.clone()),
            application,
            last: None,
            since: None,
            operations: Vec::new(),
            ended: HashSet::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn record(&mut self, decoded: Decoded, record: &Record) -> Result<&Step, Skip> {
        if let Decoded::Transition(transition) = &decoded
            && &*transition.application == self.application()
        {
            self.ended.extend(transition.operation);
        }
        let before = self.applier.state();
        let Applied { transition, gap, .. } = self.applier.apply(Ok(decoded)).inspect_err(|skip| {
            let counter = match skip {
                Skip::Forbidden { .. } => &mut self.counts.forbidden,
                Skip::Duplicate(_) => &mut self.counts.duplicate,
                Skip::OtherOperation { .. } => &mut self.counts.other_operation,
                _ => &mut self.counts.other_action,
            };
            *counter += 1;
        })?;
        self.counts.applied += 1;
        self.counts.gaps += u64::from(gap.is_some());

        let step = Step { transition, position: record.position, headers: record.headers.clone() };
        Operation::follow(&mut self.operations, &step);
        let to = step.transition.to;
        // Ready said once more changes nothing; an operation announced once more is a new one, and behind a gap the state may
        // have been left meanwhile.
        let lasts_on = to == before && !to.is_operation() && gap.is_none();
        if !lasts_on || self.since.is_none() {
            self.since = Some(step.clone());
        }
        Ok(self.last.insert(step))
    }

    pub(super) fn lose(&mut self) {
        self.applier.lose();
        if !self.state().is_operation() {
            self.since = None;
        }
    }

    /// The application's name.
    pub(crate) fn application(&self) -> &str {
        &self.application
    }

    /// Its state.
    pub(crate) const fn state(&self) -> BackupState {
        self.applier.state()
    }

    /// The step by which it came into its state; `None` while nothing is known.
    pub(crate) const fn since(&self) -> Option<&Step> {
        self.since.as_ref()
    }

    /// When it came into its state, by the primary's clock, in milliseconds since the epoch.
    pub(crate) fn since_millis(&self) -> Option<u64> {
        self.since().map(|step| step.transition.timestamp_millis)
    }

    /// How long it has been in its state; `None` while nothing is known.
    pub(crate) fn lasting(&self, now_millis: u64) -> Option<Lasting> {
        self.since_millis().map(|since| Lasting::between(since, now_millis))
    }

    /// The newest step that was applied.
    pub(crate) const fn last(&self) -> Option<&Step> {
        self.last.as_ref()
    }

    /// Its operations, in the order of the log.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The step that began the operation that runs. Where several primaries began one on top of each other, the first of those
    /// that have not announced their end is at work.
    pub(crate) fn running(&self) -> Option<&Step> {
        let mut operations = self.operations.iter().rev();
        let last = operations.next().filter(|last| last.outcome == Outcome::Running)?;
        let on_top = |before: &&Operation| {
            let end = before.end.as_ref();
            before.outcome == Outcome::Interrupted && end.is_some_and(|end| end.transition.to.is_operation())
        };
        let begun = operations.take_while(on_top).filter_map(|operation| operation.begin.as_ref());
        let at_work = begun.filter(|begin| !self.ended.contains(&begin.transition.id)).last();
        at_work.or(last.begin.as_ref())
    }

    /// What was counted.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }
}
