//! The suite that certifies a transport of [`backup_tracker`], ours or anybody's.
//!
//! A transport keeps the contract that [`Sink`](backup_tracker::Sink) (K1 to K7) and
//! [`EventSource`](backup_tracker::EventSource) (S1 to S16) document, and trackers on it keep theirs (T1 to T14). Here is one
//! named case or more for every clause. The author of a transport writes a [`Harness`], which makes fresh logs, and a
//! `main` of a line:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use backup_tracker::{Result, StartAt};
//! use backup_tracker_conformance::{Ability, Fault, Harness, Isolation, Lane, Profile, RawRecord};
//! use backup_tracker_memory::{MemoryLog, MemorySink, MemorySource};
//!
//! struct MemoryHarness;
//!
//! impl Harness for MemoryHarness {
//!     type Lane = MemoryLane;
//!
//!     fn name(&self) -> &str {
//!         "memory"
//!     }
//!
//!     fn profile(&self) -> Profile {
//!         Profile::new(64 * 1024)
//!             .not_shown(Ability::Raw, "not written yet")
//!             .not_shown(Ability::Tombstones, "not written yet")
//!             .not_shown(Ability::Trim, "not written yet")
//!             .not_shown(Ability::Recreate, "not written yet")
//!             .not_shown(Ability::TellsRecreated, "not written yet")
//!             .not_shown(Ability::RecreateLive, "not written yet")
//!             .not_shown(Ability::Delete, "not written yet")
//!             .not_shown(Ability::Truncate, "not written yet")
//!             .not_shown(Ability::Observers, "not written yet")
//!             .not_shown(Ability::End, "not written yet")
//!             .not_shown(Ability::RenewsCredentials, "nobody signs in")
//!             .not_shown(Ability::Deny, "nobody needs a permission")
//!             .not_shown(Ability::Kill, "nothing runs that could be killed")
//!             .not_shown(Ability::Stop, "nothing runs that could be stopped")
//!             .not_shown(Ability::RestartOne, "nothing runs that could be restarted")
//!             .not_shown(Ability::Roll, "nothing runs that could be restarted")
//!             .not_shown(Ability::BlackHole, "there is no connection that could hang")
//!             .not_shown(Ability::PartialBlackHole, "there is no connection that could hang")
//!             .not_shown(Ability::LostAnswers, "there is no connection that could hang")
//!             .not_shown(Ability::Delay, "there is no connection that could be slow")
//!     }
//!
//!     async fn lane(&self, name: &str, _: Isolation) -> Result<MemoryLane> {
//!         MemoryLog::with_max_event_bytes(name, 64 * 1024).map(MemoryLane)
//!     }
//! }
//!
//! struct MemoryLane(MemoryLog);
//!
//! impl Lane for MemoryLane {
//!     type Sink = MemorySink;
//!     type Source = MemorySource;
//!
//!     async fn sink(&self) -> Result<MemorySink> {
//!         Ok(self.0.sink())
//!     }
//!
//!     async fn source(&self, group: &str, start: StartAt) -> Result<MemorySource> {
//!         self.0.source_from(start, group)
//!     }
//!
//!     async fn inflict(&self, _: Fault) -> Result<()> {
//!         self.0.set_available(false);
//!         Ok(())
//!     }
//!
//!     async fn heal(&self) -> Result<()> {
//!         self.0.set_available(true);
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     backup_tracker_conformance::main(MemoryHarness)
//! }
//! ```
//!
//! It is a test target without the standard harness:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! and `cargo test --test conformance` runs it, with the usual arguments: a part of a name as a filter, `--exact`, `--list`,
//! `--test-threads`. A case that fails says what was expected, what was seen, and the name of its lane, under which the log
//! can still be looked at. A report by clause comes last; a clause that no case has checked shows as such.
//!
//! # What a transport may lack
//!
//! The [`Profile`] declares it, each [`Ability`] with a reason. Cases that need it show as *ignored*, with the reason; they
//! never pass. Order, durability, replay, cancel safety and the independence of groups are no abilities, so they cannot be
//! declared away. What the transport can do and the harness cannot show is ignored, too, and kept apart: a README that tells users
//! what the transport lacks is kept true by a test of a line with [`Profile::table_row`] and [`check_row`].
//!
//! Order is compared within one application, so that a log may be partitioned by it, and within each partition that
//! [`Position`](backup_tracker::Position) names. A transport whose broker holds nothing beside a position lacks
//! [`Ability::BindsGroups`]; one that always needs a group lacks [`Ability::Observers`]; one whose live sessions cannot tell
//! that the log was recreated lacks [`Ability::RecreateLive`].
//!
//! # Faults
//!
//! Most of what goes wrong with brokers goes wrong when they are gone. A lane that is asked for with
//! [`Isolation::Proxied`] connects through a [`Proxy`], which can cut, black-hole, delay and heal any TCP connection; one with
//! [`Isolation::Own`] connects to brokers of its own that may be killed, stopped politely and started again, all at once or one after
//! the other; and one with [`Isolation::Secured`] connects as a user of its own, whose permissions are withdrawn and whose credentials
//! are renewed. Sources report silence within the time that [`Profile::with_contact_time`] declares. Each case makes sure that its fault is real: what only a broker
//! can confirm must not be confirmed meanwhile.
//!
//! # Who tests the suite
//!
//! Deliberately broken transports ([`saboteurs`]), each of which fails the case that names its fault. Run them around your
//! own harness, too: whoever is caught around the memory transport should be caught around yours.

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
mod table;
mod writer;

pub use clause::Clause;
pub use harness::{DELAY, Fault, Harness, Isolation, Lane, RawRecord};
pub use profile::{Ability, Profile};
pub use proxy::Proxy;
pub use report::{CaseReport, Failure, Report, Verdict};
pub use run::{ignored_main, main, survey};
pub use table::check_row;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
