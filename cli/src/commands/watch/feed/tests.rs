use backup_tracker::BackupState;
use tokio::sync::broadcast::error::TryRecvError;

use super::*;

fn step(number: u128) -> Arc<Step> {
    Arc::new(Step {
        application: "shop".into(),
        state: BackupState::Ready,
        from: BackupState::Ready,
        id: Uuid::from_u128(number),
        timestamp: None,
        timestamp_millis: 0,
        replay: false,
        missed: false,
    })
}

fn numbers(steps: Option<Vec<Arc<Step>>>) -> Option<Vec<u128>> {
    steps.map(|steps| steps.iter().map(|step| step.id.as_u128()).collect())
}

#[test]
fn a_reader_that_returns_gets_what_it_missed_and_then_what_is_new() {
    let feed = Feed::new();
    for number in 1..=3 {
        feed.publish(step(number));
    }
    let mut back = feed.subscribe(Some(Uuid::from_u128(1))).unwrap();
    feed.publish(step(4));
    assert_eq!(numbers(back.missed), Some(vec![2, 3]));
    assert_eq!(back.receiver.try_recv().unwrap().id.as_u128(), 4);
    assert_eq!(back.receiver.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(numbers(feed.subscribe(Some(Uuid::from_u128(4))).unwrap().missed), Some(vec![]));
    assert_eq!(numbers(feed.subscribe(None).unwrap().missed), Some(vec![]));
}

#[test]
fn what_is_too_old_or_was_never_there_is_not_known() {
    let feed = Feed::new();
    for number in 0..=KEPT as u128 {
        feed.publish(step(number));
    }
    assert_eq!(numbers(feed.subscribe(Some(Uuid::from_u128(0))).unwrap().missed), None);
    assert_eq!(numbers(feed.subscribe(Some(Uuid::from_u128(1))).unwrap().missed).unwrap().len(), KEPT - 1);
    assert_eq!(numbers(feed.subscribe(Some(Uuid::from_u128(9999))).unwrap().missed), None);
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody_and_is_told_how_many_it_lost() {
    let feed = Feed::new();
    let mut slow = feed.subscribe(None).unwrap().receiver;
    for number in 0..KEPT as u128 + 7 {
        feed.publish(step(number));
    }
    assert_eq!(slow.try_recv().unwrap_err(), TryRecvError::Lagged(7));
    assert_eq!(slow.try_recv().unwrap().id.as_u128(), 7);
}

#[test]
fn closing_ends_readers_and_admits_no_more() {
    let feed = Feed::new();
    let mut reader = feed.subscribe(None).unwrap().receiver;
    feed.close();
    assert_eq!(reader.try_recv().unwrap_err(), TryRecvError::Closed);
    feed.publish(step(1));
    assert!(feed.subscribe(None).is_none());
}
