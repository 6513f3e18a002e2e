//! Whether a producer may be stuck, and whether something that it has sent may still be on its way.

use std::time::{Duration, Instant};

use backup_tracker::{Delivery, Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::code_of;
use crate::properties::Properties;

/// librdkafka's `socket.timeout.ms` as this crate sets it.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);
/// How much longer than a connection that hangs is kept a producer takes to connect again and to write.
const RECOVERY: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Doubt {
    in_doubt: bool,
    /// When the first event was sent whose outcome is unknown, since one succeeded.
    unresolved: Option<Instant>,
    /// The same, before the event that is being sent.
    before: Option<Instant>,
    settles_after: Duration,
}

impl Doubt {
    pub(crate) fn new(properties: &Properties) -> Self {
        let socket_timeout = properties.get("socket.timeout.ms").and_then(|value| value.parse().ok());
        let socket_timeout = socket_timeout.map_or(SOCKET_TIMEOUT, Duration::from_millis);
        Self { in_doubt: false, unresolved: None, before: None, settles_after: socket_timeout + RECOVERY }
    }

    /// An event is sent; until its outcome is known, the producer is in doubt, also when the caller stops waiting. Returns whether
    /// it was before.
    pub(crate) fn begins(&mut self) -> bool {
        self.before = self.unresolved;
        self.unresolved.get_or_insert_with(Instant::now);
        std::mem::replace(&mut self.in_doubt, true)
    }

    /// An event succeeded, or the producer is a new one.
    pub(crate) fn is_over(&mut self) {
        (self.in_doubt, self.unresolved, self.before) = (false, None, None);
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        let is_open = error.is_transient() && error.delivery() == Delivery::Unknown;
        if !is_open {
            self.unresolved = self.before;
        }
        // Whom the broker answers is not stuck.
        if error.kind() == ErrorKind::Rejected || lacks_replicas(error) {
            self.in_doubt = self.before.is_some();
        }
    }

    /// How long the producer still has before it may be replaced. An event that timed out may be on its way on a connection that
    /// librdkafka keeps until `socket.timeout.ms` is over. Then it connects again, and what it writes first makes the broker refuse
    /// the event, however late that comes. A new producer is another one to the broker, and could not do that.
    pub(crate) fn settles_in(&self) -> Duration {
        self.before.map_or(Duration::ZERO, |since| self.settles_after.saturating_sub(since.elapsed()))
    }
}

fn lacks_replicas(error: &Error) -> bool {
    use RDKafkaErrorCode as C;
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<KafkaError>());
    matches!(cause.and_then(code_of), Some(C::NotEnoughReplicas | C::NotEnoughReplicasAfterAppend))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use backup_tracker::transport::Place;
    use backup_tracker::{Delivery, Error, ErrorKind};

    use super::{Doubt, Properties};
    use crate::delivery::not_sent;

    fn error(kind: ErrorKind) -> Error {
        Place::new("backups").error(kind, "send", "")
    }

    fn doubt() -> Doubt {
        Doubt::new(&Properties::default())
    }

    #[test]
    fn what_may_be_on_its_way_gives_the_producer_time() {
        let mut doubt = doubt();
        assert!(!doubt.begins());
        // The event itself is not meant.
        assert_eq!(doubt.settles_in(), Duration::ZERO);
        doubt.failed(&error(ErrorKind::Unavailable));
        assert!(doubt.begins());
        assert!(doubt.settles_in() > Duration::from_secs(9));
        // Also if nobody waited for the second one.
        assert!(doubt.begins());
        assert!(doubt.settles_in() > Duration::from_secs(9));
        doubt.is_over();
        assert!(!doubt.begins());
    }

    #[test]
    fn what_was_certainly_not_sent_gives_it_none() {
        let mut doubt = doubt();
        doubt.begins();
        doubt.failed(&not_sent(error(ErrorKind::Unavailable)));
        assert!(doubt.begins());
        assert_eq!(doubt.settles_in(), Duration::ZERO);
        doubt.failed(&error(ErrorKind::Denied).with_delivery(Delivery::Unknown));
        assert!(doubt.begins());
        assert_eq!(doubt.settles_in(), Duration::ZERO);
    }
}
