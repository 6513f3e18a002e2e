//! The NATS transport passes every clause of the contract.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod harness;

use std::process::ExitCode;

use backup_tracker_test_servers::Nats;

fn main() -> ExitCode {
    match Nats::find() {
        Ok(_) => backup_tracker_conformance::main(harness::NatsHarness::start().unwrap()),
        Err(missing) => backup_tracker_conformance::ignored_main("nats", &missing.reason),
    }
}
