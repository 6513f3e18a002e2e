//! The file transport passes every clause of the contract.

mod harness;

fn main() -> std::process::ExitCode {
    backup_tracker_conformance::main(harness::FileHarness(tempfile::tempdir().expect("a directory")))
}
