//! librdkafka's blocking calls, kept off the async threads.
//!
//! They run on threads of their own and not on the runtime's blocking pool: a runtime that shuts down waits for its pool, and
//! would wait as long as a dead broker's timeout.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::error::may_pass;

/// Between one question to the cluster and the next.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// How long one question may take before it is looked for a refusal, which shows in the background alone.
pub(crate) const SLICE: Duration = Duration::from_millis(500);

/// What keeps its time by itself knows better why it is over, and is given this much for it.
const GRACE: Duration = Duration::from_millis(250);

/// A moment by which something must have happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub(crate) fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// Ends the waiting for `work` soon after the time is over, also where librdkafka has no time limit to be given.
    pub(crate) async fn bound<T>(
        self,
        place: &Place,
        operation: &'static str,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        tokio::time::timeout(self.left() + GRACE, work).await.unwrap_or_else(|_| {
            Err(place.error(ErrorKind::Unavailable, operation, "the broker did not answer in time"))
        })
    }

    /// Asks until there is an answer, an error that [time does not heal](may_pass), or no time left. `ask` is told how much there is.
    pub(crate) fn patiently<T>(self, ask: impl Fn(Duration) -> Result<T>) -> Result<T> {
        loop {
            match ask(self.left()) {
                Err(error) if may_pass(&error) && !self.is_over() => {
                    thread::sleep(PAUSE.min(self.left()));
                }
                outcome => return outcome,
            }
        }
    }
}

/// Runs `work` on a thread of its own. Dropping the future leaves the thread to end by itself, and whatever `work` returns is
/// dropped there.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    place: &Place,
    operation: &'static str,
    work: impl FnOnce(&Place) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    let there = place.clone();
    spawn(operation, move || drop(reply.send(work(&there))))
        .map_err(|cause| no_thread(place, operation).with_source(cause))?;
    answer.await.unwrap_or_else(|_| Err(no_thread(place, operation)))
}

/// Drops a client where its destructor, which waits for librdkafka's threads, holds up nobody.
pub(crate) fn drop_elsewhere<T: Send + 'static>(client: T) {
    if let Err(error) = spawn("disconnect", move || drop(client)) {
        tracing::warn!(%error, "a Kafka client was disconnected on the caller's thread");
    }
}

/// The same. What is returned resolves, with an error, when the client is gone.
pub(crate) fn drop_elsewhere_and_tell<T: Send + 'static>(client: T) -> oneshot::Receiver<()> {
    let (gone, telling) = oneshot::channel();
    // Dropped in this order.
    drop_elsewhere((client, gone));
    telling
}

pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(format!("kafka {name}")).spawn(work)
}

fn no_thread(place: &Place, operation: &'static str) -> Error {
    place.error(ErrorKind::Internal, operation, "a thread for it could not be started, or died")
}

/// A thread that makes one blocking call after the other, so that they reach the broker in the order in which they were
/// asked for. It ends when this is dropped and the call in progress, if any, has returned.
#[derive(Debug)]
pub(crate) struct Worker<C> {
    jobs: mpsc::Sender<Job<C>>,
}

type Job<C> = Box<dyn FnOnce(&C) + Send>;

impl<C: Send + 'static> Worker<C> {
    pub(crate) fn start(client: C) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job<C>>();
        spawn("requests", move || {
            for job in inbox {
                job(&client);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs `work` after the work that was asked for before. Work whose caller is gone before it begins is left out.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        place: &Place,
        operation: &'static str,
        timeout: Duration,
        work: impl FnOnce(&C, &Place) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let there = place.clone();
        let job: Job<C> = Box::new(move |client| {
            if !reply.is_closed() {
                drop(reply.send(work(client, &there)));
            }
        });
        if self.jobs.send(job).is_err() {
            return Err(no_thread(place, operation));
        }
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(no_thread(place, operation)),
            Err(_) => Err(place.error(
                ErrorKind::Unavailable,
                operation,
                format!("the broker did not answer within {timeout:?}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::drop_elsewhere_and_tell;

    /// Takes as long to be dropped as it is made to wait.
    struct Slow(Receiver<()>, Sender<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.1.send(()).unwrap();
            self.0.recv().unwrap();
        }
    }

    #[tokio::test]
    async fn a_client_that_still_ends_is_not_gone() {
        let (go_on, waiting) = channel();
        let (begins, begun) = channel();
        let mut gone = drop_elsewhere_and_tell(Slow(waiting, begins));
        begun.recv_timeout(Duration::from_secs(20)).unwrap();
        let early = gone.try_recv();
        assert_eq!(early, Err(tokio::sync::oneshot::error::TryRecvError::Empty));
        go_on.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap().unwrap_err();
    }
}
