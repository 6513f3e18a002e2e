//! What the commands that announce have in common: they look at the log first, and take up where it ends.

mod ready;
mod runner;

use std::time::Duration;

use backup_tracker::{BackupState, ErrorKind, PrimaryBackupTracker, PrimaryBuilder, RetryPolicy};

pub(super) use ready::{ReadyOptions, Why};
pub(super) use runner::Runner;
use uuid::Uuid;

use super::reading::{Log, read_all, say, time};
use crate::ledger::{Account, Lasting, Ledger, Step};
use crate::options::OpenError;

/// The header that says why an operator announced something.
const REASON: &str = "backup-tracker-reason";

/// What the log says of an application last.
#[derive(Debug)]
pub(super) struct LastWord {
    pub(super) application: String,
    pub(super) state: BackupState,
    pub(super) since: Option<Step>,
    /// The step that began the operation that runs.
    pub(super) running: Option<Step>,
}

impl LastWord {
    /// Reads the whole log, within the limit of [`read_all`].
    pub(super) async fn of(log: &Log<'_>, application: &str, limit: Duration) -> Result<Self, OpenError> {
        let ledger = match read_all(log, limit).await {
            // The primary's sink will.
            Err(OpenError::Broker(error))
                if error.kind() == ErrorKind::NotFound && log.backups.creates_topic() =>
            {
                Ledger::default()
            }
            ledger => ledger?,
        };
        let account = ledger.account(application);
        Ok(Self {
            application: application.to_owned(),
            state: account.map_or(BackupState::Starting, Account::state),
            since: account.and_then(Account::since).cloned(),
            running: account.and_then(Account::running).cloned(),
        })
    }

    /// The run that began what runs, if it was a run.
    pub(super) fn runner(&self) -> Option<Runner> {
        self.running.as_ref().and_then(|step| Runner::of(&step.headers))
    }

    /// Whether this process said it.
    pub(super) fn is_ours(&self) -> bool {
        self.since.as_ref().and_then(|step| Runner::of(&step.headers)) == Some(Runner::this())
    }

    /// Whether the operation that runs is the one that this event began.
    pub(super) fn runs(&self, event: Uuid) -> bool {
        self.running.as_ref().is_some_and(|step| step.transition.id == event)
    }

    /// Whether behind what runs stands what other runs began a moment later, which did not go to work because of it. Its end is
    /// theirs, too.
    pub(super) fn others_gave_way(&self) -> bool {
        let (Some(running), Some(newest)) = (&self.running, &self.since) else { return false };
        running.transition.id != newest.transition.id && Runner::of(&newest.headers).is_some()
    }

    /// In words, for people.
    pub(super) fn describe(&self) -> String {
        let name = say::plain(&self.application);
        let Some(Step { transition, .. }) = &self.since else {
            return format!("{name} was never announced, as far as the log goes back");
        };
        let lasting = Lasting::between(transition.timestamp_millis, time::now_millis());
        let by = self.runner().map(|runner| format!(", by {runner:#}")).unwrap_or_default();
        format!(
            "{name} is {} since {} ({}){by}, event {}",
            self.state,
            time::to_the_second(transition.timestamp_millis),
            time::brief(lasting.duration),
            transition.id
        )
    }

    /// A primary that takes up here.
    pub(super) async fn primary(
        &self,
        log: &Log<'_>,
        retry: RetryPolicy,
        reason: Option<&str>,
    ) -> Result<PrimaryBackupTracker, OpenError> {
        let configure = |builder: PrimaryBuilder<_>| {
            let builder =
                builder.state(self.state).retry(retry).header(Runner::HEADER, Runner::this().to_string());
            match reason {
                Some(reason) => builder.header(REASON, reason.to_owned()),
                None => builder,
            }
        };
        log.backups.primary_with(log.kafka, &*self.application, configure).await
    }
}
