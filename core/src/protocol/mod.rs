//! Every decision of the protocol, without I/O, clock, randomness or locks.
//!
//! A machine takes an input and returns effects. Its driver performs them one after the other, each to its end before the
//! next, and a crash may fall between any two: what is promised must hold at every such place. The drivers are in
//! `tracker`; the tests here explore the machines themselves.

pub(crate) mod applier;
pub(crate) mod backlog;
pub(crate) mod place;
pub(crate) mod primary;
pub(crate) mod secondary;

#[cfg(test)]
mod exploration;
#[cfg(test)]
mod two_primaries;
