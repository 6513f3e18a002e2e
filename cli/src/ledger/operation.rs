//! Backups and restores: from steps to operations.

use backup_tracker::BackupState;

use super::{Lasting, Step};

/// A backup or a restore, as far as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// BackingUp or Restoring.
    pub(crate) kind: BackupState,
    /// The step that began it; `None` if it is not in the log.
    pub(crate) begin: Option<Step>,
    /// The step that ended it, or that shows that it had been interrupted by then; `None` while it runs.
    pub(crate) end: Option<Step>,
    pub(crate) outcome: Outcome,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It runs.
    Running,
    /// The primary announced its end. Whether it succeeded is not announced.
    Ended,
    /// The primary began anew, or another primary took over, before an end was announced.
    Interrupted,
    /// The announcement was taken back; the operation never ran.
    TakenBack,
}

impl Outcome {
    /// The word for it, in `--json`, too.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Interrupted => "interrupted",
            Self::TakenBack => "taken_back",
        }
    }
}

impl Operation {
    /// What a step means for the operations before it.
    pub(super) fn follow(operations: &mut Vec<Self>, step: &Step) {
        let (from, to) = (step.transition.from, step.transition.to);
        let running = operations.last_mut().filter(|last| last.outcome == Outcome::Running);
        // Of the operation that runs, or of one whose beginning was missed.
        let mut is_end = from.is_operation();
        if let Some(running) = running {
            running.outcome = match &running.begin {
                Some(begin) if step.transition.takes_back(&begin.transition) => Outcome::TakenBack,
                _ if from == running.kind => Outcome::Ended,
                _ => Outcome::Interrupted,
            };
            is_end &= running.outcome == Outcome::Interrupted;
            running.end = Some(step.clone());
        }
        if is_end {
            let end = Some(step.clone());
            operations.push(Self { kind: from, begin: None, end, outcome: Outcome::Ended });
        }
        if to.is_operation() {
            let begin = Some(step.clone());
            operations.push(Self { kind: to, begin, end: None, outcome: Outcome::Running });
        }
    }

    /// How long it took, or takes until now; `None` if its beginning is not in the log. Where it was interrupted, it took at
    /// most that long.
    pub(crate) fn lasting(&self, now_millis: u64) -> Option<Lasting> {
        let begin = self.begin.as_ref()?.transition.timestamp_millis;
        let end = self.end.as_ref().map_or(now_millis, |end| end.transition.timestamp_millis);
        Some(Lasting::between(begin, end))
    }

    /// The earliest and the latest time at which it is known to have been there.
    pub(crate) fn span(&self, now_millis: u64) -> (u64, u64) {
        let millis = |step: &Option<Step>| step.as_ref().map(|step| step.transition.timestamp_millis);
        let end = millis(&self.end).unwrap_or(now_millis);
        let begin = millis(&self.begin).unwrap_or(end);
        (begin.min(end), begin.max(end))
    }
}
