//! A NATS server with JetStream, and a cluster of them.

use std::ffi::OsString;
use std::io;
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::binary::{self, Binary, Missing};
use crate::process::{self, PAUSE, Process};
use crate::server::server_methods;

const NAME: &str = "nats-server";
const LEAST: (u32, u32) = (2, 10);

/// A NATS server of its own, with JetStream.
#[derive(Debug)]
pub struct Nats {
    // Before the folder, so that the process is gone when its data go.
    process: Process,
    folder: TempDir,
    port: u16,
    monitor: u16,
}

impl Nats {
    /// The binary, if there is one of version 2.10 or later.
    ///
    /// # Errors
    ///
    /// [`Missing`], with the reason for a suite to show.
    pub fn find() -> Result<Binary, Missing> {
        binary::find(NAME, LEAST)
    }

    /// Starts a server.
    ///
    /// # Errors
    ///
    /// When there is no binary, or the server does not answer in time.
    pub fn start() -> io::Result<Self> {
        Self::start_with("")
    }

    /// Starts a server with more configuration, as it would stand in `nats-server`'s configuration file, for example
    /// `authorization { user: a, password: b }`.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub fn start_with(configuration: &str) -> io::Result<Self> {
        let binary = Self::find()?;
        process::on_free_ports(|| {
            let mut server = Self::prepare(&binary, "single", configuration)?;
            server.restart()?;
            Ok(server)
        })
    }

    fn prepare(binary: &Binary, name: &str, configuration: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("nats-").tempdir()?;
        let (port, monitor) = (process::free_port()?, process::free_port()?);
        let store = folder.path().join("jetstream");
        let text = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
             jetstream {{ store_dir: {:?}, max_memory_store: 64MB, max_file_store: 1GB }}\n{configuration}\n",
            store.display().to_string(),
        );
        let config = folder.path().join("nats.conf");
        process::write(&config, &text)?;
        let log = folder.path().join("log");
        let arguments = vec![OsString::from("-c"), OsString::from(config)];
        let process = Process::new(binary.path.clone(), arguments, log);
        Ok(Self { process, folder, port, monitor })
    }

    server_methods!("nats");

    /// Waits until JetStream works. In a cluster that takes a leader, and hence a majority.
    fn wait(&mut self) -> io::Result<()> {
        let (port, monitor) = (self.port, self.monitor);
        self.process.wait(|| works(port, monitor))
    }
}

/// Whether JetStream works on the server with these ports.
fn works(port: u16, monitor: u16) -> bool {
    // The greeting needs no request, and shows that this port is the server's.
    let greets = process::ask(port, b"").is_some_and(|answer| answer.starts_with("INFO"));
    let health = process::ask(monitor, b"GET /healthz HTTP/1.0\r\n\r\n");
    let is_200 = |answer: String| answer.lines().next().is_some_and(|line| line.contains(" 200 "));
    greets && health.is_some_and(is_200)
}

/// Several NATS servers that are one JetStream cluster.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<Nats>,
}

impl NatsCluster {
    /// Starts a cluster of so many nodes; three is the smallest that survives the loss of one.
    ///
    /// # Errors
    ///
    /// When there is no binary, or the nodes do not answer in time.
    pub fn start(size: usize) -> io::Result<Self> {
        let binary = Nats::find()?;
        process::on_free_ports(|| Self::try_start(&binary, size))
    }

    fn try_start(binary: &Binary, size: usize) -> io::Result<Self> {
        let ports = (0..size).map(|_| process::free_port()).collect::<io::Result<Vec<_>>>()?;
        let routes =
            ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect::<Vec<_>>().join(", ");
        let nodes = ports.iter().enumerate().map(|(number, port)| {
            let cluster =
                format!("cluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}");
            Nats::prepare(binary, &format!("node-{number}"), &cluster)
        });
        let mut cluster = Self { nodes: nodes.collect::<io::Result<_>>()? };
        cluster.restart()?;
        Ok(cluster)
    }

    /// The addresses of all nodes, `nats://127.0.0.1:<port>`.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Nats::url).collect()
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Nats] {
        &self.nodes
    }

    /// The nodes, to kill and restart some of them.
    pub fn nodes_mut(&mut self) -> &mut [Nats] {
        &mut self.nodes
    }

    /// Ends every node in good order (`SIGTERM`), all at the same time.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn stop(&mut self) -> io::Result<()> {
        // One after the other, the last ones would wait for a majority to say goodbye to.
        self.nodes.iter().try_for_each(|node| node.process.ask_to_end())?;
        self.nodes.iter_mut().try_for_each(|node| node.process.stop())
    }

    /// Starts every node that is down, and waits until all of them answer.
    ///
    /// # Errors
    ///
    /// When they do not answer in time.
    pub fn restart(&mut self) -> io::Result<()> {
        // All at once: one alone has no majority, and would not answer.
        for node in &mut self.nodes {
            node.process.spawn()?;
        }
        // In turns: one that has ended says so, while the others would wait for it in vain.
        let begin = Instant::now();
        let mut waiting: Vec<_> = self.nodes.iter_mut().collect();
        loop {
            let mut silent = Vec::new();
            for node in waiting {
                let (port, monitor) = (node.port, node.monitor);
                if !node.process.look(begin, || works(port, monitor))? {
                    silent.push(node);
                }
            }
            if silent.is_empty() {
                return Ok(());
            }
            waiting = silent;
            thread::sleep(PAUSE);
        }
    }
}
