//! What the commands that only read have in common: the way through the log, and the words for what was found.

mod driver;
pub(super) mod json;
mod open;
pub(super) mod remarks;
pub(super) mod say;
pub(super) mod table;
pub(super) mod time;

use std::future::Future;
use std::time::Duration;

use backup_tracker::{Error, ErrorKind};
use tokio::time::{Instant, sleep, timeout_at};

pub(super) use driver::{Progress, Reading, patience};
pub(super) use open::{Log, LogOptions, open};

use crate::ledger::Ledger;
use crate::options::OpenError;

/// After how long people are told what is being waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The ledger of all that the log holds now.
///
/// `limit` is how long the broker may take to answer, and then how long it may return nothing while there is something to
/// read. Trouble that passes before that is told and waited out.
pub(super) async fn read_all(log: &Log<'_>, limit: Duration) -> Result<Ledger, OpenError> {
    let opening = timeout_at(Instant::now() + limit, open(log));
    let source = patiently(&format!("connecting for {log}"), opening).await.unwrap_or_else(|_elapsed| {
        Err(too_late("open the log", format!("no answer within {}", time::brief(limit)), log).into())
    })?;
    let mut reading = Reading::new(source);
    let read = patiently(&format!("reading {log}"), catch_up(&mut reading, limit, log)).await;
    let ledger = reading.close().await;
    Ok(read.map(|()| ledger)?)
}

async fn catch_up(reading: &mut Reading, limit: Duration, log: &Log<'_>) -> Result<(), Error> {
    let mut notices = say::Notices::default();
    let mut deadline = Instant::now() + limit;
    while !reading.is_caught_up() {
        let Ok(progress) = timeout_at(deadline, reading.advance()).await else {
            let message = match notices.trouble() {
                Some(trouble) => format!("nothing could be read for {}: {trouble}", time::brief(limit)),
                None => {
                    format!("the broker holds more and has not given it out for {}", time::brief(limit))
                }
            };
            return Err(too_late("read the log", message, log));
        };
        let progress = progress?;
        if matches!(progress, Progress::Record | Progress::Lost(_)) {
            deadline = Instant::now() + limit;
        }
        notices.of(&progress);
    }
    Ok(())
}

fn too_late(operation: &'static str, message: String, log: &Log<'_>) -> Error {
    let mend = "see whether the broker is up and can be reached from here";
    Error::new(ErrorKind::Unavailable, operation, format!("{message}; {mend}")).with_topic(log.topic())
}

/// The future's outcome. Where it takes its time, people are told what is being done.
async fn patiently<T>(what: &str, future: impl Future<Output = T> + Send) -> T
where
    T: Send,
{
    let mut future = std::pin::pin!(future);
    tokio::select! {
        biased;
        outcome = &mut future => return outcome,
        () = sleep(PATIENCE) => say::note(format_args!("still {what}")),
    }
    future.await
}
