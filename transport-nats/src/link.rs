//! One connection: requests whose answers are awaited for a bounded time, and no longer than the connection lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::HeaderMap;
use async_nats::jetstream::response::Response;
use async_nats::{Client, ConnectOptions, Message, RequestErrorKind, ServerAddr};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::error::Failure;
use crate::signals::Signals;

/// The longest wait between two attempts to connect again.
const LONGEST_RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// The oldest server that this crate works with.
const LEAST_VERSION: (u32, u32) = (2, 10);
/// How long a new connection takes where nothing is wrong.
const HANDSHAKE: Duration = Duration::from_millis(500);
/// Between two looks at the connection.
const PAUSE: Duration = Duration::from_millis(5);
/// How long one attempt to connect again may take. A server gives up a client that needs longer to sign in; and where packets
/// vanish, the next attempt gets through sooner than the old one would.
pub(crate) const LONGEST_ATTEMPT: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    signals: watch::Receiver<Signals>,
    closed: Arc<AtomicBool>,
    /// What the subjects of JetStream's own requests begin with.
    api: String,
}

impl Link {
    /// Connects. What the options say about events and the delay of reconnections is replaced.
    pub(crate) async fn connect(
        options: ConnectOptions,
        servers: Vec<ServerAddr>,
        sender: watch::Sender<Signals>,
        api: String,
    ) -> Result<Self, async_nats::ConnectError> {
        let signals = sender.subscribe();
        let closed = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&closed);
        let options = options
            .event_callback(move |event| {
                debug!(%event, "the connection tells");
                sender.send_modify(|signals| signals.take(event));
                std::future::ready(())
            })
            .reconnect_delay_callback(move |attempts| {
                if ended.load(Ordering::Relaxed) {
                    // The client goes on connecting after its last handle was dropped, and would then deliver what was
                    // still queued. It must not, and there is no way to stop it but to let it wait.
                    return Duration::MAX;
                }
                let exponent = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
                Duration::from_millis(2_u64.saturating_pow(exponent).saturating_sub(1))
                    .min(LONGEST_RECONNECT_DELAY)
            });
        let client = Box::pin(options.connect(servers)).await?;
        Ok(Self { client, signals, closed, api })
    }

    /// Why this server will not do; `None` when it will.
    pub(crate) fn unfit(&self) -> Option<String> {
        let info = self.client.server_info();
        let (major, minor) = LEAST_VERSION;
        // A server built by hand may have any version; what cannot be read is not refused.
        let found = version(&info.version)?;
        (found < LEAST_VERSION)
            .then(|| format!("the server is NATS {}, and {major}.{minor} or later is needed", info.version))
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// The subject of a request to JetStream.
    pub(crate) fn api(&self, what: &str) -> String {
        format!("{}.{what}", self.api)
    }

    /// Gives up the connection for a new one, which may be another server's. The client by itself would wait for three of its pings.
    async fn renew(&self) {
        if self.is_connected() {
            debug!("connecting anew");
            // It fails where the client has ended, and then every request shows it.
            let asked = self.client.force_reconnect().await;
            debug!(?asked, "asked for a new connection");
        }
    }

    /// Whether the server had JetStream when the connection was made.
    pub(crate) fn has_jetstream(&self) -> bool {
        self.client.server_info().jetstream
    }

    pub(crate) fn not_connected(&self) -> Failure {
        Failure::NotConnected(self.signals.borrow().trouble.clone())
    }

    /// A mark of what was told so far, to be given to [`broken`](Self::broken).
    pub(crate) fn mark(&self) -> Mark {
        let signals = self.signals.borrow();
        Mark { disconnections: signals.disconnections, refused: signals.refused }
    }

    /// Returns once no answer can come any more to what was published to the subject after the mark. Cancel safe.
    pub(crate) async fn broken(&self, mark: Mark, subject: &str) -> Failure {
        let mut signals = self.signals.clone();
        loop {
            {
                let told = signals.borrow_and_update();
                if told.refuses(subject, mark.refused) {
                    return Failure::DeniedPublish(subject.to_owned());
                }
                if let Some(inbox) = &told.inbox {
                    return Failure::DeniedInbox(inbox.clone());
                }
                if told.disconnections != mark.disconnections {
                    return Failure::ConnectionLost;
                }
            }
            if signals.changed().await.is_err() {
                return Failure::ConnectionLost;
            }
        }
    }

    /// Publishes and waits for the answer.
    pub(crate) async fn request(
        &self,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Message, Failure> {
        self.renew_inbox(deadline).await;
        // The client would keep it, and send it when it is connected again, however long after the deadline.
        if !self.is_connected() {
            return Err(self.not_connected());
        }
        let begin = Instant::now();
        let mark = self.mark();
        // The deadline is ours.
        let mut request = async_nats::Request::new().payload(payload).timeout(None);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let answer = async {
            tokio::select! {
                biased;
                answer = self.client.send_request(subject.to_owned(), request) => {
                    answer.map_err(|error| match error.kind() {
                        RequestErrorKind::NoResponders => Failure::NoResponders(subject.to_owned()),
                        _ => Failure::Client(error.into()),
                    })
                }
                failure = self.broken(mark, subject) => Err(failure),
            }
        };
        let answer = timeout_at(deadline, answer).await;
        let answer = answer.unwrap_or_else(|_| Err(Failure::TimedOut(deadline - begin)));
        if let Err(failure) = &answer {
            self.repair(failure).await;
        }
        answer
    }

    /// Waits for a connection, as long as the client takes for one attempt: a new client would have one at once. Cancel safe.
    pub(crate) async fn connected(&self, deadline: Instant) {
        self.wait(deadline, || self.is_connected()).await;
    }

    /// Asks anew whether we may subscribe to our inbox, where that was refused: it may have been allowed since. Cancel safe.
    pub(crate) async fn renew_inbox(&self, deadline: Instant) {
        let (refused, before) = {
            let signals = self.signals.borrow();
            (signals.inbox.is_some(), signals.connections)
        };
        if refused && self.is_connected() {
            self.renew().await;
            self.wait(deadline, || self.signals.borrow().connections != before).await;
        }
    }

    async fn wait(&self, deadline: Instant, mut done: impl FnMut() -> bool) {
        let limit = deadline.min(Instant::now() + LONGEST_RECONNECT_DELAY + HANDSHAKE);
        while !done() && Instant::now() < limit {
            sleep(PAUSE).await;
        }
    }

    /// Gives up a connection that brings no answers.
    pub(crate) async fn repair(&self, failure: &Failure) {
        if matches!(failure, Failure::TimedOut(_)) {
            self.renew().await;
        }
    }

    /// Asks JetStream for something.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        question: Bytes,
        deadline: Instant,
    ) -> Result<T, Failure> {
        let answer = self.request(&self.api(what), None, question, deadline).await;
        let answer = answer.map_err(|failure| match failure {
            // A stream that is missing or has no leader is said in words.
            Failure::NoResponders(subject) => Failure::NoJetStream(subject),
            // Where it is switched off while the server runs, questions are swallowed.
            Failure::TimedOut(_) if !self.has_jetstream() => Failure::NoJetStream(self.api(what)),
            failure => failure,
        })?;
        understand(&answer.payload)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// What had been told at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    disconnections: u64,
    refused: u64,
}

pub(crate) fn understand<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    match serde_json::from_slice(answer) {
        Ok(Response::Ok(answer)) => Ok(answer),
        Ok(Response::Err { error }) => Err(Failure::Refused(error)),
        Err(error) => Err(Failure::Unreadable(error.into())),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("2.9.10"), Some((2, 9)));
        assert!(version("2.9.10") < Some(LEAST_VERSION));
        assert!(version("2.10.0-beta.1") >= Some(LEAST_VERSION));
        assert!(version("2.15.1") >= Some(LEAST_VERSION));
        assert_eq!(version("dev"), None);
    }

    #[test]
    fn an_answer_is_what_was_asked_for_or_a_refusal() {
        #[derive(Debug, serde::Deserialize)]
        struct Answer {
            number: u32,
        }
        assert_eq!(understand::<Answer>(br#"{"number":1}"#).unwrap().number, 1);
        let refused = br#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#;
        assert!(matches!(understand::<Answer>(refused), Err(Failure::Refused(_))));
        assert!(matches!(understand::<Answer>(b"?"), Err(Failure::Unreadable(_))));
    }
}
