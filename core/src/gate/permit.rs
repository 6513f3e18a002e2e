//! Permission to work.

use super::WorkGate;

/// Permission to work; the gate is not [`drained`](WorkGate::drained) while it lives.
#[derive(Debug)]
#[must_use = "the permit ends when it is dropped; bind it to a name for as long as the work runs"]
pub struct Permit<'a> {
    pub(super) gate: &'a WorkGate,
    pub(super) shard: usize,
}

/// A [`Permit`] without a lifetime, for work that moves to another task.
#[derive(Debug)]
#[must_use = "the permit ends when it is dropped; move it into the work"]
pub struct OwnedPermit {
    pub(super) gate: WorkGate,
    pub(super) shard: usize,
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.gate.0.count_out(self.shard);
    }
}

impl Drop for OwnedPermit {
    #[inline]
    fn drop(&mut self) {
        self.gate.0.count_out(self.shard);
    }
}
