//! What becomes of each error that a broker can answer with: librdkafka's mock cluster answers so, and the tables in the crate's
//! documentation show what came of it.
//!
//! `BACKUP_TRACKER_WRITE_TABLES=1 cargo test -p backup-tracker-kafka --test answers` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::future_not_send,
    reason = "these are the tests' own steps, and a mock stays on its thread"
)]

mod codes;
mod reading;
mod sending;
#[path = "../support/mod.rs"]
mod support;
mod table;
