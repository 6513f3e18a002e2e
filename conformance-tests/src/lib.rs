//! The suite that certifies a transport of [`backup_tracker`].

mod harness;
mod profile;
mod proxy;

pub use harness::{Fault, Harness, Isolation, Lane, RawRecord, Start};
pub use profile::{Ability, Profile};
pub use proxy::Proxy;
