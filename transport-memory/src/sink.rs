//! The writing half.

use std::fmt;
use std::sync::Arc;

use backup_tracker::{Delivery, ErrorKind, Event, Result, Sink};

use crate::log::{Shared, unavailable};

const SEND: &str = "send";

/// Appends to a [`MemoryLog`](crate::MemoryLog). Made by [`MemoryLog::sink`](crate::MemoryLog::sink).
///
/// A send is done at the first poll: it never waits.
pub struct MemorySink {
    shared: Arc<Shared>,
}

impl MemorySink {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn append(&self, event: &Event) -> Result<()> {
        let place = &self.shared.place;
        event.check_size(self.shared.max_event_bytes).map_err(|error| error.with_topic(&*place.topic))?;
        self.shared.change(|state| {
            if state.ended {
                let error = place.error(ErrorKind::Lost, SEND, "the log has ended");
                return Err(error.with_delivery(Delivery::NotSent));
            }
            if !state.available {
                return Err(unavailable(place, SEND).with_delivery(Delivery::NotSent));
            }
            let failure = state.failures.pop_front();
            if failure != Some(Delivery::NotSent) {
                state.append(Some(event.key), event.headers.clone(), Some(event.payload.clone()));
            }
            match failure {
                None => Ok(()),
                Some(delivery) => Err(place
                    .error(ErrorKind::Unavailable, SEND, "this send was made to fail")
                    .with_delivery(delivery)),
            }
        })
    }
}

impl Sink for MemorySink {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.append(event)
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySink").field("topic", &self.shared.place.topic).finish_non_exhaustive()
    }
}
