//! A Kafka broker inside this process: librdkafka's mock cluster, which speaks the protocol on a port of its own.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use backup_tracker_kafka::rdkafka::error::KafkaResult;
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::DefaultProducerContext;
use tokio::sync::oneshot;

use super::trouble::Trouble;

/// For how long it outlives its handle: clients close in the background, and would complain if it were gone.
const GRACE: Duration = Duration::from_secs(1);

/// A cluster of one broker. It ends soon after this is dropped.
///
/// It lives on a thread of its own: its handle must not leave the thread that made it, and nobody needs to wait for its end.
#[derive(Debug)]
pub(super) struct Cluster {
    servers: String,
    _life: mpsc::Sender<()>,
}

impl Cluster {
    /// Starts it, with this topic, of one partition.
    pub(super) async fn start(topic: &'static str) -> Result<Self, Trouble> {
        let (started, servers) = oneshot::channel();
        let (life, end) = mpsc::channel();
        let host = move || match start(topic) {
            Ok(cluster) => {
                let _nobody_waits = started.send(Ok(cluster.bootstrap_servers()));
                // The only message is that the sender is gone.
                let _gone = end.recv();
                std::thread::sleep(GRACE);
            }
            Err(error) => {
                let _nobody_waits = started.send(Err(error));
            }
        };
        std::thread::Builder::new().name("broker".to_owned()).spawn(host).map_err(Trouble::Thread)?;
        match servers.await {
            Ok(servers) => Ok(Self { servers: servers.map_err(Trouble::Broker)?, _life: life }),
            Err(_gone) => Err(Trouble::Thread(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// The address that clients connect to.
    pub(super) fn servers(&self) -> &str {
        &self.servers
    }
}

fn start(topic: &str) -> KafkaResult<MockCluster<'static, DefaultProducerContext>> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic(topic, 1, 1)?;
    Ok(cluster)
}
