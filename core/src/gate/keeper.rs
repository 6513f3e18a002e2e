//! The right to move a gate.

use std::fmt;
use std::sync::Arc;

use super::WorkGate;
use super::shared::Shared;
use crate::error::Error;
use crate::metrics::Waiters;

/// Moves a gate: only its keeper opens, shuts and ends it, and everybody else has the [`WorkGate`].
///
/// A tracker keeps its own gate. Make a keeper for a test of code that takes a gate, or to hold back work for reasons of
/// your own.
///
/// When the keeper is dropped, its gate is shut for good, since nobody could ever open it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> backup_tracker::Result<()> {
/// use backup_tracker::{Error, ErrorKind, GateKeeper, GateState};
///
/// let keeper = GateKeeper::new();
/// let gate = keeper.gate();
/// keeper.shut();
/// let waits = tokio::spawn({
///     let gate = gate.clone();
///     async move { gate.enter_owned().await }
/// });
/// keeper.end(Error::new(ErrorKind::Denied, "follow", "the topic may not be read"));
/// assert_eq!(gate.state(), GateState::Ended);
/// let error = waits.await.expect("it does not panic").expect_err("nobody enters any more");
/// assert_eq!(error.kind(), ErrorKind::Closed);
/// assert_eq!(error.message(), "the gate is shut for good: follow: denied: the topic may not be read");
/// # Ok(()) }
/// ```
pub struct GateKeeper(Arc<Shared>);

impl GateKeeper {
    /// The keeper of a new gate, which is open.
    #[must_use]
    pub fn new() -> Self {
        Self::with_waiters(Waiters::uncounted())
    }

    pub(crate) fn with_waiters(waiters: Waiters) -> Self {
        Self(Arc::new(Shared::new(waiters)))
    }

    /// The gate. May be called several times; it is always the same gate.
    #[must_use]
    pub fn gate(&self) -> WorkGate {
        WorkGate(Arc::clone(&self.0))
    }

    /// Lets work begin, unless the gate has ended.
    pub fn open(&self) {
        self.0.turn(true);
    }

    /// Lets no more work begin. Work that has begun is not touched; [`drained`](WorkGate::drained) waits for it.
    pub fn shut(&self) {
        self.0.turn(false);
    }

    /// Shuts the gate for good. Who waits to enter, and who comes later, gets an error of the kind
    /// [`Closed`](crate::ErrorKind::Closed) whose source is this one. The first end is the one that counts.
    pub fn end(&self, error: Error) {
        self.0.end(format!("the gate is shut for good: {error}"), Some(error));
    }
}

impl Drop for GateKeeper {
    fn drop(&mut self) {
        self.0.end("the gate is shut for good: its tracker or keeper was dropped".to_owned(), None);
    }
}

impl Default for GateKeeper {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for GateKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateKeeper").field("state", &self.0.state()).finish_non_exhaustive()
    }
}
