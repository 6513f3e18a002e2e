//! A TCP proxy in front of brokers, which tell clients their own addresses and cannot be told others: the proxy writes its
//! ports over the brokers' in what they answer.

#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// A black hole to the connections below this number. What they are given arrives when everything passes again, also if the
    /// client has given them up by then.
    Hold(usize),
    /// Swallows the fetches that the broker at this port is asked for, and passes on the rest.
    LoseFetches(u16),
    /// A black hole in front of the broker at this port alone.
    Hide(u16),
}

impl Mode {
    fn reaches_the_broker(self, connection: usize, broker: u16) -> bool {
        match self {
            Self::Hide(hidden) => broker != hidden,
            Self::Pass | Self::LoseAnswers | Self::Delay | Self::LoseFetches(_) => true,
            Self::Cut | Self::BlackHole => false,
            Self::Hold(below) => connection >= below,
        }
    }

    fn reaches_the_client(self, connection: usize, broker: u16) -> bool {
        self != Self::LoseAnswers && self.reaches_the_broker(connection, broker)
    }
}

/// Waits until the mode lets something through, and then as long as it takes. `None`: the proxy is gone.
async fn passes(mode: &mut watch::Receiver<Mode>, lets: impl Fn(Mode) -> bool + Send + Sync) -> Option<Mode> {
    let found = mode.wait_for(|mode| lets(*mode)).await.map(|mode| *mode).ok()?;
    if found == Mode::Delay {
        tokio::time::sleep(DELAY).await;
    }
    Some(found)
}

/// What a request begins with that asks for records.
const FETCH: [u8; 2] = [0, 1];

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
    /// The connections that are open, by number, and how many there were at all.
    connections: watch::Sender<(BTreeSet<usize>, usize)>,
    /// Whether the next answer to a send is to be changed.
    falsify: Arc<AtomicBool>,
    /// How many fetches were swallowed.
    lost_fetches: watch::Sender<usize>,
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
        let connections = watch::Sender::new((BTreeSet::new(), 0));
        let falsify = Arc::new(AtomicBool::new(false));
        let lost_fetches = watch::Sender::new(0);
        let accepting = listeners.into_iter().zip(&*doors).map(|(listener, door)| {
            let (doors, broker, watching) = (Arc::clone(&doors), door.broker, watching.clone());
            let (connections, falsify) = (connections.clone(), Arc::clone(&falsify));
            let lost_fetches = lost_fetches.clone();
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let mut number = 0;
                    connections.send_modify(|(open, count)| {
                        number = *count;
                        open.insert(number);
                        *count += 1;
                    });
                    let (falsify, lost_fetches) = (Arc::clone(&falsify), lost_fetches.clone());
                    let doors = Arc::clone(&doors);
                    let watching = watching.clone();
                    let serving = serve(client, (broker, number), doors, (falsify, lost_fetches), watching);
                    let connections = connections.clone();
                    tokio::spawn(async move {
                        serving.await;
                        connections.send_modify(|(open, _)| {
                            open.remove(&number);
                        });
                    });
                }
            })
        });
        let accepting = accepting.collect();
        Ok(Self { doors, mode, connections, falsify, lost_fetches, accepting })
    }

    /// Holds the connections that there are, and no newer one. Returns the number below which they are.
    pub(crate) fn hold(&self) -> usize {
        let below = self.connections.borrow().1;
        self.set(Mode::Hold(below));
        below
    }

    /// Everything passes again. Waits until the connections below this number have brought what they were given, and have ended.
    pub(crate) async fn release(&self, below: usize) {
        self.set(Mode::Pass);
        self.ended(below).await;
    }

    /// Swallows the fetches that the broker at this port is asked for. Returns when one was, so that no other is with the broker.
    pub(crate) async fn lose_fetches(&self, broker: u16) {
        let mut lost = self.lost_fetches.subscribe();
        let before = *lost.borrow_and_update();
        self.set(Mode::LoseFetches(broker));
        lost.wait_for(|lost| *lost > before).await.map(drop).unwrap_or_default();
    }

    /// Ends the connections that there are; those that follow pass everything.
    pub(crate) async fn renew(&self) {
        self.set(Mode::Cut);
        let below = self.connections.borrow().1;
        self.ended(below).await;
        self.set(Mode::Pass);
    }

    /// Lets the next answer to a send say that the broker and the producer disagree about the sequence of events, which is fatal to
    /// a producer. The broker has taken the event.
    pub(crate) fn falsify_next_answer(&self) {
        self.falsify.store(true, Ordering::Release);
    }

    /// Waits until no connection is open, without ending one.
    pub(crate) async fn closed_by_clients(&self) {
        self.ended(usize::MAX).await;
    }

    async fn ended(&self, below: usize) {
        let mut connections = self.connections.subscribe();
        let ended = connections.wait_for(|(open, _)| open.range(..below).next().is_none());
        ended.await.map(drop).unwrap_or_default();
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

async fn serve(
    client: TcpStream,
    (broker, number): (u16, usize),
    doors: Arc<[Door]>,
    (falsify, lost_fetches): (Arc<AtomicBool>, watch::Sender<usize>),
    mode: watch::Receiver<Mode>,
) {
    let mut cut = mode.clone();
    let passing = async {
        if mode.clone().wait_for(|mode| mode.reaches_the_broker(number, broker)).await.is_err() {
            return;
        }
        let Ok(server) = TcpStream::connect((HOST, broker)).await else {
            return;
        };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut opening = mode.clone();
        let up = async {
            // Whole requests, so that each is known for what it is.
            while let Ok(length) = from_client.read_u32().await {
                let mut request = vec![0; length as usize];
                if from_client.read_exact(&mut request).await.is_err() {
                    break;
                }
                let passing = passes(&mut opening, |mode| mode.reaches_the_broker(number, broker)).await;
                let Some(passing) = passing else { break };
                if passing == Mode::LoseFetches(broker) && request.starts_with(&FETCH) {
                    lost_fetches.send_modify(|lost| *lost += 1);
                    continue;
                }
                if to_server.write_u32(length).await.is_err() || to_server.write_all(&request).await.is_err()
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
                if falsify.load(Ordering::Acquire) && desynchronise(&mut response) {
                    falsify.store(false, Ordering::Release);
                }
                if passes(&mut opening, |mode| mode.reaches_the_client(number, broker)).await.is_none()
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

/// Writes the error OUT_OF_ORDER_SEQUENCE_NUMBER into an answer to a send to the first partition of a topic `test-…`, if it is one
/// and says that all is well.
fn desynchronise(response: &mut [u8]) -> bool {
    const NAME: &[u8] = b"test-";
    const UUID: usize = 36;
    // An array of one partition, its number, and no error.
    const TAKEN: [u8; 7] = [2, 0, 0, 0, 0, 0, 0];
    let Some(at) = response.windows(NAME.len()).position(|window| window == NAME) else { return false };
    let Some(rest) = response.get_mut(at + NAME.len() + UUID..) else { return false };
    let is_taken = rest.starts_with(&TAKEN);
    if is_taken {
        rest[TAKEN.len() - 1] = 45;
    }
    is_taken
}

/// How long a request may go unanswered before librdkafka gives up its connection; ten seconds would be long for a test.
pub(crate) const SOCKET_TIMEOUT: Duration = Duration::from_secs(2);
