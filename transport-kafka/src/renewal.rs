//! A new client, made beside the one that is in trouble.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use backup_tracker::Result;
use backup_tracker::transport::Place;

use crate::blocking::{Deadline, spawn};
use crate::error::KafkaErrors;
use crate::log_check::{self, Checked};
use crate::positions::{Client, Progress};

/// How long after an attempt has begun the next one may.
const AGAIN: Duration = Duration::from_secs(2);

/// Makes a client anew, with the credentials as they are then.
pub(crate) type Make = Arc<dyn Fn() -> Result<Client> + Send + Sync>;

/// An attempt. Its client takes over once it has found all of the session's places; until then the old one goes on with what it
/// can reach.
#[derive(Debug)]
pub(crate) struct Renewal {
    begun: Instant,
    outcome: Receiver<Result<(Client, Checked)>>,
}

/// How far an attempt is.
pub(crate) enum State {
    Ready(Box<(Client, Checked)>),
    Pending,
    /// It failed, and another one may begin.
    Over,
}

impl Renewal {
    /// Begins on a thread of its own, and gives up after the time.
    pub(crate) fn begin(
        make: &Make,
        place: &Place,
        progress: &[Progress],
        time: Duration,
    ) -> io::Result<Self> {
        let (done, outcome) = sync_channel(1);
        let (make, place, progress) = (Arc::clone(make), place.clone(), progress.to_vec());
        let deadline = Deadline::after(time);
        let attempt = move || {
            let client = make()?;
            let checked = log_check::check(&client, &place.topic, &progress, deadline);
            let checked = checked.map_err(|cause| place.in_session("make a new client", cause))?;
            Ok((client, checked))
        };
        // A client that nobody takes any more is dropped there.
        spawn("renewal", move || drop(done.send(attempt())))?;
        Ok(Self { begun: Instant::now(), outcome })
    }

    pub(crate) fn state(&self) -> State {
        match self.outcome.try_recv() {
            Ok(Ok(ready)) => State::Ready(Box::new(ready)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a new client does not get further either");
                State::Pending
            }
            Err(TryRecvError::Disconnected) if self.begun.elapsed() >= AGAIN => State::Over,
            Err(_) => State::Pending,
        }
    }
}
