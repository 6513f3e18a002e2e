//! The suite on a cluster of three brokers, which it shares with the other cases of its program.

use std::io;
use std::sync::Arc;

use backup_tracker::Result;
use backup_tracker_conformance::Isolation;

use crate::brokers::{Brokers, Lent};
use crate::kafka_cluster::{Cluster, SharedCluster};
use crate::topic::failed;

pub(crate) struct Three(pub(crate) Arc<SharedCluster>);

impl Three {
    pub(crate) const NAME: &str = "kafka on a cluster of three brokers";
}

impl Brokers for Three {
    type Lent = Arc<Cluster>;

    fn name(&self) -> &str {
        Self::NAME
    }

    fn replicas(&self) -> u16 {
        3
    }

    fn at_once(&self) -> usize {
        4
    }

    fn spared(&self) -> Option<&str> {
        Some(
            "the others take over from a broker that dies; the cases behind this suite kill them, one and a majority",
        )
    }

    async fn lend(&self, _: Isolation) -> Result<Arc<Cluster>> {
        let shared = Arc::clone(&self.0);
        let cluster = tokio::task::spawn_blocking(move || shared.get()).await;
        cluster.map_err(failed)?.map_err(failed)
    }
}

impl Lent for Arc<Cluster> {
    fn servers(&self) -> String {
        Cluster::servers(self).to_owned()
    }

    fn kill(&self) -> io::Result<()> {
        Err(io::Error::other("others use these brokers"))
    }

    async fn restart(&self) -> Result<()> {
        Ok(())
    }
}
