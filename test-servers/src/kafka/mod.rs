//! An Apache Kafka broker in KRaft mode.

mod builder;
mod cluster;
mod java;

use std::io;
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub use self::builder::KafkaBuilder;
pub use self::cluster::KafkaCluster;
use self::java::Java;
use crate::binary::{Binary, Missing};
use crate::process::{self, Process};
use crate::server::server_methods;

/// Metadata, version 1, of no topic: which brokers are there?
const METADATA: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];

/// An Apache Kafka broker of its own, which is also its controller.
///
/// Clients without encryption and password find it at [`port`](Self::port), whatever other
/// [listeners](KafkaBuilder::listener) it has.
#[derive(Debug)]
pub struct Kafka {
    // Before the folder, so that the process is gone when its data go.
    process: Process,
    folder: TempDir,
    port: u16,
    id: usize,
    listeners: Vec<Listener>,
    java: Java,
}

#[derive(Clone, Debug)]
struct Listener {
    name: String,
    protocol: String,
    port: u16,
}

impl Listener {
    fn new(name: &str, protocol: &str, port: u16) -> Self {
        Self { name: name.to_owned(), protocol: protocol.to_owned(), port }
    }

    fn address(&self) -> String {
        format!("{}://127.0.0.1:{}", self.name, self.port)
    }

    fn mapping(&self) -> String {
        format!("{}:{}", self.name, self.protocol)
    }
}

impl Kafka {
    /// Java, if there is one of version 17 or later, and the jars of Apache Kafka too.
    ///
    /// # Errors
    ///
    /// [`Missing`], with the reason for a suite to show.
    pub fn find() -> Result<Binary, Missing> {
        Java::find().map(|java| java.binary)
    }

    /// Starts a broker with this crate's settings.
    ///
    /// # Errors
    ///
    /// As for [`KafkaBuilder::start`].
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A broker with other settings.
    pub fn builder() -> KafkaBuilder {
        KafkaBuilder::default()
    }

    server_methods!();

    /// The bootstrap servers of clients without encryption and password, `127.0.0.1:<port>`.
    #[must_use]
    pub fn servers(&self) -> String {
        self.address().to_string()
    }

    /// The broker's number in its cluster; 1 where it is alone.
    #[must_use]
    pub const fn node(&self) -> usize {
        self.id
    }

    /// The port of the listener of this name.
    #[must_use]
    pub fn port_of(&self, listener: &str) -> Option<u16> {
        self.listeners.iter().find(|found| found.name == listener).map(|found| found.port)
    }

    /// What the broker has logged since its first start: warnings and errors.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn log(&self) -> io::Result<String> {
        std::fs::read_to_string(self.folder.path().join("log"))
    }

    /// Runs the main class of one of Kafka's own command-line tools, for example
    /// `org.apache.kafka.tools.consumer.group.ConsumerGroupCommand`, and returns what it prints.
    ///
    /// # Errors
    ///
    /// When the tool does not run or fails, with what it said.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> io::Result<String> {
        let mut command = Command::new(&self.java.binary.path);
        let command = command.args(self.java.arguments(class)).args(arguments).stdin(Stdio::null());
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(said.into_owned());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{class} ended with {}: {said}{error}", output.status)))
    }

    /// Waits until the broker serves clients. It does so only when the controller has let it into the cluster.
    fn wait(&mut self) -> io::Result<()> {
        self.wait_for(&[self.id])
    }

    /// Waits until the broker knows all of these.
    fn wait_for(&mut self, nodes: &[usize]) -> io::Result<()> {
        let port = self.port;
        self.process.wait(|| {
            let answer = process::exchange(port, &METADATA);
            let known = answer.as_deref().and_then(brokers).unwrap_or_default();
            nodes.iter().all(|node| known.contains(node))
        })
    }
}

/// The numbers of the brokers in the answer to [`METADATA`]; `None` where it is cut short.
fn brokers(answer: &[u8]) -> Option<Vec<usize>> {
    let mut rest = answer;
    let mut take = |count: usize| -> Option<&[u8]> {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    // The length of the answer, and the request's own number.
    take(8)?;
    let count = number(take(4)?)?;
    (0..count)
        .map(|_| {
            let node = number(take(4)?)?;
            let host = number(take(2)?)?;
            // The host, the port, and no rack.
            take(host + 4 + 2)?;
            Some(node)
        })
        .collect()
}

fn number(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::brokers;

    #[test]
    fn it_reads_which_brokers_are_there() {
        let mut answer = vec![0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2];
        for node in [1, 3] {
            answer.extend([0, 0, 0, node, 0, 9]);
            answer.extend(b"127.0.0.1");
            answer.extend([0, 0, 0x23, 0x84, 0xff, 0xff]);
        }
        assert_eq!(brokers(&answer), Some(vec![1, 3]));
        assert_eq!(brokers(&answer[..30]), None);
    }
}
