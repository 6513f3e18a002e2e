//! Starting processes beside mock brokers that go down.
//!
//! Until it runs its program, a new process has a copy of each socket of this one. A mock broker that goes down binds its port
//! anew at once, and aborts all tests where such a copy still holds it. So neither happens during the other.
//!
//! That a process was spawned is not enough: where its parent lent it the memory, the kernel lets the parent go on before it
//! closes what is not to be inherited. The last of those descriptors, which it closes in ascending order, is a pipe that is
//! waited for.

#![allow(dead_code, reason = "each test program uses a part")]

use std::fs::File;
use std::io::Read;
use std::os::fd::RawFd;
use std::process::{Child, Command, Output};
use std::sync::{PoisonError, RwLock};

use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::DefaultProducerContext;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, getrlimit};

static FORKS: RwLock<()> = RwLock::new(());

/// Starts a process. When this returns it runs its program, and has nothing of this process that it does not inherit.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _forking = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    let (ours, low) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let last = fcntl_dupfd_cloexec(&low, highest_descriptors()).unwrap();
    drop(low);
    let child = command.spawn().unwrap();
    drop(last);
    File::from(ours).read_to_end(&mut Vec::new()).unwrap();
    child
}

/// Above these nothing is opened but by [`spawn`]: the kernel gives the lowest number that is free.
fn highest_descriptors() -> RawFd {
    const SPAWNS_AT_ONCE: u64 = 64;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(4096).min(65_536);
    RawFd::try_from(limit - SPAWNS_AT_ONCE).unwrap()
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
