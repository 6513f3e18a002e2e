//! The gate that work passes through, and that is shut while a backup or a restore runs.

mod changes;
mod keeper;
mod permit;
mod shared;

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use shared::{Look, Shared};

pub use keeper::GateKeeper;
pub use permit::{OwnedPermit, Permit};

/// A gate around pieces of work: open while work may begin, shut while it may not.
///
/// Take a [`Permit`] around each piece of work. While the gate is shut, [`enter`](Self::enter) waits; when it is shut and no
/// permit is out, [`drained`](Self::drained) says so: then nothing runs, and nothing will begin.
///
/// Each tracker has one and moves it: [`SecondaryBackupTracker::gate`](crate::SecondaryBackupTracker::gate). Nobody else
/// can. When the tracker ends, its gate is shut for good, and who waits for it gets the reason as an error. A test that
/// wants a gate without a tracker takes that of a [`GateKeeper`]:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> backup_tracker::Result<()> {
/// use backup_tracker::GateKeeper;
///
/// let keeper = GateKeeper::new();
/// let gate = keeper.gate();
/// let permit = gate.enter().await?;
/// keeper.shut();
/// assert!(gate.try_enter().is_none());
/// drop(permit);
/// gate.drained().await;
/// # Ok(()) }
/// ```
///
/// Cheap to clone; the clones are the same gate. An open gate costs one addition and one subtraction on a counter that
/// tasks of other threads seldom share. At a shut gate, a task that waits is woken only when the gate opens or ends: neither
/// other tasks that come, nor refusals of [`try_enter`](Self::try_enter), nor permits that come back wake it.
// What every permit passes through is marked `inline`: without link-time optimisation its caller would make a call for each
// step otherwise, which costs more than the counting.
#[derive(Clone)]
pub struct WorkGate(Arc<Shared>);

/// What a gate lets happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GateState {
    /// Work may begin.
    Open,
    /// No work may begin until the gate opens.
    Shut,
    /// Shut for good: its tracker has ended, and no work may begin any more.
    Ended,
}

impl WorkGate {
    /// Whether work may begin now. The answer may be old by the time it is used: to work, take a permit.
    #[must_use]
    #[inline]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// The state now, which may be old by the time it is used.
    #[must_use]
    pub fn state(&self) -> GateState {
        self.0.state()
    }

    /// Waits until the gate is open, and takes a permit.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) once the gate is shut for good, at once and for those who wait already. The
    /// message says why; what ended the tracker is the [`source`](std::error::Error::source).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future has taken no permit, and there is no queue in which a place could be lost.
    #[inline]
    pub async fn enter(&self) -> Result<Permit<'_>> {
        let shard = self.wait_to_enter().await?;
        Ok(Permit { gate: self, shard })
    }

    /// As [`enter`](Self::enter), with a permit that can move to another task.
    ///
    /// # Errors
    ///
    /// As for [`enter`](Self::enter).
    ///
    /// # Cancel safety
    ///
    /// As for [`enter`](Self::enter).
    #[inline]
    pub async fn enter_owned(&self) -> Result<OwnedPermit> {
        let shard = self.wait_to_enter().await?;
        Ok(OwnedPermit { gate: self.clone(), shard })
    }

    /// Takes a permit if the gate is open now.
    #[must_use]
    #[inline]
    pub fn try_enter(&self) -> Option<Permit<'_>> {
        self.0.count_in().map(|shard| Permit { gate: self, shard })
    }

    /// As [`try_enter`](Self::try_enter), with a permit that can move to another task.
    #[must_use]
    #[inline]
    pub fn try_enter_owned(&self) -> Option<OwnedPermit> {
        self.0.count_in().map(|shard| OwnedPermit { gate: self.clone(), shard })
    }

    /// Waits until the gate is shut and no permit is out. By the time the caller acts on it the gate may be open again.
    ///
    /// Where the gate opens before that, this waits for the next time. A listener that must not wait so long asks for
    /// [`drained_or_open`](Self::drained_or_open). A gate that is shut for good drains, too.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained(&self) {
        self.0.observe(|gate| (gate.look() == Look::Drained).then_some(())).await;
    }

    /// Waits until the gate is shut and no permit is out (`true`), or it is open (`false`).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained_or_open(&self) -> bool {
        let drained = |gate: &Shared| match gate.look() {
            Look::Drained => Some(true),
            Look::Open => Some(false),
            Look::Busy => None,
        };
        self.0.observe(drained).await
    }

    /// Waits until the gate is open, without entering. By the time the caller acts on it the gate may be shut again.
    ///
    /// # Errors
    ///
    /// As for [`enter`](Self::enter).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn opened(&self) -> Result<()> {
        if let Some(answer) = self.0.answer() {
            return answer;
        }
        let _waiting = self.0.waiters.one();
        self.0.wait_at_the_door(Shared::answer).await
    }

    /// Waits until the gate is shut, for now or for good. Work may still run: [`drained`](Self::drained) waits for it, too.
    /// By the time the caller acts on it the gate may be open again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn shut(&self) {
        self.0.observe(|gate| (!gate.is_open()).then_some(())).await;
    }

    #[inline]
    async fn wait_to_enter(&self) -> Result<usize> {
        loop {
            if let Some(shard) = self.0.count_in() {
                return Ok(shard);
            }
            self.opened().await?;
        }
    }
}

impl fmt::Debug for WorkGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkGate").field("state", &self.state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
