//! A secondary over a source that fails as it is told, and with listeners that take their time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod backoff;
mod busy;
mod ends;
mod faulty;
mod losses;
mod notices;
mod opening;
mod places;
mod span;
mod stuck;
