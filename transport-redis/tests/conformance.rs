//! The Redis transport passes every clause of the contract.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod harness;

use std::process::ExitCode;

fn main() -> ExitCode {
    match harness::RedisHarness::start() {
        Ok(harness) => backup_tracker_conformance::main(harness),
        Err(missing) => backup_tracker_conformance::ignored_main("redis", &missing.reason),
    }
}
