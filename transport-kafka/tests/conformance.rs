//! The Kafka transport passes every clause of the contract, over librdkafka's mock cluster. `conformance_broker` is the same over
//! Apache Kafka itself.

#[path = "harness/mock.rs"]
mod mock;
#[path = "harness/profile.rs"]
mod profile;
#[path = "harness/proxy.rs"]
mod proxy;
#[path = "harness/topic.rs"]
mod topic;

use std::process::ExitCode;

fn main() -> ExitCode {
    backup_tracker_conformance::main(mock::MockHarness)
}
