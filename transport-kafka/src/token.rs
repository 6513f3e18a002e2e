//! Tokens for OAUTHBEARER.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use backup_tracker::Result;
use rdkafka::client::OAuthToken;

/// A token with which a client proves who it is. See [`Kafka::oauth_token`](crate::Kafka::oauth_token).
#[derive(Clone)]
#[non_exhaustive]
pub struct OauthToken {
    /// The token, a JWT as a rule. `Debug` does not show it.
    pub token: String,
    /// Whose it is, as the client names itself. Brokers go by what the token says.
    pub principal: String,
    /// When it expires.
    pub expires: SystemTime,
}

impl OauthToken {
    /// A token of this principal, until it expires.
    pub fn new(token: impl Into<String>, principal: impl Into<String>, expires: SystemTime) -> Self {
        Self { token: token.into(), principal: principal.into(), expires }
    }

    fn for_librdkafka(self) -> OAuthToken {
        let lifetime = self.expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        let lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        OAuthToken { token: self.token, principal_name: self.principal, lifetime_ms }
    }
}

impl fmt::Debug for OauthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthToken")
            .field("principal", &self.principal)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Where clients get their tokens from.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<dyn Fn() -> Result<OauthToken> + Send + Sync>);

impl Tokens {
    pub(crate) fn new(ask: impl Fn() -> Result<OauthToken> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn next(&self) -> Result<OAuthToken> {
        (self.0)().map(OauthToken::for_librdkafka)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}
