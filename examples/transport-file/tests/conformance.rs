//! The file transport passes every clause of the contract.

mod harness;

fn main() -> std::io::Result<std::process::ExitCode> {
    Ok(backup_tracker_conformance::main(harness::FileHarness(tempfile::tempdir()?)))
}
