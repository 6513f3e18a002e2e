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
#[path = "../harness/proxy.rs"]
mod proxy;
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "ssl")]
mod captured;
mod claim;
mod healing;
mod late;
mod log;
mod moving;
mod partitions;
#[cfg(feature = "ssl")]
mod renewed;
mod restart;
mod retention;
#[cfg(feature = "ssl")]
mod secured;
#[cfg(feature = "ssl")]
mod security;
#[cfg(feature = "ssl")]
mod withdrawn;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};

use backup_tracker_test_servers::KafkaCluster;
use cases::Broker;

/// What cases share, each for the first that needs it.
#[derive(Default)]
struct Shared {
    broker: OnceLock<Broker>,
    cluster: OnceLock<Arc<Mutex<KafkaCluster>>>,
    #[cfg(feature = "ssl")]
    secured: OnceLock<Arc<secured::Secured>>,
}

impl Shared {
    fn servers(&self) -> String {
        self.broker.get_or_init(|| Broker::start().unwrap()).servers()
    }

    /// Three brokers, which cases may restart.
    fn cluster(&self) -> Arc<Mutex<KafkaCluster>> {
        Arc::clone(self.cluster.get_or_init(|| Arc::new(Mutex::new(KafkaCluster::start(3).unwrap()))))
    }

    #[cfg(feature = "ssl")]
    fn secured(&self) -> &Arc<secured::Secured> {
        self.secured.get_or_init(|| Arc::new(secured::Secured::start()))
    }
}

fn main() -> ExitCode {
    #[cfg(feature = "ssl")]
    captured::begin();
    let all = [
        // The longest first; it waits for most of its time.
        retention::CASES,
        restart::CASES,
        healing::CASES,
        healing::any::CASES,
        log::CASES,
        late::CASES,
        claim::CASES,
        moving::CASES,
        partitions::CASES,
        #[cfg(feature = "ssl")]
        security::CASES,
        #[cfg(feature = "ssl")]
        withdrawn::CASES,
        #[cfg(feature = "ssl")]
        renewed::CASES,
    ];
    cases::run(|| Ok(Arc::new(Shared::default())), 4, &all)
}
