//! The Kafka transport passes every clause of the contract, over Apache Kafka: brokers of its own that it kills and restarts, or
//! the one that the environment variable `BACKUP_TRACKER_KAFKA` names (`127.0.0.1:9092`), on the loopback interface.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

#[path = "harness/broker.rs"]
mod broker;
#[path = "harness/brokers.rs"]
mod brokers;
#[path = "harness/profile.rs"]
mod profile;
#[path = "harness/proxy.rs"]
mod proxy;
#[path = "harness/single.rs"]
mod single;
#[path = "harness/topic.rs"]
mod topic;

use std::process::ExitCode;

use backup_tracker_test_servers::Kafka;
use broker::BrokerHarness;
use single::Single;

fn main() -> ExitCode {
    if let Ok(servers) = std::env::var("BACKUP_TRACKER_KAFKA") {
        return backup_tracker_conformance::main(BrokerHarness::new(Single::Running(servers)));
    }
    match Kafka::find() {
        Ok(_) => backup_tracker_conformance::main(BrokerHarness::new(Single::start().unwrap())),
        Err(missing) => backup_tracker_conformance::ignored_main("kafka on a broker", &missing.reason),
    }
}
