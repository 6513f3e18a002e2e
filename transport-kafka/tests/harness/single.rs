//! The suite on one broker: one for all lanes, and some that may be killed.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_tracker::Result;
use backup_tracker_conformance::{Ability, Isolation, Profile};
use backup_tracker_test_servers::Kafka;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::brokers::{Brokers, Lent};
use crate::topic::failed;

/// How many brokers there are for cases that may kill theirs. A case waits for one that is free; more of them would only wait for
/// the processor.
const KILLABLE: usize = 2;

pub(crate) enum Single {
    /// One that runs already, for all cases. It is not ours to kill.
    Running(String),
    /// One for the cases that leave it alone, and some for the others.
    Ours { shared: Box<Kafka>, killable: Arc<Killable> },
}

impl Single {
    pub(crate) fn start() -> io::Result<Self> {
        let killable = Killable { free: Mutex::default(), permits: Arc::new(Semaphore::new(KILLABLE)) };
        Ok(Self::Ours { shared: Box::new(Kafka::start()?), killable: Arc::new(killable) })
    }
}

impl Brokers for Single {
    type Lent = Broker;

    fn name(&self) -> &str {
        "kafka on a broker"
    }

    fn replicas(&self) -> u16 {
        1
    }

    fn at_once(&self) -> usize {
        Profile::DEFAULT_AT_ONCE
    }

    fn spared(&self) -> &[(Ability, &str)] {
        const NOT_OURS: &str = "the broker is not ours to end";
        const NO_USERS: &str = "these brokers know no users; the tests of a real broker withdraw permissions and renew passwords";
        match self {
            Self::Running(_) => &[
                (Ability::Kill, NOT_OURS),
                (Ability::Stop, NOT_OURS),
                (Ability::RestartOne, NOT_OURS),
                (Ability::Roll, NOT_OURS),
                (Ability::PartialBlackHole, "there may be one broker"),
                (Ability::Deny, "its permissions are not ours to withdraw"),
                (Ability::RenewsCredentials, "its users are not ours to change"),
            ],
            Self::Ours { .. } => &[
                (Ability::Roll, "there is one broker"),
                (Ability::PartialBlackHole, "there is one broker"),
                (Ability::Deny, NO_USERS),
                (Ability::RenewsCredentials, NO_USERS),
            ],
        }
    }

    async fn lend(&self, isolation: Isolation) -> Result<Broker> {
        match (self, isolation) {
            (Self::Running(servers), _) => Ok(Broker::Shared(servers.clone())),
            (Self::Ours { killable, .. }, Isolation::Own) => {
                Arc::clone(killable).take().await.map(Broker::Own)
            }
            (Self::Ours { shared, .. }, _) => Ok(Broker::Shared(shared.servers())),
        }
    }
}

pub(crate) enum Broker {
    Shared(String),
    Own(Own),
}

impl Broker {
    fn own(&self) -> Result<&Own> {
        match self {
            Self::Shared(_) => Err(failed("the broker is not this lane's own")),
            Self::Own(own) => Ok(own),
        }
    }
}

impl Lent for Broker {
    fn servers(&self) -> String {
        match self {
            Self::Shared(servers) => servers.clone(),
            Self::Own(own) => own.servers.clone(),
        }
    }

    fn kill(&self) -> io::Result<()> {
        match self {
            Self::Shared(_) => Err(io::Error::other("the broker is not this lane's own")),
            Self::Own(own) => own.kill(),
        }
    }

    async fn leader(&self, _: &str) -> Result<u16> {
        Err(failed("there is one broker"))
    }

    async fn stop(&self) -> Result<()> {
        self.own()?.elsewhere(Kafka::stop).await
    }

    async fn restart_one(&self, _: &str) -> Result<()> {
        self.own()?.elsewhere(|broker| broker.stop().and_then(|()| broker.restart())).await
    }

    async fn roll(&self) -> Result<()> {
        Err(failed("there is one broker"))
    }

    async fn restart(&self) -> Result<()> {
        match self {
            Self::Shared(_) => Ok(()),
            Self::Own(own) => own.elsewhere(Kafka::restart).await,
        }
    }
}

pub(crate) struct Killable {
    free: Mutex<Vec<Kafka>>,
    permits: Arc<Semaphore>,
}

impl Killable {
    /// A broker that nobody else uses, as long as this is kept.
    async fn take(self: Arc<Self>) -> Result<Own> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(failed)?;
        let free = lock(&self.free).pop();
        let broker = match free {
            Some(broker) => broker,
            None => tokio::task::spawn_blocking(start_killable).await.map_err(failed)?.map_err(failed)?,
        };
        let servers = broker.servers();
        Ok(Own { broker: Arc::new(Mutex::new(Some(broker))), servers, home: self, _permit: permit })
    }
}

/// One that is soon back: while its former life is taken to go on, a broker that restarts is refused.
fn start_killable() -> io::Result<Kafka> {
    let builder = Kafka::builder().property("broker.session.timeout.ms", "1500");
    builder.property("broker.heartbeat.interval.ms", "200").start()
}

pub(crate) struct Own {
    /// Empty after the end of this.
    broker: Arc<Mutex<Option<Kafka>>>,
    servers: String,
    home: Arc<Killable>,
    _permit: OwnedSemaphorePermit,
}

impl Own {
    fn kill(&self) -> io::Result<()> {
        lock(&self.broker).as_mut().map_or(Ok(()), Kafka::kill)
    }

    /// Works on the broker without holding up the runtime.
    async fn elsewhere(&self, work: fn(&mut Kafka) -> io::Result<()>) -> Result<()> {
        let broker = Arc::clone(&self.broker);
        let working = tokio::task::spawn_blocking(move || lock(&broker).as_mut().map_or(Ok(()), work));
        working.await.map_err(failed)?.map_err(failed)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // One that a failed case left dead is of no use to the next.
        if let Some(broker) = lock(&self.broker).take_if(|broker| broker.id().is_some()) {
            lock(&self.home.free).push(broker);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
