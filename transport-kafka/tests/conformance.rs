//! The Kafka transport passes every clause of the contract: over librdkafka's mock cluster, or over the broker that the
//! environment variable `BACKUP_TRACKER_KAFKA` names (`127.0.0.1:9092`).

#[path = "harness/broker.rs"]
mod broker;
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
    match std::env::var("BACKUP_TRACKER_KAFKA") {
        Ok(servers) => backup_tracker_conformance::main(broker::BrokerHarness { servers }),
        Err(_) => backup_tracker_conformance::main(mock::MockHarness),
    }
}
