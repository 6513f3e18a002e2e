//! The commands that only read, run as programs: `status`, `history` and `wait`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod history;
mod program;
mod recordings;
mod status;
mod wait;
