//! Several brokers that are one cluster.

use std::io;

use super::builder::Node;
use super::java::Java;
use super::{Kafka, KafkaBuilder};
use crate::process;

/// Several Kafka brokers that are one cluster; each is also a controller. Topics are kept on all of them unless they say
/// otherwise, and `acks=all` asks for a majority.
#[derive(Debug)]
pub struct KafkaCluster {
    nodes: Vec<Kafka>,
}

impl KafkaCluster {
    /// Starts a cluster of so many brokers; three is the smallest that survives the loss of one.
    ///
    /// # Errors
    ///
    /// When there is no Java or no Kafka, or the brokers do not answer in time.
    pub fn start(size: usize) -> io::Result<Self> {
        Kafka::builder().start_cluster(size)
    }

    /// The bootstrap servers of all brokers, separated by commas.
    #[must_use]
    pub fn servers(&self) -> String {
        self.nodes.iter().map(Kafka::servers).collect::<Vec<_>>().join(",")
    }

    /// The brokers. The one with the number `n` in the cluster is at `n - 1`.
    #[must_use]
    pub fn nodes(&self) -> &[Kafka] {
        &self.nodes
    }

    /// The brokers, to kill and restart some of them.
    pub fn nodes_mut(&mut self) -> &mut [Kafka] {
        &mut self.nodes
    }

    /// Ends every broker in good order (`SIGTERM`), all at the same time.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn stop(&mut self) -> io::Result<()> {
        // One after the other, the last ones would wait for a majority to say goodbye to.
        self.nodes.iter().try_for_each(|node| node.process.ask_to_end())?;
        self.nodes.iter_mut().try_for_each(|node| node.process.stop())
    }

    /// Starts every broker that is down, and waits until each of them knows all the others.
    ///
    /// # Errors
    ///
    /// When they do not answer in time.
    pub fn restart(&mut self) -> io::Result<()> {
        // All at once: one alone has no majority, and would not answer.
        for node in &mut self.nodes {
            node.process.spawn()?;
        }
        let all: Vec<_> = self.nodes.iter().map(Kafka::node).collect();
        self.nodes.iter_mut().try_for_each(|node| node.wait_for(&all))
    }
}

impl KafkaBuilder {
    /// Starts a cluster of brokers with these settings.
    ///
    /// # Errors
    ///
    /// As for [`KafkaCluster::start`].
    pub fn start_cluster(&self, size: usize) -> io::Result<KafkaCluster> {
        let java = Java::find()?;
        process::on_free_ports(|| {
            let ports = (0..size).map(|_| process::free_port()).collect::<io::Result<Vec<_>>>()?;
            let nodes = (1..=size).map(|id| self.prepare(&java, &Node { id, controllers: ports.clone() }));
            let mut cluster = KafkaCluster { nodes: nodes.collect::<io::Result<_>>()? };
            cluster.restart()?;
            Ok(cluster)
        })
    }
}
