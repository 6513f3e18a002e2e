//! The suite on a cluster of three brokers, which it shares with the other cases of its program.

use std::io;
use std::sync::Arc;

use backup_tracker::Result;
use backup_tracker_conformance::{Ability, Isolation};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::brokers::{Brokers, Lent};
use crate::kafka_cluster::{Cluster, SharedCluster};
use crate::topic::failed;

pub(crate) struct Three {
    cluster: Arc<SharedCluster>,
    /// Held by the lanes: together, or by one alone that ends brokers.
    turns: Arc<RwLock<()>>,
}

impl Three {
    pub(crate) const NAME: &str = "kafka on a cluster of three brokers";

    pub(crate) fn new(cluster: Arc<SharedCluster>) -> Self {
        Self { cluster, turns: Arc::default() }
    }
}

impl Brokers for Three {
    type Lent = Turn;

    fn name(&self) -> &str {
        Self::NAME
    }

    fn replicas(&self) -> u16 {
        3
    }

    fn at_once(&self) -> usize {
        4
    }

    fn spared(&self) -> &[(Ability, &str)] {
        const NO_USERS: &str = "these brokers know no users; the tests of a real broker withdraw permissions and renew passwords";
        const TAKE_OVER: &str = "the others take over from a broker that dies; the cases behind this suite kill them, one and a \
                                 majority";
        const ONE_SHOWS_IT: &str =
            "the suite on a single broker stops it; with BACKUP_TRACKER_LONG=1 all three are stopped, too";
        const LONG: [(Ability, &str); 3] =
            [(Ability::Kill, TAKE_OVER), (Ability::Deny, NO_USERS), (Ability::RenewsCredentials, NO_USERS)];
        const ORDINARY: [(Ability, &str); 4] = [LONG[0], LONG[1], LONG[2], (Ability::Stop, ONE_SHOWS_IT)];
        if std::env::var_os("BACKUP_TRACKER_LONG").is_some() { &LONG } else { &ORDINARY }
    }

    async fn lend(&self, isolation: Isolation) -> Result<Turn> {
        let turns = Arc::clone(&self.turns);
        let hold = match isolation {
            Isolation::Own => Hold::Alone(turns.write_owned().await),
            _ => Hold::Together(turns.read_owned().await),
        };
        let shared = Arc::clone(&self.cluster);
        let cluster = tokio::task::spawn_blocking(move || shared.get()).await;
        let cluster = cluster.map_err(failed)?.map_err(failed)?;
        // A case that failed may have left brokers down.
        cluster.heal().await;
        Ok(Turn { cluster, hold })
    }
}

/// A lane's turn on the cluster.
pub(crate) struct Turn {
    cluster: Arc<Cluster>,
    hold: Hold,
}

enum Hold {
    Together(#[allow(dead_code, reason = "held until it is dropped")] OwnedRwLockReadGuard<()>),
    Alone(#[allow(dead_code, reason = "held until it is dropped")] OwnedRwLockWriteGuard<()>),
}

impl Turn {
    fn alone(&self) -> Result<&Cluster> {
        match self.hold {
            Hold::Together(_) => Err(failed("others use these brokers")),
            Hold::Alone(_) => Ok(&self.cluster),
        }
    }
}

impl Lent for Turn {
    fn servers(&self) -> String {
        self.cluster.servers().to_owned()
    }

    fn kill(&self) -> io::Result<()> {
        Err(io::Error::other("nobody kills all of them"))
    }

    async fn leader(&self, topic: &str) -> Result<u16> {
        let leader = self.cluster.leader(topic).await;
        Ok(self.cluster.port(leader))
    }

    async fn stop(&self) -> Result<()> {
        self.alone()?.stop_all().await;
        Ok(())
    }

    async fn restart_one(&self, topic: &str) -> Result<()> {
        let cluster = self.alone()?;
        let leader = cluster.leader(topic).await;
        cluster.roll([leader]).await;
        Ok(())
    }

    async fn roll(&self) -> Result<()> {
        self.alone()?.roll([1, 2, 3]).await;
        Ok(())
    }

    async fn restart(&self) -> Result<()> {
        match self.hold {
            Hold::Together(_) => {}
            Hold::Alone(_) => self.cluster.heal().await,
        }
        Ok(())
    }
}
