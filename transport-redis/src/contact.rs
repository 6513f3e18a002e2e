//! When a source is out of contact with its stream (S13).

use std::time::Duration;

use redis::{Cmd, Value};

use crate::answer::text;

/// How long the server may hold a read that has nothing to return. Then it is asked again, which shows a connection that
/// died in silence.
const BLOCK: Duration = Duration::from_secs(3);
/// After so long without contact `next` says so again, while it goes on trying.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a primary pings its replicas unless set (`repl-ping-replica-period`).
const PING: Duration = Duration::from_secs(10);

/// What the contact time and the request timeout make of each wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// For how long the server may hold a read.
    pub(crate) block: Duration,
    /// How long a look may take that the server does not hold, a new connection included.
    pub(crate) look: Duration,
    /// How long one may take that it holds: both together.
    pub(crate) waiting: Duration,
    /// How long `next` waits for contact to come back before it says again that there is none.
    pub(crate) again: Duration,
    /// For how long a replica may have heard nothing of its primary.
    pub(crate) silence: Duration,
}

impl Times {
    /// Contact that is lost right after an answer shows in three quarters of the contact time at most.
    pub(crate) fn new(contact: Duration, request: Duration) -> Self {
        let (block, look) = (BLOCK.min(contact / 4), request.min(contact / 2));
        Self {
            block,
            look,
            waiting: block.saturating_add(look),
            again: AGAIN.min(contact / 4),
            silence: contact.saturating_add(PING),
        }
    }
}

/// Asks whether the server is a replica, and what it hears.
pub(crate) fn question() -> Cmd {
    let mut command = redis::cmd("INFO");
    command.arg("replication");
    command
}

/// Why the server is no source of news, if it is a replica that has lost its primary.
pub(crate) fn stale(answer: Value, silence: Duration) -> Option<String> {
    let info = match answer {
        Value::VerbatimString { text, .. } => text,
        other => text(other)?,
    };
    let field = |wanted: &str| {
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| *name == wanted).map(|(_, value)| value.trim())
    };
    if field("role") != Some("slave") {
        return None;
    }
    if field("master_link_status") != Some("up") {
        return Some("it has lost its primary (`master_link_status` is not `up`)".to_owned());
    }
    let heard: u64 = field("master_last_io_seconds_ago")?.parse().ok()?;
    let silent = heard > silence.as_secs();
    silent
        .then(|| format!("it has heard nothing of its primary for {heard} s (`master_last_io_seconds_ago`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_that_is_lost_shows_in_time_whatever_the_settings() {
        let seconds = Duration::from_secs;
        for contact in [Duration::from_millis(1), seconds(1), seconds(10), seconds(600), Duration::MAX] {
            for request in [Duration::from_millis(1), seconds(1), seconds(10), seconds(60), Duration::MAX] {
                let times = Times::new(contact, request);
                assert!(times.waiting <= contact, "{contact:?} {request:?}: {times:?}");
                assert!(times.look <= request && times.again <= AGAIN);
            }
        }
    }

    #[test]
    fn only_a_replica_that_hears_nothing_is_stale() {
        let stale = |info: &str| {
            let info = Value::BulkString(info.replace(' ', "\r\n").into_bytes());
            stale(info, Duration::from_secs(20))
        };
        assert_eq!(stale("role:master connected_slaves:0"), None);
        assert_eq!(stale("role:slave master_link_status:up master_last_io_seconds_ago:9"), None);
        assert_eq!(stale("nothing at all"), None);
        let silent = stale("role:slave master_link_status:up master_last_io_seconds_ago:21").unwrap();
        assert!(silent.contains("21 s"), "{silent}");
        assert!(stale("role:slave master_link_status:down master_last_io_seconds_ago:-1").is_some());
    }
}
