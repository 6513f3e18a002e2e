//! Tells the services of one application, in order and durably, when a backup or a restore begins and ends.
//!
//! One service, the **primary**, orchestrates backups and restores. The others, its **secondaries**, must pause while one
//! runs and resume when it has ended. This crate keeps them in step over a log: the primary announces each step of the
//! [`BackupState`], the secondaries follow. Each secondary keeps a durable position that it moves *only when the
//! application is Ready*, so a restarted secondary either begins in Ready or re-reads exactly the operation that is still
//! running.
//!
//! This crate holds the protocol and knows no broker. A transport is a [`Sink`] and an [`EventSource`]; each has a crate
//! of its own.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use backup_tracker::{BackupTracker, PrimaryBackupTracker, SecondaryBackupTracker};
//! use backup_tracker_memory::MemoryLog;
//!
//! let log = MemoryLog::new("backups")?;
//!
//! let secondary = SecondaryBackupTracker::builder("shop", log.source("search")?)
//!     .on_change(|change, _tracker| println!("{}", change.transition))
//!     .build()?;
//! let gate = secondary.gate();
//! let worker = tokio::spawn(async move {
//!     // An error once the secondary has ended.
//!     while let Ok(_permit) = gate.enter().await {
//!         tokio::task::yield_now().await; // a piece of work
//!     }
//! });
//!
//! let primary = PrimaryBackupTracker::builder("shop", log.sink()).build()?;
//! primary.startup_complete().await?;
//! primary.backup(async { std::fs::read_dir(".").map(drop) }).await?;
//! # primary.close().await?;
//! # secondary.close().await?;
//! # worker.await?;
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! | you want to | look at |
//! |---|---|
//! | announce | [`PrimaryBackupTracker`], above all its [`backup`](PrimaryBackupTracker::backup) |
//! | follow | [`SecondaryBackupTracker`] |
//! | hold work back while an operation runs | [`WorkGate`]; in a test [`GateKeeper`] |
//! | be called | [`Listener`], [`Change`] |
//! | test a service without a broker | [`SimpleBackupTracker`], or both trackers over `backup-tracker-memory` |
//! | write a transport | the contracts of [`Sink`] (K1 to K7) and [`EventSource`] (S1 to S16), [`transport`], `backup-tracker-conformance` |
//! | know at 3 a.m. what it does | [`metrics`], an optional feature |
//! | only look at a log | [`Applier`] and [`Backlog`], the rules of a secondary without the rest of it |
//! | speak to services in other languages | [`wire`] |
//!
//! # The contract of the trackers
//!
//! - **T1** Only the own application's events have an effect. All applications may share one log.
//! - **T2** On an event that leads to Ready: commit, then apply, then listeners. The other order is
//!   [`CommitOrder::ListenersFirst`]. In both, a commit never covers a step whose listeners have not returned, except, in the
//!   first, the Ready for which it is made. So after a crash every other step is told again that was not told to the end.
//! - **T3** Nothing is ever committed while the own application is not Ready. While it is Ready, events of other
//!   applications may be committed, now and then, so that a quiet application does not re-read a busy log.
//! - **T4** Since only Ready is ever committed, a resumed session starts in Ready, not in Starting.
//! - **T5** The primary is the authority. A secondary adopts the target of every legal step, also when it missed one
//!   before; it reports the gap ([`Change::missed`]) and converges. A step that the table forbids is refused, counted and
//!   logged. A primary that restarts begins in Starting, so its first step is a gap to a secondary that knew better.
//! - **T6** A record that cannot be decoded is skipped, counted and logged; never fatal.
//! - **T7** A primary announces first and changes its own state after. If the beginning of an operation is given up and its
//!   outcome is unknown, the primary announces a return to Ready before anything else. The end of an operation of its own that
//!   is given up is announced before anything else, too. Both are retried in the background.
//! - **T8** A listener that fails or panics is reported and does not stop the others. Listeners see every step of the
//!   session, in order, but for those that are [passed over](Change::passed_over): because listeners were still busy, or because a
//!   Ready could not be committed before the next step came.
//! - **T9** A secondary never dies silently: [`Health`], [`SecondaryBackupTracker::closed`]. Trouble is retried forever with
//!   back-off, also that with a [cause](Error::cause), unless [`give_up_on`](SecondaryBuilder::give_up_on) sets a limit.
//! - **T10** [`SecondaryBackupTracker::synced`] returns once everything that the log held at opening has been applied;
//!   until then the gate is shut.
//! - **T11** A retry keeps the event's id; a secondary applies an id once, however often the log holds it. It remembers the
//!   newest 4,096 ids of its application in a session, until the log is lost.
//! - **T12** State and gate wait for nothing but the log. A listener that does not return shows in health and metrics; a step
//!   to Ready waits for it once, for 1 s and with the gate still shut. A commit that is not due now, and a count when everything
//!   is read, are given up after 1 s in favour of reading, and tried again. Only the commit of a Ready comes before the opening
//!   of the gate.
//! - **T13** A service can choose to be shut after it was out of contact for a time:
//!   [`shut_gate_after_silence`](SecondaryBuilder::shut_gate_after_silence).
//! - **T14** After a loss (S12) the gate is shut until a step says where the application is, unless
//!   [`open_gate_after_loss`](SecondaryBuilder::open_gate_after_loss) says otherwise. An operation that was running counts as
//!   running until then.
//! - **F1** An end names the operation that it ends ([`BackupTransition::operation`]). A secondary in whose log another operation
//!   runs skips it, counts it and logs it. What was begun on top of each other is over when all of it is; a beginning from
//!   Starting, of a primary that begins anew, and an end that names none are the authority on whatever ran.
//!
//! # When things fail
//!
//! *The broker cannot be reached.* A primary's call is tried again for as long as its [`RetryPolicy`] says, then the caller
//! gets the error. A secondary keeps state and gate as they are, retries forever, and shows it in its health.
//!
//! *Clean shutdown.* [`BackupTracker::close`] and [`SecondaryBackupTracker::close`]. Neither announces nor commits anything,
//! except that a primary announces what is pending (T7). The gate of a tracker that has ended is shut for good, and who waits
//! to enter it gets an error. Dropping the last handle of a secondary is as good as killing it.
//!
//! *A process is killed.* A secondary loses nothing: it begins again behind the last Ready. What it may see twice are
//! the steps since then, as [`Change::replay`]. A primary that is killed in the middle of an operation leaves its secondaries
//! paused; the next primary of the application ends that with
//! [`startup_complete`](BackupTracker::startup_complete).

mod erased;
mod error;
mod event;
mod gate;
mod health;
pub mod listener;
pub mod metrics;
mod protocol;
mod retry;
mod secret;
mod sink;
mod source;
mod state;
mod tracker;
mod transition;
pub mod transport;
pub mod wire;

pub use erased::{BoxSink, BoxSource, BoxTracker};
pub use error::{BoxError, Delivery, Error, ErrorKind, Result};
pub use event::{Event, Header, Position, Record};
pub use gate::{GateKeeper, GateState, OwnedPermit, Permit, WorkGate};
pub use health::Health;
pub use listener::{Change, Listener, Notice};
pub use protocol::applier::{Applied, Applier, Skip};
pub use protocol::backlog::Backlog;
pub use protocol::secondary::CommitOrder;
pub use retry::{RetryPolicy, Waits};
pub use secret::Secret;
pub use sink::Sink;
pub use source::{EventSource, Remaining, StartAt};
pub use state::{BackupState, UnknownState};
pub use tracker::{
    BackupTracker, PrimaryBackupTracker, PrimaryBuilder, SecondaryBackupTracker, SecondaryBuilder,
    SecondaryStats, SimpleBackupTracker, SimpleBuilder, WorkError,
};
pub use transition::BackupTransition;
pub use wire::WireFormat;
