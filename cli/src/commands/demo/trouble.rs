//! What keeps the demo from its end.

use std::future::Future;
use std::io;
use std::time::Duration;

use backup_tracker::{BoxError, Error, WorkError};
use backup_tracker_kafka::rdkafka::error::KafkaError;
use tokio::task::JoinError;
use tokio::time::timeout;

use super::cast::Who;

/// How long a single step may take.
const STEP_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Tracker(#[from] Error),
    #[error("the broker inside this process did not start: {0}")]
    Broker(#[source] KafkaError),
    #[error("the broker's thread did not start: {0}")]
    Thread(#[source] io::Error),
    #[error("{who} stopped following: {}", error.as_ref().map_or("it was closed".to_owned(), Error::to_string))]
    Stopped { who: Who, error: Option<Error> },
    #[error("there is {0} already: run the demo again, which takes another name")]
    Taken(String),
    #[error("what it would create on the server at {server} could not be removed again: {why}")]
    MayNotRemove { server: String, why: String },
    #[error("the stream could not be prepared: {0}")]
    Preparation(String),
    #[error("the demo itself failed: {0}")]
    Task(#[from] JoinError),
    #[error("waited {limit:?} in vain for {what}")]
    Late { what: String, limit: Duration },
    #[error(transparent)]
    Work(BoxError),
}

impl<T> From<WorkError<T>> for Trouble {
    fn from(error: WorkError<T>) -> Self {
        match error {
            // The work's own trouble came first.
            WorkError::Work(error) | WorkError::EndNotAnnounced { outcome: Err(error), .. } => {
                error.downcast().map_or_else(Self::Work, |trouble| *trouble)
            }
            WorkError::NotBegun(error) | WorkError::EndNotAnnounced { error, .. } => Self::Tracker(error),
        }
    }
}

/// Waits for a step, but not for ever.
pub(super) async fn within<T>(what: &str, step: impl Future<Output = T> + Send) -> Result<T, Trouble> {
    let late = |_elapsed| Trouble::Late { what: what.to_owned(), limit: STEP_LIMIT };
    timeout(STEP_LIMIT, step).await.map_err(late)
}
