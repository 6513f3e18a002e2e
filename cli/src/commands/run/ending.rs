//! How the end is announced: for as long as it takes, and only of what is one's own.

use std::time::Duration;

use backup_tracker::{BackupState, BackupTracker, BackupTransition, ErrorKind, PrimaryBackupTracker};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::Run;
use super::signals::{Signals, name};
use crate::commands::announcing::LastWord;
use crate::commands::reading::{say, time};
use crate::options::OpenError;

/// How long the last announcements may take once all is over.
const CLOSING: Duration = Duration::from_secs(5);
/// How long to wait before the end is tried again; each attempt has retries of its own.
const AGAIN: Duration = Duration::from_millis(200);

/// What must reach the log, or everybody stays paused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owed {
    /// The end of the operation that this event began.
    End(Uuid),
    /// The way back from a beginning of which nobody knows whether it is in the log.
    WayBack,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Ended {
    ByUs,
    /// What the log says.
    BySomebodyElse(String),
    /// It is owed still.
    Not,
}

impl Owed {
    fn state(self) -> &'static str {
        match self {
            Self::End(_) => "STAYS PAUSED",
            Self::WayBack => "MAY STAY PAUSED",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::End(_) => "the end",
            Self::WayBack => "the way back to READY",
        }
    }
}

impl Run<'_> {
    /// Announces it, for as long as that takes, and says loudly if it does not get there.
    pub(super) async fn end(
        &self,
        primary: &PrimaryBackupTracker,
        owed: Owed,
        signals: &mut Signals,
    ) -> Ended {
        let (application, limit) = (say::plain(self.name), self.arguments.end_timeout);
        let (state, what) = (owed.state(), owed.what());
        let deadline = Instant::now() + limit;
        // They were for the command.
        signals.came();
        let mut told = matches!(owed, Owed::WayBack);
        if told {
            let limit = time::brief(limit);
            say::error(format_args!(
                "the beginning may be in the log: {application} {state}; taking it back, for up to {limit}"
            ));
        }
        loop {
            let attempt = tokio::select! {
                biased;
                attempt = timeout_at(deadline, self.announce_end(primary, owed)) => attempt,
                signal = signals.ending() => {
                    say::note(format_args!("{}: giving up", name(signal)));
                    break;
                }
            };
            match attempt {
                Ok(Ok(ended)) => {
                    if told && matches!(ended, Ended::ByUs) {
                        say::note(format_args!("{what} is announced: {application} is not paused any more"));
                    }
                    return ended;
                }
                Ok(Err(OpenError::Broker(error))) if error.kind() == ErrorKind::IllegalTransition => {}
                Ok(Err(error)) if !told => {
                    told = true;
                    let limit = time::brief(limit);
                    say::error(format_args!(
                        "{what} could not be announced yet: {error}; {application} {state}; trying for \
                         {limit}"
                    ));
                }
                Ok(Err(_as_before)) => {}
                Err(_elapsed) => break,
            }
            sleep(AGAIN).await;
        }
        say::error(format_args!(
            "{what} was not announced: {application} {state} until `backup-tracker recover \
             --application {application}`"
        ));
        Ended::Not
    }

    /// Looks at the log first: what somebody else has begun meanwhile must not be ended.
    async fn announce_end(&self, primary: &PrimaryBackupTracker, owed: Owed) -> Result<Ended, OpenError> {
        let Owed::End(begin) = owed else {
            return match self.finish(primary).await {
                // It goes ahead of everything: a call that is refused has seen it paid.
                Err(error) if error.kind() != ErrorKind::IllegalTransition => Err(error.into()),
                _ => Ok(Ended::ByUs),
            };
        };
        let last = LastWord::of(&self.log(), self.name, self.arguments.timeout).await?;
        if !last.runs(begin) {
            // An attempt whose outcome was not known may have reached the log.
            let ours = last.is_ours() && !last.state.is_operation();
            return Ok(if ours { Ended::ByUs } else { Ended::BySomebodyElse(last.describe()) });
        }
        if last.others_gave_way() {
            // An end of one's own would leave everybody paused for what never ran.
            primary.startup_complete().await?;
        } else {
            self.finish(primary).await?;
        }
        Ok(Ended::ByUs)
    }

    async fn finish(&self, primary: &PrimaryBackupTracker) -> backup_tracker::Result<BackupTransition> {
        match self.operation() {
            BackupState::Restoring => primary.finish_restore().await,
            _ => primary.finish_backup().await,
        }
    }

    /// Closes the primary. What is owed gets a last chance; says whether it still is.
    pub(super) async fn close(&self, primary: &PrimaryBackupTracker, owed: Option<Owed>) -> Option<Owed> {
        let closed = timeout(CLOSING, primary.close()).await;
        let (what, name) = (owed.map(Owed::what), say::plain(self.name));
        match (closed, owed) {
            (Ok(Ok(())), Some(Owed::End(_))) if primary.state().is_operation() => owed,
            (Ok(Ok(())), Some(_)) => {
                let what = what.unwrap_or_default();
                say::note(format_args!("{what} is announced after all: {name} is not paused any more"));
                None
            }
            (Ok(Ok(())), None) => None,
            (Ok(Err(error)), None) => {
                say::error(format_args!(
                    "an announcement is owed still: {error}; if {name} stays paused, \
                     `backup-tracker recover --application {name}`"
                ));
                Some(Owed::WayBack)
            }
            (Err(_elapsed), None) => {
                tracing::warn!("the broker does not answer while the connection is closed");
                None
            }
            // It is said already.
            (_, Some(_)) => owed,
        }
    }
}
