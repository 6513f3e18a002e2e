//! The NATS transport passes every clause of the contract.

mod harness;

use std::process::ExitCode;

fn main() -> ExitCode {
    backup_tracker_conformance::main(harness::NatsHarness::start().unwrap())
}
