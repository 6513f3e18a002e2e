//! What the trackers emit, compared with what is documented.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "whole numbers, and seconds that are computed in the same way")]

mod ends;
mod parts;
mod recorder;
mod scenario;
#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../support/mod.rs"]
mod support;
mod table;
