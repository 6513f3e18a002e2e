//! The suite that certifies a transport of [`backup_tracker`].

mod bench;
mod cases;
mod clause;
mod harness;
mod nowhere;
mod oracle;
mod profile;
mod proxy;
mod reader;
mod report;
mod run;
pub mod saboteurs;
mod scene;
mod writer;

pub use clause::Clause;
pub use harness::{Fault, Harness, Isolation, Lane, RawRecord, Start};
pub use profile::{Ability, Profile};
pub use proxy::Proxy;
pub use report::{CaseReport, Failure, Report, Verdict};
pub use run::{ignored_main, main, survey};
