//! A way to a server that swallows what it is given, for all connections or for those that wait, in both directions or in one; that
//! can lead to another server; and that can answer in the server's place.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is swallowed. A connection that has lost something is of no more use, also when the way works again: as with a firewall
/// that has forgotten it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swallows {
    pub(crate) requests: bool,
    pub(crate) answers: bool,
    /// Only those of a connection on which somebody waits (`BLOCK`).
    pub(crate) of_waiting_connections: bool,
}

impl Swallows {
    pub(crate) const EVERYTHING: Self = Self { requests: true, answers: true, of_waiting_connections: false };
    pub(crate) const REQUESTS: Self = Self { answers: false, ..Self::EVERYTHING };
    pub(crate) const ANSWERS: Self = Self { requests: false, ..Self::EVERYTHING };
    pub(crate) const WAITING: Self = Self { of_waiting_connections: true, ..Self::EVERYTHING };
}

#[derive(Debug)]
struct Rule {
    target: SocketAddr,
    swallows: Swallows,
    /// The error with which every request is answered.
    answer: Option<String>,
}

pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
    /// How often all connections were cut.
    cuts: watch::Sender<u64>,
}

/// What both directions of a connection know of it.
#[derive(Debug, Default)]
struct State {
    dead: bool,
    waits: bool,
}

impl Way {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rule = Arc::new(Mutex::new(Rule { target, swallows: Swallows::default(), answer: None }));
        let (cuts, cutting) = watch::channel(0);
        tokio::spawn(accept(listener, Arc::clone(&rule), cutting));
        Self { address, rule, cuts }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn swallow(&self, swallows: Swallows) {
        self.rule.lock().unwrap().swallows = swallows;
    }

    /// New connections pass. Those that lost something stay as they are.
    pub(crate) fn heal(&self) {
        self.swallow(Swallows::default());
    }

    /// Ends all connections. New ones lead to this server.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.rule.lock().unwrap().target = target;
        self.cut();
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Answers every request with this error, in the server's place, or lets the server answer again.
    pub(crate) fn answer(&self, error: Option<&str>) {
        self.rule.lock().unwrap().answer = error.map(str::to_owned);
    }
}

async fn accept(listener: TcpListener, rule: Arc<Mutex<Rule>>, cuts: watch::Receiver<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        let (rule, mut cuts) = (Arc::clone(&rule), cuts.clone());
        cuts.mark_unchanged();
        tokio::spawn(async move {
            let target = rule.lock().unwrap().target;
            // A server that is gone is shown as a connection that closes.
            let Ok(server) = TcpStream::connect(target).await else { return };
            let state = Arc::new(Mutex::new(State::default()));
            let ((asks, hears), (answers, takes)) = (client.into_split(), server.into_split());
            let hears = Arc::new(tokio::sync::Mutex::new(hears));
            tokio::select! {
                () = requests(asks, takes, Arc::clone(&hears), &rule, &state) => {}
                () = pass_answers(answers, hears, &rule, &state) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

type Shared = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    back: Shared,
    rule: &Mutex<Rule>,
    state: &Mutex<State>,
) {
    let (mut piece, mut pending) = (vec![0; 256 * 1024], Vec::new());
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let piece = &piece[..length];
        let answer = {
            let (rule, mut state) = (rule.lock().unwrap(), state.lock().unwrap());
            state.waits |= piece.windows(5).any(|word| word == b"BLOCK");
            let Swallows { requests, of_waiting_connections, .. } = rule.swallows;
            state.dead |= requests && (state.waits || !of_waiting_connections);
            if state.dead {
                continue;
            }
            rule.answer.clone()
        };
        let Some(answer) = answer else {
            if to.write_all(piece).await.is_err() {
                return;
            }
            continue;
        };
        pending.extend_from_slice(piece);
        while let Some(length) = request(&pending) {
            pending.drain(..length);
            let answer = format!("-{answer}\r\n");
            if back.lock().await.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn pass_answers(mut from: OwnedReadHalf, to: Shared, rule: &Mutex<Rule>, state: &Mutex<State>) {
    let mut piece = vec![0; 256 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        {
            let (rule, mut state) = (rule.lock().unwrap(), state.lock().unwrap());
            let Swallows { answers, of_waiting_connections, .. } = rule.swallows;
            state.dead |= answers && (state.waits || !of_waiting_connections);
            if state.dead {
                continue;
            }
        }
        if to.lock().await.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// How many bytes the first request has, when all of it is there: an array of bulk strings.
fn request(bytes: &[u8]) -> Option<usize> {
    let number = |at: usize, mark: u8| {
        assert_eq!(*bytes.get(at)?, mark, "no request");
        let end = at + bytes[at..].windows(2).position(|pair| pair == b"\r\n")?;
        let number: usize = std::str::from_utf8(&bytes[at + 1..end]).unwrap().parse().unwrap();
        Some((number, end + 2))
    };
    let (parts, mut at) = number(0, b'*')?;
    for _ in 0..parts {
        let (length, begin) = number(at, b'$')?;
        at = begin + length + 2;
    }
    (bytes.len() >= at).then_some(at)
}
