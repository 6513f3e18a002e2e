//! The memory transport passes every clause of the contract.

mod harness;

use std::time::Duration;

fn main() -> std::process::ExitCode {
    backup_tracker_conformance::main(harness::MemoryHarness { patience: Duration::from_secs(5) })
}
