//! A producer that does not get through is replaced when another one would (K6).
//!
//! librdkafka heals most of what happens to a producer, and then it is the better one: what it writes after a time-out makes the
//! broker refuse what is still on its way. Some states it never leaves: it goes by a topic that was deleted and created again with
//! lower leader epochs, it remembers a refusal, its password is not the one that is right now. A new one is made where an earlier
//! event failed or the broker refused this client, never for a send that is merely slow.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use backup_tracker::{Delivery, Error, Event, Result};
use tokio::time::timeout;

use crate::blocking::Deadline;
use crate::delivery::settled;
use crate::sink::KafkaSink;

/// How long a producer that is in doubt has for an event before a new one is made, unless the whole send has little more.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it has from when the new one is ready.
const GRACE: Duration = Duration::from_secs(1);
/// How long a producer may take to end. It takes 100 to 600 ms.
const END: Duration = Duration::from_secs(5);

type Sending = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// An event on its way by the producer that is in doubt, or why it failed.
pub(crate) enum Attempt {
    UnderWay(Sending),
    Failed(Error),
}

impl Attempt {
    /// Whether the event is in the log. Waits for it.
    async fn succeeds(&mut self) -> bool {
        let Self::UnderWay(sending) = self else { return false };
        match sending.await {
            Ok(()) => true,
            Err(error) => {
                *self = Self::Failed(error);
                false
            }
        }
    }

    async fn succeeds_within(&mut self, time: Duration) -> bool {
        timeout(time, self.succeeds()).await.unwrap_or(false)
    }

    fn error(self) -> Option<Error> {
        match self {
            Self::UnderWay(_) => None,
            Self::Failed(error) => Some(error),
        }
    }

    fn delivery(&self) -> Delivery {
        match self {
            Self::UnderWay(_) => Delivery::Unknown,
            Self::Failed(error) => error.delivery(),
        }
    }
}

impl KafkaSink {
    pub(crate) fn attempt(&self, event: &Event) -> Attempt {
        Attempt::UnderWay(Box::pin(settled(self.place.clone(), self.queue(event))))
    }

    /// Sends by a producer that may be stuck. If a new one gets through and this one does not, the new one takes its place and
    /// sends the event.
    pub(crate) async fn send_in_doubt(
        &mut self,
        event: &Event,
        mut attempt: Attempt,
        deadline: Deadline,
    ) -> Result<()> {
        if attempt.succeeds_within(PATIENCE.min(self.send_timeout / 4)).await {
            return Ok(());
        }
        let fresh = tokio::select! {
            fresh = self.connect(deadline) => fresh,
            true = attempt.succeeds() => return Ok(()),
        };
        let fresh = match fresh {
            Ok(fresh) => fresh,
            // What keeps a new client out keeps this one out as well, and is better known.
            Err(cause) => {
                if cause.is_transient() && attempt.succeeds_within(deadline.left() + GRACE).await {
                    return Ok(());
                }
                return Err(cause.with_delivery(attempt.delivery()));
            }
        };
        let settling = self.doubt.settles_in();
        if settling > deadline.left().max(GRACE) {
            return match attempt.succeeds_within(deadline.left() + GRACE).await {
                true => Ok(()),
                false => Err(attempt.error().unwrap_or_else(|| self.unconfirmed())),
            };
        }
        if attempt.succeeds_within(settling.max(GRACE)).await {
            return Ok(());
        }
        tokio::time::sleep(self.doubt.settles_in()).await;
        tracing::warn!(
            topic = %self.place.topic,
            "the producer does not reach the topic, and a new one does; the new one takes its place"
        );
        self.retire();
        // What it still had is purged, so that there is a report about it.
        let has_come = attempt.succeeds_within(END).await;
        self.predecessor_is_gone(END).await.map_err(|error| error.with_delivery(attempt.delivery()))?;
        self.install(fresh);
        if has_come {
            return Ok(());
        }
        self.doubt.begins();
        let mut attempt = self.attempt(event);
        match attempt.succeeds_within(deadline.left().max(GRACE)).await {
            true => Ok(()),
            false => Err(attempt.error().unwrap_or_else(|| self.unconfirmed())),
        }
    }
}
