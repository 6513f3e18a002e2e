//! Tells the services of one application, in order and durably, when a backup or a restore begins and ends.

mod erased;
mod error;
mod event;
mod gate;
mod health;
pub mod listener;
mod protocol;
mod retry;
mod sink;
mod source;
mod state;
mod tracker;
mod transition;
pub mod wire;

pub use erased::{BoxSink, BoxSource};
pub use error::{BoxError, Delivery, Error, ErrorKind, Result};
pub use event::{Event, Header, Position, Record};
pub use gate::{OwnedPermit, Permit, WorkGate};
pub use health::Health;
pub use listener::{Change, Listener};
pub use protocol::secondary::CommitOrder;
pub use retry::RetryPolicy;
pub use sink::Sink;
pub use source::EventSource;
pub use state::{BackupState, UnknownState};
pub use tracker::{
    BackupTracker, PrimaryBackupTracker, PrimaryBuilder, SecondaryBackupTracker, SecondaryBuilder,
    SecondaryStats, SimpleBackupTracker, SimpleBuilder, WorkError,
};
pub use transition::BackupTransition;
pub use wire::WireFormat;
