//! How the beginning is announced: once the log says that nothing runs, and whoever is first in the log is at
//! work.

use std::pin::pin;

use backup_tracker::{
    BackupState, BackupTracker, Delivery, Error, ErrorKind, PrimaryBackupTracker, RetryPolicy,
};
use rustix::process::Signal;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use uuid::Uuid;

use super::Run;
use super::ending::Owed;
use super::signals::{Signals, name};
use crate::commands::announcing::LastWord;
use crate::commands::reading::{patience, say, time};
use crate::options::OpenError;

/// Why the command is not to be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotBegun {
    #[error("the beginning could not be announced: {0}")]
    Open(#[from] OpenError),
    #[error("the beginning could not be announced: {0}")]
    Announce(#[from] Error),
    #[error(
        "the beginning was announced, and whether somebody else began a moment earlier cannot be seen: {0}"
    )]
    Unseen(OpenError),
    #[error("{0}")]
    Busy(String),
    #[error("{}", name(*.0))]
    Signal(Signal),
}

/// What came of the beginning.
#[derive(Debug)]
pub(super) enum Begin {
    /// The command is to be run.
    Runs(Uuid),
    /// It is not, and this must reach the log.
    Owes(Owed, NotBegun),
    /// It is not, and nobody is paused because of this program.
    Not(NotBegun),
}

/// A primary that has said nothing yet.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) primary: PrimaryBackupTracker,
    /// Whether an operation is to be ended first, of somebody who is gone.
    takes_over: bool,
}

impl Run<'_> {
    /// A primary that may begin. Announces nothing; goes on trying until the deadline while the broker cannot
    /// be reached.
    pub(super) async fn prepare(&self, deadline: Instant) -> Result<Prepared, NotBegun> {
        let mut waits = patience().waits();
        let mut notices = say::Notices::default();
        let mut trouble = None;
        loop {
            match timeout_at(deadline, self.look(deadline)).await {
                Ok(Err(NotBegun::Open(OpenError::Broker(error)))) if error.is_transient() => {
                    notices.troubled(&error);
                    trouble = Some(error);
                }
                Ok(looked) => {
                    if looked.is_ok() {
                        notices.fine();
                    }
                    return looked;
                }
                Err(_elapsed) => {
                    let limit = time::brief(self.arguments.timeout);
                    let message = format!("the log could not be read within {limit} (--timeout)");
                    let late = || Error::new(ErrorKind::Unavailable, "open the log", message);
                    return Err(trouble.unwrap_or_else(late).into());
                }
            }
            sleep_until((Instant::now() + waits.next().unwrap_or_default()).min(deadline)).await;
        }
    }

    async fn look(&self, deadline: Instant) -> Result<Prepared, NotBegun> {
        let log = self.log();
        let last = LastWord::of(&log, self.name, self.arguments.timeout).await?;
        let takes_over = last.state.is_operation();
        if takes_over {
            self.may_be_taken_over(&last)?;
        }
        let retry = RetryPolicy::new().give_up_after(deadline.saturating_duration_since(Instant::now()));
        let primary = last.primary(&log, retry, None).await?;
        if takes_over {
            // Somebody else may have taken over while the connection was opened.
            let now = LastWord::of(&log, self.name, self.arguments.timeout).await?;
            if now.since != last.since {
                return Err(NotBegun::Busy(format!("{} meanwhile", now.describe())));
            }
        }
        Ok(Prepared { primary, takes_over })
    }

    fn may_be_taken_over(&self, last: &LastWord) -> Result<(), NotBegun> {
        let what = last.describe();
        match last.runner().and_then(|runner| runner.is_alive()) {
            Some(true) => {
                let why = format!("{what}, and that process, or its command, is at work; wait for it");
                return Err(NotBegun::Busy(why));
            }
            Some(false) => say::note(format_args!("{what}, and that process is gone; taking over")),
            None if self.arguments.take_over => say::note(format_args!("{what}; taking over")),
            None => {
                let mend =
                    "see whether that is over; if so, --take-over (or `backup-tracker recover`) ends it";
                return Err(NotBegun::Busy(format!("{what}; {mend}")));
            }
        }
        Ok(())
    }

    /// Announces the beginning, and sees that nobody else began at the same time: the first one in the log is
    /// at work.
    ///
    /// A signal that comes while it is announced is heeded as soon as it is known whether it is; a second one
    /// at once.
    pub(super) async fn begin(&self, prepared: &Prepared, signals: &mut Signals) -> Begin {
        let mut announcing = pin!(self.announce(prepared));
        let mut asked = None;
        let announced = loop {
            tokio::select! {
                biased;
                announced = &mut announcing => break announced,
                signal = signals.ending() => {
                    if asked.replace(signal).is_some() {
                        return Begin::Owes(Owed::WayBack, NotBegun::Signal(signal));
                    }
                    say::note(format_args!(
                        "{}: ending as soon as it is known whether the beginning is announced; \
                         once more to give up",
                        name(signal)
                    ));
                }
            }
        };
        let begin = match announced {
            Ok(begin) => begin,
            Err(error) if error.delivery() == Delivery::Unknown => {
                return Begin::Owes(Owed::WayBack, error.into());
            }
            Err(error) => return Begin::Not(error.into()),
        };
        let asked = match asked {
            Some(signal) => Some(signal),
            None => signals.came(),
        };
        match asked {
            Some(signal) => Begin::Owes(Owed::End(begin), NotBegun::Signal(signal)),
            None => self.see(begin, signals).await,
        }
    }

    async fn announce(&self, prepared: &Prepared) -> Result<Uuid, Error> {
        let Prepared { primary, takes_over } = prepared;
        if *takes_over {
            primary.startup_complete().await?;
        }
        let begun = match self.operation() {
            BackupState::Restoring => primary.start_restore().await,
            _ => primary.start_backup().await,
        };
        Ok(begun?.id)
    }

    async fn see(&self, begin: Uuid, signals: &mut Signals) -> Begin {
        let (log, limit) = (self.log(), self.arguments.timeout);
        let seen = tokio::select! {
            biased;
            signal = signals.ending() => return Begin::Owes(Owed::End(begin), NotBegun::Signal(signal)),
            seen = timeout(limit, LastWord::of(&log, self.name, limit)) => seen,
        };
        let late = || {
            let message = format!("the log could not be read within {}", time::brief(limit));
            Err(Error::new(ErrorKind::Unavailable, "read the log", message).into())
        };
        match seen.unwrap_or_else(|_elapsed| late()) {
            Ok(last) if last.runs(begin) => Begin::Runs(begin),
            // Behind the other one's beginning ours changes nothing, and the other one's end is the end of
            // both.
            Ok(last) if last.state.is_operation() => Begin::Not(NotBegun::Busy(format!(
                "{}: it began a moment earlier; the beginning announced here stands behind it and \
                 ends with it",
                last.describe()
            ))),
            Ok(last) => Begin::Not(NotBegun::Busy(format!(
                "{}: somebody else ended what was begun here, before the command was run",
                last.describe()
            ))),
            Err(error) => Begin::Owes(Owed::End(begin), NotBegun::Unseen(error)),
        }
    }
}
