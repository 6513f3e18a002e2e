//! Work between a beginning and an end that are both announced, whatever becomes of the work.

use std::error::Error as StdError;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use uuid::Uuid;

use super::primary::PrimaryBackupTracker;
use crate::error::{BoxError, Error};
use crate::protocol::primary::Action;

/// What went wrong around a piece of work: the announcement of its beginning, the work, or the announcement of its end.
///
/// The error of the work is boxed, whatever its type, so that it keeps its chain of causes in every case, also that of an
/// `anyhow::Error` or a `Box<dyn Error + Send + Sync>`, which are no errors themselves; and so that `?` hands a `WorkError` on.
/// [`work`](Self::work) returns it for a look at its type.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> backup_tracker::Result<()> {
/// # use backup_tracker::PrimaryBackupTracker;
/// # let log = backup_tracker_memory::MemoryLog::new("backups")?;
/// # let primary = PrimaryBackupTracker::builder("shop", log.sink()).build()?;
/// let failed = primary.backup(async { std::fs::read("/does/not/exist") }).await.unwrap_err();
/// let error = failed.work().and_then(|error| error.downcast_ref::<std::io::Error>()).unwrap();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum WorkError<T> {
    /// The beginning could not be announced. The work was not begun.
    #[error("the work was not begun: {0}")]
    NotBegun(#[source] Error),
    /// The work returned this error. Its end was announced.
    #[error("the work failed: {0}")]
    Work(#[source] BoxError),
    /// The work is over, but its end is not announced yet. It is pending: the tracker goes on trying in the background, before
    /// anything else, until it is closed. With an error of kind [`IllegalTransition`](crate::ErrorKind::IllegalTransition)
    /// there is nothing left to announce: somebody else had ended the operation.
    #[error("the work is over, but its end is not announced yet: {error}")]
    EndNotAnnounced {
        /// Why the end could not be announced.
        #[source]
        error: Error,
        /// What the work returned.
        outcome: Result<T, BoxError>,
    },
}

impl<T> WorkError<T> {
    /// The error of the work, if it failed, whatever became of the announcement of its end.
    pub fn work(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match self {
            Self::Work(error) | Self::EndNotAnnounced { outcome: Err(error), .. } => Some(&**error),
            Self::NotBegun(_) | Self::EndNotAnnounced { .. } => None,
        }
    }

    /// The error of an announcement, if it was one that failed.
    pub const fn announcement(&self) -> Option<&Error> {
        match self {
            Self::NotBegun(error) | Self::EndNotAnnounced { error, .. } => Some(error),
            Self::Work(_) => None,
        }
    }
}

/// Announces the end of the operation when the future of the work is dropped half-way.
struct End<'a> {
    tracker: &'a PrimaryBackupTracker,
    operation: Uuid,
    finish: Action,
    announced: bool,
}

impl End<'_> {
    async fn announce(&mut self) -> Result<(), Error> {
        let done = self.tracker.request_end(self.finish, self.operation);
        self.announced = true;
        self.tracker.answer(done).await.map(drop)
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if !self.announced {
            // Nobody is left to hear the answer; the driver logs what goes wrong.
            drop(self.tracker.request_end(self.finish, self.operation));
        }
    }
}

pub(super) async fn around<T, E, F>(
    tracker: &PrimaryBackupTracker,
    start: Action,
    finish: Action,
    work: F,
) -> Result<T, WorkError<T>>
where
    T: Send,
    E: Into<BoxError> + Send,
    F: Future<Output = Result<T, E>> + Send,
{
    let operation = Uuid::new_v4();
    // Before the beginning: the caller may drop the future while that is on its way.
    let mut end = End { tracker, operation, finish, announced: false };
    let begun = tracker.answer(tracker.request(start, operation, None)).await;
    if let Err(error) = begun {
        end.announced = true;
        return Err(WorkError::NotBegun(error));
    }
    let work = async { work.await.map_err(Into::into) };
    let worked = AssertUnwindSafe(work).catch_unwind().await;
    let announced = end.announce().await;
    match (worked, announced) {
        (Ok(outcome), Ok(())) => outcome.map_err(WorkError::Work),
        (Ok(outcome), Err(error)) => Err(WorkError::EndNotAnnounced { error, outcome }),
        (Err(panic), announced) => {
            if let Err(error) = announced {
                tracing::error!(%error, "the work panicked, and its end is not announced yet");
            }
            resume_unwind(panic)
        }
    }
}
