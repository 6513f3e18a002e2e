//! The changes of a gate, one after the other.

use futures_util::{Stream, StreamExt, stream};

use super::shared::Shared;
use super::{GateState, WorkGate};

impl WorkGate {
    /// The states of the gate: the current one at once, and then each one that follows. A slow reader sees the newest, and
    /// may miss some in between; it never sees the same state twice in a row. The stream ends after
    /// [`GateState::Ended`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use backup_tracker::{GateKeeper, GateState};
    /// use futures_util::StreamExt;
    ///
    /// let keeper = GateKeeper::new();
    /// let mut changes = keeper.gate().changes();
    /// assert_eq!(changes.next().await, Some(GateState::Open));
    /// keeper.shut();
    /// assert_eq!(changes.next().await, Some(GateState::Shut));
    /// drop(keeper);
    /// assert_eq!(changes.next().await, Some(GateState::Ended));
    /// assert_eq!(changes.next().await, None);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Waiting for the next state is cancel safe: a change is not lost.
    pub fn changes(&self) -> impl Stream<Item = GateState> + Send + Sync + Unpin + use<> {
        let changes = stream::unfold((self.clone(), None), |(gate, seen)| async move {
            let state = gate.state_after(seen).await?;
            Some((state, (gate, Some(state))))
        });
        Box::pin(changes.fuse())
    }

    async fn state_after(&self, seen: Option<GateState>) -> Option<GateState> {
        let other = |gate: &Shared| Some(gate.state()).filter(|state| Some(*state) != seen);
        match seen {
            Some(GateState::Ended) => None,
            // Not with those who look on: each permit that comes back would wake it.
            Some(GateState::Shut) => Some(self.0.wait_at_the_door(other).await),
            Some(GateState::Open) | None => Some(self.0.observe(other).await),
        }
    }
}
