//! A TCP proxy in front of a broker, which tells clients its own address and cannot be told another: the proxy writes its
//! port over the broker's in what the broker answers.

use std::io;
use std::time::Duration;

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
}

impl Mode {
    fn reaches_the_broker(self) -> bool {
        matches!(self, Self::Pass | Self::LoseAnswers)
    }
}

/// Ends, and its connections with it, when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// In front of the broker at these bootstrap servers: one, on the loopback interface.
    pub(crate) async fn start(servers: &str) -> io::Result<Self> {
        let target = servers.rsplit(':').next().and_then(|port| port.parse().ok());
        let target: u16 = target.ok_or_else(|| io::Error::other("one address with a port"))?;
        let listener = TcpListener::bind((HOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (mode, watching) = watch::channel(Mode::Pass);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, target, port, watching.clone()));
            }
        });
        Ok(Self { port, mode, accepting })
    }

    pub(crate) fn servers(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(client: TcpStream, target: u16, port: u16, mode: watch::Receiver<Mode>) {
    let mut cut = mode.clone();
    let passing = async {
        if mode.clone().wait_for(|mode| mode.reaches_the_broker()).await.is_err() {
            return;
        }
        let Ok(server) = TcpStream::connect((HOST, target)).await else {
            return;
        };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut opening = mode.clone();
        let up = async {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                if opening.wait_for(|mode| mode.reaches_the_broker()).await.is_err()
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
                readdress(&mut response, target, port);
                if opening.wait_for(|mode| *mode == Mode::Pass).await.is_err()
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

/// Writes one port over the other wherever it follows the host, as Kafka's protocol has it: a string, then four bytes.
fn readdress(response: &mut [u8], from: u16, to: u16) {
    let mut address = HOST.as_bytes().to_vec();
    address.extend(u32::from(from).to_be_bytes());
    let mut at = 0;
    while at + address.len() <= response.len() {
        if response[at..].starts_with(&address) {
            let port = at + HOST.len();
            response[port..port + 4].copy_from_slice(&u32::from(to).to_be_bytes());
            at = port;
        }
        at += 1;
    }
}

/// How long a request may go unanswered before librdkafka gives up its connection; ten seconds would be long for a test.
pub(crate) const SOCKET_TIMEOUT: Duration = Duration::from_secs(2);
