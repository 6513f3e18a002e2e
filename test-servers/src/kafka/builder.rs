//! What a test says about a broker before it starts.

use std::io;
use std::process::{Command, Stdio};

use super::java::Java;
use super::{Kafka, Listener};
use crate::process::{self, Process};

/// The same for all: a cluster's brokers must agree, and nobody else hears of it.
const CLUSTER_ID: &str = "backup-tracker-test-00";
const PLAINTEXT: &str = "PLAINTEXT";
const CONTROLLER: &str = "CONTROLLER";

/// A broker that is small and starts fast, and forgets nothing that a test wants to see.
const PROPERTIES: [(&str, &str); 19] = [
    ("process.roles", "broker,controller"),
    ("controller.listener.names", CONTROLLER),
    ("inter.broker.listener.name", PLAINTEXT),
    // A client must not create a topic by looking for it, so the broker is one that would.
    ("auto.create.topics.enable", "true"),
    ("offsets.topic.num.partitions", "3"),
    ("transaction.state.log.num.partitions", "3"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    // A broker that was killed and comes back is refused until its former life has expired, and in a cluster the others wait as
    // long until they take over; but a busy machine must not make a living one expire.
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "300"),
    ("controller.quorum.election.timeout.ms", "500"),
    ("controller.quorum.fetch.timeout.ms", "2000"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    ("num.replica.fetchers", "1"),
    ("background.threads", "2"),
    ("num.recovery.threads.per.data.dir", "1"),
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    ("log.index.size.max.bytes", "1048576"),
];

/// Settings of a [`Kafka`] or a [`KafkaCluster`](super::KafkaCluster).
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `start`"]
pub struct KafkaBuilder {
    properties: Vec<(String, String)>,
    /// Name and protocol.
    listeners: Vec<(String, String)>,
    format: Vec<String>,
}

/// The place of a broker among others.
pub(super) struct Node {
    pub(super) id: usize,
    /// The ports of all controllers, this one's among them.
    pub(super) controllers: Vec<u16>,
}

impl KafkaBuilder {
    /// One more property, as it would stand in `server.properties`. It wins over this crate's.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// One more listener of this name and protocol (`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT`, `SASL_SSL`), on a free port of the
    /// loopback interface: see [`Kafka::port_of`].
    pub fn listener(mut self, name: impl Into<String>, protocol: impl Into<String>) -> Self {
        self.listeners.push((name.into(), protocol.into()));
        self
    }

    /// A user with a password, for SCRAM of this mechanism: `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub fn scram_user(mut self, mechanism: &str, name: &str, password: &str) -> Self {
        self.format.push("--add-scram".to_owned());
        self.format.push(format!("{mechanism}=[name={name},password={password}]"));
        self
    }

    /// Starts a broker.
    ///
    /// # Errors
    ///
    /// When there is no Java or no Kafka, or the broker does not answer in time.
    pub fn start(&self) -> io::Result<Kafka> {
        let java = Java::find()?;
        process::on_free_ports(|| {
            let node = Node { id: 1, controllers: vec![process::free_port()?] };
            let mut broker = self.prepare(&java, &node)?;
            broker.restart()?;
            Ok(broker)
        })
    }

    pub(super) fn prepare(&self, java: &Java, node: &Node) -> io::Result<Kafka> {
        let folder = tempfile::Builder::new().prefix("kafka-").tempdir()?;
        let port = process::free_port()?;
        let mut listeners = vec![Listener::new(PLAINTEXT, PLAINTEXT, port)];
        for (name, protocol) in &self.listeners {
            listeners.push(Listener::new(name, protocol, process::free_port()?));
        }
        let config = folder.path().join("server.properties");
        let data = folder.path().join("data");
        process::write(&config, &self.properties(node, &listeners, &data.display().to_string()))?;

        let mut format = Command::new(&java.binary.path);
        format.args(java.arguments("kafka.tools.StorageTool"));
        format.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(&config).args(&self.format);
        let output = format.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            return Err(io::Error::other(format!("the broker's folder was not prepared: {said}")));
        }

        let mut arguments = java.arguments("kafka.Kafka");
        arguments.push(config.into());
        let process = Process::new(java.binary.path.clone(), arguments, folder.path().join("log"));
        Ok(Kafka { process, folder, port, id: node.id, listeners, java: java.clone() })
    }

    fn properties(&self, node: &Node, listeners: &[Listener], data: &str) -> String {
        let replicas = node.controllers.len().to_string();
        let voters = node.controllers.iter().enumerate();
        let voters = voters.map(|(index, port)| format!("{}@127.0.0.1:{port}", index + 1));
        let controller = Listener::new(CONTROLLER, PLAINTEXT, node.controllers[node.id - 1]);
        let join = |parts: Vec<String>| parts.join(",");
        let clients = || listeners.iter().map(Listener::address);
        let all = || listeners.iter().chain([&controller]);
        let computed = [
            ("node.id", node.id.to_string()),
            ("controller.quorum.voters", join(voters.collect())),
            ("listeners", join(all().map(Listener::address).collect())),
            ("advertised.listeners", join(clients().collect())),
            ("listener.security.protocol.map", join(all().map(Listener::mapping).collect())),
            ("log.dirs", data.to_owned()),
            ("default.replication.factor", replicas.clone()),
            ("offsets.topic.replication.factor", replicas.clone()),
            ("transaction.state.log.replication.factor", replicas.clone()),
            ("share.coordinator.state.topic.replication.factor", replicas),
            ("transaction.state.log.min.isr", (node.controllers.len() / 2 + 1).to_string()),
            ("min.insync.replicas", (node.controllers.len() / 2 + 1).to_string()),
        ];
        let mut text = String::new();
        let fixed = PROPERTIES.iter().map(|(name, value)| (*name, *value));
        let computed = computed.iter().map(|(name, value)| (*name, value.as_str()));
        let users = self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // Of a property that stands there twice, the last one counts.
        for (name, value) in fixed.chain(computed).chain(users) {
            text.push_str(&format!("{name}={}\n", value.replace('\\', "\\\\").replace('\n', "\\n")));
        }
        text
    }
}
