//! A proxy in front of a server, which misbehaves from the moment on at which a certain request comes
//! through.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// What is in every request that announces something, and in no other.
pub(crate) const ANNOUNCES: &str = "'XADD'";
/// What is in the first request of whoever is about to announce something.
pub(crate) const REGISTERS: &str = "-- Gives a sink's connection the word";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Passes,
    /// Passes on what is connected, and closes new connections at once.
    Refuses,
    /// Passes on what is connected, and leaves new connections without an answer.
    Hangs,
    /// Passes on what clients write, and keeps what the server answers; new connections are left without an
    /// answer.
    HoldsAnswers,
}

/// It lasts as long as the test's process.
#[derive(Clone, Debug)]
pub(crate) struct Turnstile {
    pub(crate) address: SocketAddr,
    rule: Arc<Rule>,
}

#[derive(Debug)]
struct Rule {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    request: &'static str,
    /// The mode from the next such request on.
    after: Mode,
    came: bool,
    /// How many new connections are left without an answer.
    hanging: usize,
}

impl Turnstile {
    pub(crate) fn before(
        server: SocketAddr,
        mode: Mode,
        request: &'static str,
        after: Mode,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = State { mode, request, after, came: false, hanging: 0 };
        let rule = Arc::new(Rule { state: Mutex::new(state), changed: Condvar::new() });
        let turnstile = Self { address, rule: rule.clone() };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let rule = rule.clone();
                thread::spawn(move || rule.serve(&client, server));
            }
        });
        Ok(turnstile)
    }

    /// Behaves from now on.
    pub(crate) fn opens(&self) {
        self.rule.change(|state| (state.mode, state.after) = (Mode::Passes, Mode::Passes));
    }

    /// Waits until the request has come.
    pub(crate) fn request_came(&self) {
        self.rule.wait_until(|state| state.came);
    }

    /// Waits until a connection is left without an answer.
    pub(crate) fn hangs(&self) {
        self.rule.wait_until(|state| state.hanging > 0);
    }
}

impl Rule {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn wait_until(&self, is: impl Fn(&State) -> bool) {
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, |state| !is(state));
        assert!(is(&waited.unwrap_or_else(PoisonError::into_inner).0));
    }

    /// A connection that breaks is the client's business.
    fn serve(&self, client: &TcpStream, server: SocketAddr) -> Option<()> {
        self.change(|state| state.hanging += 1);
        let hangs = |state: &mut State| matches!(state.mode, Mode::Hangs | Mode::HoldsAnswers);
        let mut state = self.changed.wait_while(self.state(), hangs).unwrap_or_else(PoisonError::into_inner);
        state.hanging -= 1;
        if state.mode == Mode::Refuses {
            return None;
        }
        drop(state);
        let server = TcpStream::connect(server).ok()?;
        thread::scope(|scope| {
            scope.spawn(|| self.pump(client, &server, true));
            self.pump(&server, client, false);
        });
        Some(())
    }

    fn look_at(&self, bytes: &[u8]) {
        self.change(|state| {
            let request = state.request.as_bytes();
            if bytes.windows(request.len()).any(|window| window == request) {
                (state.mode, state.came) = (state.after, true);
            }
        });
    }

    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, toward_server: bool) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..length];
            if toward_server {
                self.look_at(bytes);
            } else {
                let holds = |state: &mut State| state.mode == Mode::HoldsAnswers;
                drop(self.changed.wait_while(self.state(), holds));
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        // Either may be closed already.
        let _closed = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
