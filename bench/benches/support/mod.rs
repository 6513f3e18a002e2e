//! What the benches have in common: how much effort a run is worth, and ratios that are taken in one run.

mod duel;
mod effort;

pub(crate) use duel::{Contender, Duel};
pub(crate) use effort::Effort;
