//! Starting processes beside mock brokers that go down.
//!
//! Until it runs its program, a new process has a copy of each socket of this one. A mock broker that goes down binds its port
//! anew at once, and aborts all tests where such a copy still holds it. So neither happens during the other.

#![allow(dead_code, reason = "each test program uses a part")]

use std::process::{Child, Command, Output};
use std::sync::{PoisonError, RwLock};

use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::DefaultProducerContext;

static FORKS: RwLock<()> = RwLock::new(());

/// Starts a process. It runs its program when this returns.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _forking = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// Runs a process to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    let _forking = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    command.output().unwrap()
}

/// The only broker of the cluster goes down.
pub(crate) fn broker_down(mock: &MockCluster<'_, DefaultProducerContext>) {
    let _nobody_forks = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    mock.broker_down(1).unwrap();
}
