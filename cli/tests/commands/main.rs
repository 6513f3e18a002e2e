//! The commands, run as programs on a mock cluster.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod doctor;
mod history;
mod interface;
mod lines;
mod process;
mod program;
mod ready;
mod recordings;
mod run;
mod signals;
mod started;
mod status;
mod wait;
