//! A TCP proxy in front of brokers, which tell clients their own addresses and cannot be told others: the proxy writes its
//! ports over the brokers' in what they answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use backup_tracker_conformance::DELAY;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const HOST: &str = "127.0.0.1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Passes everything on.
    Pass,
    /// Closes everything.
    Cut,
    /// Keeps everything open, takes new connections, and passes nothing on.
    BlackHole,
    /// Passes on what clients write, and keeps what the broker answers.
    LoseAnswers,
    /// Passes everything on, each piece later.
    Delay,
}

impl Mode {
    fn reaches_the_broker(self) -> bool {
        matches!(self, Self::Pass | Self::LoseAnswers | Self::Delay)
    }

    fn reaches_the_client(self) -> bool {
        matches!(self, Self::Pass | Self::Delay)
    }
}

/// Waits until the mode lets something through, and then as long as it takes. False: the proxy is gone.
async fn passes(mode: &mut watch::Receiver<Mode>, lets: fn(Mode) -> bool) -> bool {
    let Ok(found) = mode.wait_for(|mode| lets(*mode)).await.map(|mode| *mode) else { return false };
    if found == Mode::Delay {
        tokio::time::sleep(DELAY).await;
    }
    true
}

/// A port of the proxy, and the broker's port behind it.
#[derive(Clone, Copy, Debug)]
struct Door {
    port: u16,
    broker: u16,
}

/// Ends, and its connections with it, when it is dropped.
pub(crate) struct Proxy {
    doors: Arc<[Door]>,
    mode: watch::Sender<Mode>,
    accepting: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// In front of all brokers of a cluster, which are at these bootstrap servers on the loopback interface.
    pub(crate) async fn start(servers: &str) -> io::Result<Self> {
        let mut listeners = Vec::new();
        let mut doors = Vec::new();
        for server in servers.split(',') {
            let broker = server.rsplit(':').next().and_then(|port| port.parse().ok());
            let broker = broker.ok_or_else(|| io::Error::other("an address has a port"))?;
            let listener = TcpListener::bind((HOST, 0)).await?;
            doors.push(Door { port: listener.local_addr()?.port(), broker });
            listeners.push(listener);
        }
        let doors: Arc<[Door]> = doors.into();
        let (mode, watching) = watch::channel(Mode::Pass);
        let accepting = listeners.into_iter().zip(&*doors).map(|(listener, door)| {
            let (doors, broker, watching) = (Arc::clone(&doors), door.broker, watching.clone());
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(client, broker, Arc::clone(&doors), watching.clone()));
                }
            })
        });
        let accepting = accepting.collect();
        Ok(Self { doors, mode, accepting })
    }

    pub(crate) fn servers(&self) -> String {
        let servers: Vec<_> = self.doors.iter().map(|door| format!("{HOST}:{}", door.port)).collect();
        servers.join(",")
    }

    /// For all of them at once.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

async fn serve(client: TcpStream, broker: u16, doors: Arc<[Door]>, mode: watch::Receiver<Mode>) {
    let mut cut = mode.clone();
    let passing = async {
        if mode.clone().wait_for(|mode| mode.reaches_the_broker()).await.is_err() {
            return;
        }
        let Ok(server) = TcpStream::connect((HOST, broker)).await else {
            return;
        };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut opening = mode.clone();
        let up = async {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                if !passes(&mut opening, Mode::reaches_the_broker).await
                    || to_server.write_all(&buffer[..length]).await.is_err()
                {
                    break;
                }
            }
        };
        let mut opening = mode.clone();
        let down = async {
            // Whole responses, so that no address is split.
            while let Ok(length) = from_server.read_u32().await {
                let mut response = vec![0; length as usize];
                if from_server.read_exact(&mut response).await.is_err() {
                    break;
                }
                readdress(&mut response, &doors);
                if !passes(&mut opening, Mode::reaches_the_client).await
                    || to_client.write_u32(length).await.is_err()
                    || to_client.write_all(&response).await.is_err()
                {
                    break;
                }
            }
        };
        tokio::select! {
            () = up => {}
            () = down => {}
        }
    };
    tokio::select! {
        () = passing => {}
        // Cut, or the proxy is gone.
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

/// Writes a broker's port over with the proxy's wherever it follows the host, as Kafka's protocol has it: a string, then four
/// bytes.
fn readdress(response: &mut [u8], doors: &[Door]) {
    let mut rest = response;
    while let Some(at) = rest.windows(HOST.len()).position(|window| window == HOST.as_bytes()) {
        rest = &mut rest[at + HOST.len()..];
        let Some(port) = rest.first_chunk_mut::<4>() else { return };
        let behind = doors.iter().find(|door| u32::from(door.broker).to_be_bytes() == *port);
        if let Some(door) = behind {
            *port = u32::from(door.port).to_be_bytes();
        }
    }
}

/// How long a request may go unanswered before librdkafka gives up its connection; ten seconds would be long for a test.
pub(crate) const SOCKET_TIMEOUT: Duration = Duration::from_secs(2);
