//! `backup-tracker watch` against a mock cluster.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bench;
mod ending;
mod events;
#[path = "../commands/forks.rs"]
mod forks;
mod hooks;
mod http;
mod limits;
#[path = "../commands/lines.rs"]
mod lines;
mod misuse;
mod printing;
#[path = "../commands/process.rs"]
mod process;
mod sidecar;
