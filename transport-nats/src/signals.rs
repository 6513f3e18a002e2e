//! What the connection's background task has reported.

use std::collections::VecDeque;

use async_nats::{ClientError, ConnectErrorKind, Event, ServerError};
use backup_tracker::ErrorKind;

/// How many refusals are remembered. One request is under way at a time, so that one would nearly do.
const REFUSALS: usize = 16;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) why: String,
    /// The kind that it has when a session is opened, where that is another one than `Unavailable`.
    pub(crate) cause: Option<ErrorKind>,
}

impl Trouble {
    pub(crate) fn new(why: impl Into<String>, cause: Option<ErrorKind>) -> Self {
        Self { why: why.into(), cause }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// How often there was a connection, and how often it ended.
    pub(crate) connections: u64,
    pub(crate) disconnections: u64,
    /// Why there is no connection, where that is known.
    pub(crate) trouble: Option<Trouble>,
    /// The server's last refusals of publishing, and how many there were.
    refusals: VecDeque<String>,
    pub(crate) refused: u64,
    /// A refusal of our inbox: no answer can come.
    pub(crate) inbox: Option<String>,
}

impl Signals {
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Disconnected => self.disconnections += 1,
            Event::Connected => {
                self.connections += 1;
                (self.trouble, self.inbox) = (None, None);
            }
            Event::ClientError(ClientError::Other(text)) => self.not_connected(text),
            Event::ServerError(ServerError::AuthorizationViolation) => self.trouble = Some(refused()),
            Event::ServerError(ServerError::Other(text)) => self.refusal(text),
            _ => {}
        }
    }

    /// The client passes on no more than the name of what went wrong.
    fn not_connected(&mut self, text: String) {
        let is = |kind: ConnectErrorKind| kind.to_string() == text;
        if is(ConnectErrorKind::AuthorizationViolation) {
            self.trouble = Some(refused());
        } else if is(ConnectErrorKind::Authentication) {
            // Why they could not be read was noted when they were.
            let unusable =
                || Trouble::new("the credentials cannot be used to sign in", Some(ErrorKind::Denied));
            self.trouble.get_or_insert_with(unusable);
        } else {
            let cause = is(ConnectErrorKind::Tls).then_some(ErrorKind::Config);
            self.trouble = Some(Trouble::new(text, cause));
        }
    }

    /// `Permissions Violation for Publish to "a.b"`, or `… for Subscription to "_INBOX.x"`.
    fn refusal(&mut self, text: String) {
        let lower = text.to_lowercase();
        if lower.contains("authentication") || lower.contains("revoked") {
            // `User Authentication Expired`, `Account Authentication Revoked` and the like: the connection ends.
            self.trouble = Some(Trouble::new(text, Some(ErrorKind::Denied)));
            return;
        }
        if !lower.contains("permissions violation") {
            return;
        }
        if lower.contains("subscription") {
            let subject = text.split('"').nth(1).unwrap_or(&text);
            self.inbox = Some(subject.to_owned());
        } else {
            self.refusals.push_back(text);
            self.refused += 1;
            if self.refusals.len() > REFUSALS {
                self.refusals.pop_front();
            }
        }
    }

    /// Whether publishing to the subject was refused after the first so many refusals.
    pub(crate) fn refuses(&self, subject: &str, since: u64) -> bool {
        let quoted = format!("\"{subject}\"");
        let new = usize::try_from(self.refused - since).unwrap_or(usize::MAX);
        self.refusals.iter().rev().take(new).any(|text| text.contains(&quoted))
    }
}

fn refused() -> Trouble {
    Trouble::new("the server refuses the credentials", Some(ErrorKind::Denied))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_for_its_own_subject_and_for_later_requests_only() {
        let mut signals = Signals::default();
        let refuse = |signals: &mut Signals, text: &str| {
            signals.take(Event::ServerError(ServerError::Other(text.to_owned())));
        };
        refuse(&mut signals, r#"Permissions Violation for Publish to "a.b""#);
        assert!(signals.refuses("a.b", 0));
        assert!(!signals.refuses("a.b", 1));
        assert!(!signals.refuses("a", 0));
        refuse(&mut signals, r#"Permissions Violation for Subscription to "_INBOX.x.*""#);
        assert_eq!(signals.inbox.as_deref(), Some("_INBOX.x.*"));
        signals.take(Event::Connected);
        assert_eq!(signals.inbox, None);
    }

    #[test]
    fn a_refused_handshake_keeps_its_cause_until_there_is_a_connection() {
        for (kind, cause) in [
            (ConnectErrorKind::AuthorizationViolation, Some(ErrorKind::Denied)),
            (ConnectErrorKind::Authentication, Some(ErrorKind::Denied)),
            (ConnectErrorKind::Tls, Some(ErrorKind::Config)),
            (ConnectErrorKind::Io, None),
        ] {
            let mut signals = Signals::default();
            signals.take(Event::ClientError(ClientError::Other(kind.to_string())));
            assert_eq!(signals.trouble.as_ref().unwrap().cause, cause, "{kind}");
            signals.take(Event::Connected);
            assert_eq!(signals.trouble, None);
        }
        let mut signals = Signals { trouble: Some(Trouble::new("no such file", None)), ..Signals::default() };
        signals.take(Event::ClientError(ClientError::Other(ConnectErrorKind::Authentication.to_string())));
        assert_eq!(signals.trouble.unwrap().why, "no such file");
    }
}
