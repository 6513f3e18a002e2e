//! A sink, with bounded waits.

use std::future::Future;

use backup_tracker::{Delivery, Event, Result, Sink};

use crate::bench::{Clock, Outcome, PAUSE, PROMPT, transient};

pub(crate) struct Writer<S> {
    pub(crate) sink: S,
    clock: Clock,
}

impl<S: Sink> Writer<S> {
    pub(crate) const fn new(sink: S, clock: Clock) -> Self {
        Self { sink, clock }
    }

    /// Sends an event, which must be acknowledged.
    #[track_caller]
    pub(crate) fn send<'a>(&'a mut self, event: &'a Event) -> impl Future<Output = Outcome> + Send + 'a {
        let what = format!("sending event {}", event.key);
        self.clock.succeeds(what, self.sink.send(event))
    }

    /// Sends events one after the other; each must be acknowledged.
    pub(crate) async fn send_all(&mut self, events: &[Event]) -> Outcome {
        for event in events {
            self.send(event).await?;
        }
        Ok(())
    }

    /// Sends an event, which must be answered, one way or the other.
    #[track_caller]
    pub(crate) fn try_send<'a>(
        &'a mut self,
        event: &'a Event,
    ) -> impl Future<Output = Outcome<Result<()>>> + Send + 'a {
        let what = format!("an answer to sending event {}", event.key);
        self.clock.within(what, self.clock.patience, self.sink.send(event))
    }

    /// Sends an event until it is acknowledged, as core does: with the same id, after errors that pass. Returns whether it
    /// may be in the log more than once.
    pub(crate) async fn send_at_last(&mut self, event: &Event) -> Outcome<bool> {
        let clock = self.clock.clone();
        let mut unknown = false;
        let sending = async {
            loop {
                match self.try_send(event).await? {
                    Ok(()) => return Ok(unknown),
                    Err(error) => {
                        transient(&error)?;
                        unknown |= error.delivery() == Delivery::Unknown;
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        };
        clock.within("a send to succeed, the broker being back", clock.patience * 2, sending).await?
    }

    /// Closes the sink, promptly.
    pub(crate) async fn close(self) -> Outcome<Result<()>> {
        let Self { sink, clock } = self;
        clock.within("closing the sink", PROMPT, sink.close()).await
    }
}
