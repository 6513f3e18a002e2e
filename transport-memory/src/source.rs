//! The reading half.

use std::fmt;
use std::sync::Arc;

use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind, EventSource, Record, Remaining, Result};
use tokio::sync::watch;

use crate::log::{Shared, unavailable};
use crate::state::{Cursor, Found};

const CLAIM: &str = "claim the group";

/// Reads a [`MemoryLog`](crate::MemoryLog), for a group or without one. Made by
/// [`MemoryLog::source`](crate::MemoryLog::source) and [`MemoryLog::observer`](crate::MemoryLog::observer).
pub struct MemorySource {
    shared: Arc<Shared>,
    changed: watch::Receiver<()>,
    place: Place,
    /// Behind the last record that `next` returned.
    cursor: Cursor,
    resumed: bool,
}

impl MemorySource {
    pub(crate) fn new(shared: Arc<Shared>, place: Place, cursor: Cursor, resumed: bool) -> Self {
        Self { changed: shared.changed.subscribe(), shared, place, cursor, resumed }
    }

    /// Looks once. `None`: there is nothing yet.
    fn look(&mut self) -> Option<Result<Option<Record>>> {
        // Before looking, so that a change between looking and waiting wakes the wait.
        self.changed.mark_unchanged();
        let found = {
            let state = self.shared.state();
            state.available.then(|| state.read(self.cursor))
        };
        match found {
            None => Some(Err(self.unavailable("read"))),
            Some(Found::Record(record, behind)) => {
                self.cursor = behind;
                Some(Ok(Some(record)))
            }
            Some(Found::Gone(earliest)) => {
                self.cursor = earliest;
                self.resumed = false;
                let message = "the records at the position are gone; going on at the earliest";
                Some(Err(self.place.error(ErrorKind::Lost, "read", message)))
            }
            Some(Found::End) => Some(Ok(None)),
            Some(Found::Nothing) => None,
        }
    }

    fn unavailable(&self, operation: &'static str) -> Error {
        unavailable(&self.place, operation)
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
        let Some(group) = &self.place.group else { return Ok(()) };
        let done = {
            let mut state = self.shared.state();
            let available = state.available;
            if available {
                state.commit(group, self.cursor);
            }
            available
        };
        if done { Ok(()) } else { Err(self.unavailable("commit")) }
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        let Some(group) = &self.place.group else { return Ok(()) };
        let claimed = {
            let mut state = self.shared.state();
            state.available.then(|| state.claim(group, application))
        };
        match claimed {
            None => Err(self.unavailable(CLAIM)),
            Some(Ok(())) => Ok(()),
            Some(Err(owner)) => Err(self.place.claimed_by(CLAIM, &owner, application, None)),
        }
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        let remaining = {
            let state = self.shared.state();
            state.available.then(|| state.remaining(self.cursor))
        };
        remaining.map(Remaining::from).ok_or_else(|| self.unavailable("ask how much remains"))
    }
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySource")
            .field("topic", &self.place.topic)
            .field("group", &self.place.group)
            .field("offset", &self.cursor.offset)
            .field("resumed", &self.resumed)
            .finish_non_exhaustive()
    }
}
