//! What librdkafka's mock cannot show, on Apache Kafka: a broker of the tests' own, or for most of it the one that the environment
//! variable `BACKUP_TRACKER_KAFKA` names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test program without the standard harness is not seen as a test"
)]

#[path = "../harness/cases.rs"]
mod cases;
#[path = "../support/mod.rs"]
mod support;

mod log;
mod partitions;
mod retention;

use std::io;
use std::process::ExitCode;
use std::sync::OnceLock;

use cases::Broker;

/// What cases share, each for the first that needs it.
#[derive(Default)]
struct Shared {
    broker: OnceLock<Broker>,
}

impl Shared {
    fn servers(&self) -> String {
        self.broker.get_or_init(|| Broker::start().unwrap()).servers()
    }
}

fn main() -> ExitCode {
    cases::run(|| io::Result::Ok(Shared::default()), 4, &[log::CASES, partitions::CASES, retention::CASES])
}
