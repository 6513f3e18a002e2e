//! An in-process log for [`backup_tracker`]: for unit tests, for services that live in one process, and as the reference
//! of the transport contract.
//!
//! ```
//! use backup_tracker::{Event, EventSource, Sink};
//! use backup_tracker_memory::MemoryLog;
//! # use uuid::Uuid;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> backup_tracker::Result<()> {
//! let log = MemoryLog::new("backups")?;
//! let mut sink = log.sink();
//! let mut source = log.source("search")?;
//!
//! sink.send(&Event::new(Uuid::from_u128(1), "shop", "pause")).await?;
//! let record = source.next().await?.expect("the log goes on");
//! assert_eq!(record.payload.as_deref(), Some(&b"pause"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Addressing
//!
//! A [`MemoryLog`] is the topic; its name only shows in errors. Clones of it, and the sinks and sources made from it,
//! all mean the same log. A group is a name.
//!
//! # Delivery and order
//!
//! One order for everything, whatever the application. An event whose `send` returned `Ok` is in the log, and every
//! source that has not read it yet will.
//!
//! # Position
//!
//! One number for each group, kept by the log. Sessions of one group each read everything; a session that is behind never
//! moves the group's position back. A new group starts at the earliest record, or, with [`StartAt::Latest`](backup_tracker::StartAt::Latest), behind the last
//! one; either is fixed when the source is made.
//!
//! The first session that [claims](backup_tracker::EventSource::claim) a group binds it to its application, for as long as the log
//! lives, also through [`MemoryLog::trim`] and [`MemoryLog::recreate`]. A claim for another application returns an error
//! ([`Config`](backup_tracker::ErrorKind::Config)) that names both.
//!
//! # Observers
//!
//! [`MemoryLog::observer`] makes a source without a group, for whoever looks at a log or follows it. Each session begins where
//! [`StartAt`](backup_tracker::StartAt) says, and leaves nothing in the log; `commit` always succeeds, and `resumed` is false.
//!
//! # Limits
//!
//! Log and positions live as long as something holds the log: a clone of it, a sink or a source. What was sent is gone with
//! the process. Nothing is removed but by [`MemoryLog::trim`] and [`MemoryLog::recreate`]. An event may have
//! [`DEFAULT_MAX_EVENT_BYTES`], or what [`MemoryLog::with_max_event_bytes`] says.
//!
//! # Security
//!
//! None: whoever holds the log may read it and write to it.
//!
//! # Native access
//!
//! A test looks at the log with [`MemoryLog::records`], [`MemoryLog::committed`] and [`MemoryLog::application`], puts anything into it with
//! [`MemoryLog::append_raw`], and plays a broker in trouble with [`MemoryLog::set_available`],
//! [`MemoryLog::fail_next_sends`], [`MemoryLog::trim`], [`MemoryLog::recreate`] and [`MemoryLog::end`].
//!
//! # When the program ends
//!
//! There is no connection to lose but the one that [`MemoryLog::set_available`] plays. Dropping a sink or a source is a
//! clean shutdown. A killed process takes the log with it.

mod log;
mod sink;
mod source;
mod state;

pub use log::{DEFAULT_MAX_EVENT_BYTES, MemoryLog};
pub use sink::MemorySink;
pub use source::MemorySource;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
