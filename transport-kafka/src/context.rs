//! What librdkafka tells its client besides results: log lines and background errors.

use std::error::Error as StdError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backup_tracker::ErrorKind;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Statistics};

use crate::error::{code_of, kind_of};
use crate::token::Tokens;

/// The context of every client of this crate. A clone is the same context: some clients keep theirs to themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    /// `debug=eos` was added by us, so its lines are not the user's business.
    hide_eos: bool,
    /// Whether the client has a group only because librdkafka wants one, so that it hurts nothing when it is refused.
    ignores_group: bool,
    tokens: Option<Tokens>,
}

/// What librdkafka met in the background, where a request only times out.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) code: RDKafkaErrorCode,
    /// What librdkafka says of it: which broker, which step, and the broker's own words.
    pub(crate) reason: String,
}

impl Trouble {
    /// The broker with which librdkafka met it: a reason begins with its name, where it has to do with one.
    fn broker(&self) -> Option<&str> {
        self.reason.split_once(": ").map(|(broker, _)| broker).filter(|broker| broker.contains('/'))
    }
}

#[derive(Debug, Default)]
struct State {
    denied: Option<Trouble>,
    denied_group: Option<Trouble>,
    unreached: Option<Trouble>,
    producer_id: bool,
}

impl Context {
    pub(crate) fn for_producer(hide_eos: bool) -> Self {
        Self(Arc::new(Inner { hide_eos, ..Inner::default() }))
    }

    pub(crate) fn for_observer() -> Self {
        Self(Arc::new(Inner { ignores_group: true, ..Inner::default() }))
    }

    /// The context, not shared yet, of a client that asks here for tokens.
    pub(crate) fn with_tokens(self, tokens: Option<Tokens>) -> Self {
        let Inner { hide_eos, ignores_group, .. } = *self.0;
        Self(Arc::new(Inner { hide_eos, ignores_group, tokens, ..Inner::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, trouble: Trouble) {
        let mut state = self.state();
        match (trouble.code, kind_of(trouble.code)) {
            // It says how many brokers are down, and not which, or why.
            (RDKafkaErrorCode::AllBrokersDown, _) => {}
            (_, ErrorKind::Unavailable) => {
                // A broker that refused this client and cannot be reached now does not refuse it now.
                state.denied.take_if(|refusal| refusal.broker() == trouble.broker());
                state.unreached = Some(trouble);
            }
            (code, ErrorKind::Denied) => {
                let of_group = code == RDKafkaErrorCode::GroupAuthorizationFailed;
                if of_group {
                    state.denied_group = Some(trouble.clone());
                }
                if !(of_group && self.0.ignores_group) {
                    state.denied = Some(trouble);
                }
                self.0.changed.notify_all();
            }
            _ => {}
        }
    }

    /// The refusal that librdkafka met in the background, if any: requests only time out then, and would hide the reason.
    pub(crate) fn denied(&self) -> Option<Trouble> {
        self.state().denied.clone()
    }

    /// The refusal of the client's group, also where the client can do without.
    pub(crate) fn denied_group(&self) -> Option<Trouble> {
        self.state().denied_group.clone()
    }

    /// Which broker could not be reached last, and why: a name that does not resolve, a port where nobody listens.
    pub(crate) fn unreached(&self) -> Option<Trouble> {
        self.state().unreached.clone()
    }

    /// The broker took something from this client, so that a refusal before that is over.
    pub(crate) fn is_let_in(&self) {
        self.state().denied = None;
    }

    /// Waits until the idempotent producer has its id, or a refusal is known, or the time is over.
    pub(crate) fn wait_for_producer_id(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut state = self.state();
        while !state.producer_id && state.denied.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.producer_id
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        // Without tokens the mechanism is another one, or opening was refused.
        let tokens = self.0.tokens.as_ref().ok_or("there is nobody to ask for a token")?;
        Ok(tokens.next()?)
    }

    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        // The only sign of an acquired producer id that librdkafka gives to a producer without transactions.
        if fac == "GETPID" && message.contains("Acquired PID") {
            self.state().producer_id = true;
            self.0.changed.notify_all();
        }
        match level {
            // What librdkafka logs as an error it deals with itself; what it cannot heal comes back from a call.
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", fac, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", fac, "{message}");
            }
            RDKafkaLogLevel::Debug if self.0.hide_eos => {
                tracing::trace!(target: "librdkafka", fac, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", fac, "{message}"),
        }
    }

    // Whoever asks for statistics wants them in the log; parsing them first would only cost.
    fn stats_raw(&self, statistics: &[u8]) {
        tracing::info!(target: "librdkafka", statistics = %String::from_utf8_lossy(statistics));
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let code = code_of(&error)
            .map(|code| if is_refused_certificate(reason) { RDKafkaErrorCode::SSL } else { code });
        if let Some(code) = code {
            self.keep(Trouble { code, reason: reason.to_owned() });
        }
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Context {}

/// Whether a connection broke because the broker does not take this client's certificate, or misses it. With TLS 1.3 the client
/// considers the handshake done by then, and librdkafka takes it for a broken connection like any other.
fn is_refused_certificate(reason: &str) -> bool {
    // bad, unsupported, revoked, expired or unknown certificate; unknown authority; access denied; certificate required.
    const ALERTS: [u32; 8] = [42, 43, 44, 45, 46, 48, 49, 116];
    let Some((_, alert)) = reason.split_once("SSL alert number ") else {
        return false;
    };
    let digits = alert.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().is_ok_and(|number| ALERTS.contains(&number))
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientContext;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::{Context, is_refused_certificate};

    #[test]
    fn a_refusal_is_over_when_the_broker_takes_something() {
        let context = Context::default();
        context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "wrong password");
        assert_eq!(context.denied().unwrap().reason, "wrong password");
        context.is_let_in();
        assert!(context.denied().is_none());
    }

    #[test]
    fn a_refusal_is_over_when_the_broker_that_refused_cannot_be_reached() {
        let context = Context::default();
        let refused = |reason| context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), reason);
        let away =
            |reason| context.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), reason);
        refused("sasl_plaintext://kafka-1:9092/1: SASL authentication error");
        away("sasl_plaintext://kafka-2:9092/2: Connect failed");
        assert!(context.denied().is_some());
        away("sasl_plaintext://kafka-1:9092/1: Connect failed");
        assert!(context.denied().is_none());
        // What no broker said is not taken back by one.
        refused("Failed to acquire SASL OAUTHBEARER token");
        away("sasl_plaintext://kafka-1:9092/1: Connect failed");
        assert!(context.denied().is_some());
    }

    #[test]
    fn only_alerts_about_a_certificate_are_refusals() {
        let reason = |alert: &str| {
            format!(
                "ssl://127.0.0.1:9093/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL \
                 alert number {alert} (after 2ms in state APIVERSION_QUERY)"
            )
        };
        assert!(is_refused_certificate(&reason("42")));
        assert!(is_refused_certificate(&reason("116")));
        // Close notify, internal error, and no alert at all.
        for other in
            [reason("0"), reason("80"), reason("420"), "Disconnected (after 42ms in state UP)".to_owned()]
        {
            assert!(!is_refused_certificate(&other), "{other}");
        }
    }
}
