//! A sink, with bounded waits.

use std::future::Future;

use backup_tracker::{Event, Result, Sink};

use crate::bench::{Clock, Outcome, PROMPT};

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

    /// Closes the sink, promptly.
    pub(crate) async fn close(self) -> Outcome<Result<()>> {
        let Self { sink, clock } = self;
        clock.within("closing the sink", PROMPT, sink.close()).await
    }
}
