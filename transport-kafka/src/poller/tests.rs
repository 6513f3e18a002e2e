use std::sync::Arc;
use std::time::Duration;

use backup_tracker::transport::{DEFAULT_CONTACT_TIME, Place};
use rdkafka::message::OwnedMessage;
use rdkafka::{ClientConfig, Timestamp};
use tokio::sync::mpsc;

use super::{LONG_POLL, POLL, Poller, QUIET, Shared, patience};
use crate::context::Context;
use crate::link::Link;
use crate::positions::{Client, Progress};

#[test]
fn it_polls_seldom_once_nothing_is_to_come() {
    let (refresh, contact) = (Duration::from_secs(30), DEFAULT_CONTACT_TIME);
    assert_eq!(patience(QUIET - Duration::from_millis(1), true, refresh, contact), POLL);
    assert_eq!(patience(QUIET, true, refresh, contact), LONG_POLL);
    // What is not in order is looked after, and new partitions are looked for as often as was asked for.
    assert_eq!(patience(QUIET, false, refresh, contact), POLL);
    assert_eq!(patience(QUIET, true, Duration::from_millis(300), contact), Duration::from_millis(300));
    // Nor does silence go unnoticed.
    assert_eq!(patience(QUIET, true, refresh, Duration::from_secs(2)), Duration::from_millis(250));
}

fn poller(progress: &[i64]) -> Poller {
    let make = || -> Client {
        ClientConfig::new().set("group.id", "search").create_with_context(Context::default()).unwrap()
    };
    Poller::new(
        (Arc::new(Link::new(Arc::new(make()))), Arc::new(move || Ok(make()))),
        Place::new("backups"),
        mpsc::channel(10).0,
        Arc::new(Shared::default()),
        (progress.iter().copied().map(Progress::at).collect(), vec![0; progress.len()]),
        (DEFAULT_CONTACT_TIME, Duration::MAX),
    )
}

fn message(partition: i32, offset: i64, payload: &str) -> OwnedMessage {
    let payload = Some(payload.as_bytes().to_vec());
    OwnedMessage::new(payload, None, "backups".into(), Timestamp::NotAvailable, partition, offset, None)
}

#[test]
fn a_record_that_was_handed_over_is_not_handed_over_again() {
    let mut poller = poller(&[3, 0]);
    // Gaps are nothing strange; records of partitions that nobody asked for are.
    let mut seen = Vec::new();
    for (partition, offset) in [(0, 2), (0, 3), (1, 0), (0, 3), (0, 5), (0, 4), (2, 0), (-1, 0)] {
        if poller.moves_to(&message(partition, offset, "")).is_some() {
            seen.push((partition, offset));
        }
    }
    assert_eq!(seen, [(0, 3), (1, 0), (0, 5)]);
}

#[test]
fn what_comes_after_a_look_counts_only_behind_the_record_that_was_read() {
    let mut poller = poller(&[0]);
    assert!(poller.moves_to(&message(0, 0, "ready")).is_some());
    for (again, same) in [("ready", true), ("another", false)] {
        poller.expected[0] = poller.progress[0].behind;
        assert!(poller.moves_to(&message(0, 0, again)).is_none());
        assert_eq!(poller.misplaced.is_none(), same, "{again}");
    }
    assert!(poller.moves_to(&message(0, 1, "backing up")).is_none());
    assert_eq!(poller.progress[0].next, 1);
}

#[test]
fn what_comes_after_trouble_waits_for_a_look() {
    let mut poller = poller(&[0]);
    poller.contact.suspect_all();
    assert!(poller.moves_to(&message(0, 0, "ready")).is_none());
    assert_eq!(poller.progress, [Progress::at(0)]);
}
