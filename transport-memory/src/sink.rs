//! The writing half.

use std::fmt;
use std::sync::Arc;

use backup_tracker::{Delivery, Error, ErrorKind, Event, Result, Sink};

use crate::log::Shared;

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
        let size = event.size();
        let limit = self.shared.max_event_bytes;
        if size > limit {
            let message = format!("the event has {size} bytes, and the log takes {limit}");
            return Err(self.refused(ErrorKind::Rejected, message));
        }
        self.shared.change(|state| {
            if state.ended {
                return Err(self.refused(ErrorKind::Lost, "the log has ended"));
            }
            if !state.available {
                let error = self.shared.unavailable(SEND);
                return Err(error.with_delivery(Delivery::NotSent));
            }
            let failure = state.failures.pop_front();
            if failure != Some(Delivery::NotSent) {
                state.append(Some(event.key), event.headers.clone(), Some(event.payload.clone()));
            }
            match failure {
                None => Ok(()),
                Some(delivery) => Err(self
                    .shared
                    .error(ErrorKind::Unavailable, SEND, "this send was made to fail")
                    .with_delivery(delivery)),
            }
        })
    }

    fn refused(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.shared.error(kind, SEND, message).with_delivery(Delivery::NotSent)
    }
}

impl Sink for MemorySink {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.append(event)
    }

    async fn close(self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySink").field("topic", &self.shared.topic).finish_non_exhaustive()
    }
}
