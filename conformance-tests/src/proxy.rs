//! A TCP proxy that can be told to misbehave.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BUFFER_BYTES: usize = 16 * 1024;

/// What the proxy does with connections, those that it has and those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Passes everything on, after so long.
    Pass(Duration),
    /// Closes everything.
    Cut,
    /// Keeps everything open and passes nothing on.
    BlackHole,
    /// Passes on what clients write, and keeps what the server writes.
    LoseAnswers,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toward {
    Server,
    Client,
}

impl Mode {
    /// After how long bytes are passed on; `None` while they are not.
    fn passes(self, toward: Toward) -> Option<Duration> {
        match self {
            Self::Pass(delay) => Some(delay),
            Self::LoseAnswers if toward == Toward::Server => Some(Duration::ZERO),
            Self::Cut | Self::BlackHole | Self::LoseAnswers => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    mode: Mode,
    /// How many cuts there were: a cut that is healed at once still ends the connections of its time.
    cuts: u64,
}

/// A TCP proxy on a free port of the loopback interface, for any broker: it can cut, black-hole, delay and heal the
/// connections that go through it.
///
/// It ends, and its connections with it, when it is dropped. It runs on the runtime on which it was started. A broker that tells its clients an
/// address to connect to (Kafka's `advertised.listeners`) must be told the proxy's: see [`Proxy::bind`].
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    rule: watch::Sender<Rule>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy on a free port, to a server that listens at `target`.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        Self::with_listener(Self::bind().await?, target)
    }

    /// A free port to be given to [`with_listener`](Self::with_listener) later, when the address must be known before the
    /// server starts.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn bind() -> io::Result<TcpListener> {
        TcpListener::bind(("127.0.0.1", 0)).await
    }

    /// Starts a proxy on a listener that is there already.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub fn with_listener(listener: TcpListener, target: SocketAddr) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (rule, watching) = watch::channel(Rule { mode: Mode::Pass(Duration::ZERO), cuts: 0 });
        let accepting = tokio::spawn(accept(listener, target, watching));
        Ok(Self { address, rule, accepting })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection, and every new one as soon as it is made.
    pub fn cut(&self) {
        self.rule.send_modify(|rule| {
            rule.mode = Mode::Cut;
            rule.cuts += 1;
        });
    }

    /// Keeps connections open and takes new ones, and passes nothing on. What is written in this time arrives after
    /// [`heal`](Self::heal), as after a network's hiccup.
    pub fn black_hole(&self) {
        self.rule.send_modify(|rule| rule.mode = Mode::BlackHole);
    }

    /// Passes on what clients write, and keeps what the server answers until [`heal`](Self::heal): what is asked for
    /// happens, and nobody hears of it.
    pub fn lose_answers(&self) {
        self.rule.send_modify(|rule| rule.mode = Mode::LoseAnswers);
    }

    /// Passes everything on, each piece so much later.
    pub fn delay(&self, delay: Duration) {
        self.rule.send_modify(|rule| rule.mode = Mode::Pass(delay));
    }

    /// Passes everything on at once.
    pub fn heal(&self) {
        self.delay(Duration::ZERO);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, rule: watch::Receiver<Rule>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(serve(client, target, rule.clone()));
            }
            // Out of descriptors, or a client that left at once: others may still be served.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn serve(client: TcpStream, target: SocketAddr, rule: watch::Receiver<Rule>) {
    let mut watching = rule.clone();
    let cuts = watching.borrow().cuts;
    let passing = async {
        // While nothing is passed on, no server is asked either.
        if delay(&mut rule.clone(), Toward::Server).await.is_none() {
            return;
        }
        // A server that refuses is shown to the client as a connection that closes.
        let Ok(server) = TcpStream::connect(target).await else {
            return;
        };
        let (client_reads, client_writes) = client.into_split();
        let (server_reads, server_writes) = server.into_split();
        tokio::join!(
            pump(client_reads, server_writes, rule.clone(), Toward::Server),
            pump(server_reads, client_writes, rule, Toward::Client),
        );
    };
    tokio::select! {
        () = passing => {}
        // Either the connection is to be cut, or the proxy is gone.
        _ = watching.wait_for(|rule| rule.mode == Mode::Cut || rule.cuts != cuts) => {}
    }
}

/// Waits until bytes may be passed on, and says after how long. `None`: the proxy is gone.
async fn delay(rule: &mut watch::Receiver<Rule>, toward: Toward) -> Option<Duration> {
    let rule = rule.wait_for(|rule| rule.mode.passes(toward).is_some());
    rule.await.ok()?.mode.passes(toward)
}

/// Passes on what one side writes, until it closes or breaks.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut rule: watch::Receiver<Rule>,
    toward: Toward,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Some(delay) = delay(&mut rule, toward).await else {
            return;
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);
    const QUIET: Duration = Duration::from_millis(50);

    /// A server that sends back what it is sent.
    async fn echo() -> SocketAddr {
        let listener = Proxy::bind().await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<[u8; 4]> {
        let mut answer = [0; 4];
        stream.write_all(b"ping").await?;
        let read = stream.read_exact(&mut answer);
        tokio::time::timeout(PATIENCE, read).await.unwrap()?;
        Ok(answer)
    }

    #[tokio::test]
    async fn it_passes_on_and_delays() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), *b"ping");
        proxy.delay(QUIET);
        let begin = std::time::Instant::now();
        assert_eq!(ask(&mut stream).await.unwrap(), *b"ping");
        assert!(begin.elapsed() >= QUIET * 2);
    }

    #[tokio::test]
    async fn a_cut_ends_connections_even_when_it_is_healed_at_once() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut old = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut old).await.unwrap(), *b"ping");
        proxy.cut();
        proxy.heal();
        ask(&mut old).await.unwrap_err();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut new).await.unwrap(), *b"ping");
        proxy.cut();
        ask(&mut new).await.unwrap_err();
        if let Ok(mut refused) = TcpStream::connect(proxy.address()).await {
            ask(&mut refused).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_black_hole_keeps_what_it_is_given_until_it_is_healed() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut old = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut old).await.unwrap(), *b"ping");
        proxy.black_hole();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        for stream in [&mut old, &mut new] {
            stream.write_all(b"ping").await.unwrap();
            let mut answer = [0; 4];
            let read = tokio::time::timeout(QUIET, stream.read_exact(&mut answer));
            read.await.unwrap_err();
        }
        proxy.heal();
        for stream in [&mut old, &mut new] {
            let mut answer = [0; 4];
            let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer));
            read.await.unwrap().unwrap();
            assert_eq!(answer, *b"ping");
        }
    }

    #[tokio::test]
    async fn lost_answers_are_kept_while_questions_arrive() {
        let listener = Proxy::bind().await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        proxy.lose_answers();
        client.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        let read = tokio::time::timeout(PATIENCE, server.read_exact(&mut bytes));
        read.await.unwrap().unwrap();
        assert_eq!(bytes, *b"ping");
        server.write_all(b"pong").await.unwrap();
        let read = tokio::time::timeout(QUIET, client.read_exact(&mut bytes));
        read.await.unwrap_err();
        proxy.heal();
        let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut bytes));
        read.await.unwrap().unwrap();
        assert_eq!(bytes, *b"pong");
    }
}
