//! The reading half.

use std::fmt;
use std::sync::Arc;

use backup_tracker::{Error, ErrorKind, EventSource, Record, Result};
use tokio::sync::watch;

use crate::log::Shared;
use crate::state::{Found, Place};

/// Reads a [`MemoryLog`](crate::MemoryLog) for a group. Made by [`MemoryLog::source`](crate::MemoryLog::source).
pub struct MemorySource {
    shared: Arc<Shared>,
    changed: watch::Receiver<()>,
    group: String,
    /// Behind the last record that `next` returned.
    place: Place,
    resumed: bool,
}

impl MemorySource {
    pub(crate) fn new(shared: Arc<Shared>, group: String, place: Place, resumed: bool) -> Self {
        Self { changed: shared.changed.subscribe(), shared, group, place, resumed }
    }

    /// Looks once. `None`: there is nothing yet.
    fn look(&mut self) -> Option<Result<Option<Record>>> {
        // Before looking, so that a change between looking and waiting wakes the wait.
        self.changed.mark_unchanged();
        let found = {
            let state = self.shared.state();
            state.available.then(|| state.read(self.place))
        };
        match found {
            None => Some(Err(self.unavailable("read"))),
            Some(Found::Record(record)) => {
                self.place.offset += 1;
                Some(Ok(Some(record)))
            }
            Some(Found::Gone(place)) => {
                self.place = place;
                self.resumed = false;
                let message = "the records at the position are gone; going on at the earliest";
                let error = self.shared.error(ErrorKind::Lost, "read", message);
                Some(Err(error.with_group(&self.group)))
            }
            Some(Found::End) => Some(Ok(None)),
            Some(Found::Nothing) => None,
        }
    }

    fn unavailable(&self, operation: &'static str) -> Error {
        self.shared.unavailable(operation).with_group(&self.group)
    }
}

impl EventSource for MemorySource {
    async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(result) = self.look() {
                return result;
            }
            // The sender lives in `shared`, which this source holds.
            if self.changed.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        let done = {
            let mut state = self.shared.state();
            let available = state.available;
            if available {
                state.commit(&self.group, self.place);
            }
            available
        };
        if done { Ok(()) } else { Err(self.unavailable("commit")) }
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    async fn remaining(&mut self) -> Result<u64> {
        let remaining = {
            let state = self.shared.state();
            state.available.then(|| state.remaining(self.place))
        };
        remaining.ok_or_else(|| self.unavailable("ask how much remains"))
    }

    async fn close(self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySource")
            .field("topic", &self.shared.topic)
            .field("group", &self.group)
            .field("offset", &self.place.offset)
            .field("resumed", &self.resumed)
            .finish_non_exhaustive()
    }
}
