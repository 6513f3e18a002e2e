//! A source that does as it is told, one answer after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use backup_tracker::wire::encode;
use backup_tracker::{BackupState, BackupTransition, Position, Remaining, WireFormat};
use tokio::time::timeout;
use uuid::Uuid;

use super::*;
use BackupState::{BackingUp, Ready, Starting};

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Result<Option<Record>>>,
    remaining: VecDeque<Result<u64>>,
    asked: Vec<&'static str>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn next(self, answer: Result<Option<Record>>) -> Self {
        self.0.lock().unwrap().next.push_back(answer);
        self
    }

    fn remaining(self, answer: Result<u64>) -> Self {
        self.0.lock().unwrap().remaining.push_back(answer);
        self
    }

    fn step(self, number: u64, from: BackupState, to: BackupState) -> Self {
        let transition = BackupTransition::new(Uuid::from_u128(u128::from(number)), "shop", number, from, to);
        let payload = encode(&transition, WireFormat::Cbor).payload;
        self.next(Ok(Some(Record::new(Position::Offset(number)).payload(payload))))
    }

    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    fn reading(&self) -> Reading {
        Reading::new(BoxSource::new(self.clone()))
    }
}

impl EventSource for Scripted {
    async fn next(&mut self) -> Result<Option<Record>> {
        let answer = self.0.lock().unwrap().next.pop_front();
        match answer {
            Some(answer) => {
                self.0.lock().unwrap().asked.push("next");
                answer
            }
            None => std::future::pending().await,
        }
    }

    async fn commit(&mut self) -> Result<()> {
        panic!("whoever only looks does not commit")
    }

    fn resumed(&self) -> bool {
        false
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        let mut script = self.0.lock().unwrap();
        script.asked.push("remaining");
        script.remaining.pop_front().unwrap().map(Remaining::from)
    }
}

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "read", "on purpose")
}

fn state(reading: &Reading) -> BackupState {
    reading.ledger().account("shop").unwrap().state()
}

#[tokio::test(start_paused = true)]
async fn it_is_caught_up_with_the_last_record_that_was_counted_at_the_beginning() {
    let source = Scripted::default().remaining(Ok(2)).step(1, Ready, BackingUp).step(2, BackingUp, Ready);
    let mut reading = source.reading();
    assert!(matches!(reading.advance().await, Ok(Progress::Counted)));
    assert!(!reading.is_caught_up());
    assert!(matches!(reading.advance().await, Ok(Progress::Record)));
    assert!(!reading.is_caught_up());
    assert!(matches!(reading.advance().await, Ok(Progress::Record)));
    assert!(reading.is_caught_up());
    assert_eq!(source.asked(), ["remaining", "next", "next"]);
    assert!(timeout(Duration::from_secs(3600), reading.advance()).await.is_err(), "there is nothing more");
    assert_eq!(source.asked(), [""; 0], "and nothing to ask");
    assert_eq!(reading.close().await.records(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_count_that_was_too_high_is_asked_for_again_when_the_source_is_silent() {
    let source =
        Scripted::default().remaining(Ok(3)).remaining(Ok(2)).remaining(Ok(0)).step(1, Starting, Ready);
    let mut reading = source.reading();
    for _ in 0..3 {
        assert!(!reading.is_caught_up());
        reading.advance().await.unwrap();
    }
    assert!(!reading.is_caught_up());
    assert!(matches!(reading.advance().await, Ok(Progress::Counted)));
    assert!(reading.is_caught_up());
    assert_eq!(source.asked(), ["remaining", "next", "remaining", "remaining"]);
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_and_waited_out_and_then_it_counts_again() {
    let unavailable = || error(ErrorKind::Unavailable);
    let source = Scripted::default()
        .remaining(Err(unavailable()))
        .remaining(Ok(1))
        .next(Err(unavailable()))
        .remaining(Ok(1))
        .step(1, Starting, Ready);
    let mut reading = source.reading();
    let mut told = Vec::new();
    while !reading.is_caught_up() {
        let began = Instant::now();
        let progress = reading.advance().await.unwrap();
        told.push((matches!(progress, Progress::Trouble(_)), !began.elapsed().is_zero()));
    }
    // Each trouble is followed by a wait.
    assert_eq!(told, [(true, false), (false, true), (true, false), (false, true), (false, false)]);
    assert_eq!(state(&reading), Ready);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_records_were_lost_is_not_believed_and_each_loss_counts() {
    let source = Scripted::default()
        .remaining(Ok(1))
        .step(1, Starting, Ready)
        .next(Err(error(ErrorKind::Lost)))
        .remaining(Ok(2))
        .next(Err(error(ErrorKind::Lost)))
        .remaining(Ok(2))
        .step(2, Ready, BackingUp)
        .step(3, BackingUp, Ready);
    let mut reading = source.reading();
    for _ in 0..2 {
        reading.advance().await.unwrap();
    }
    assert!(reading.is_caught_up());
    assert!(matches!(reading.advance().await, Ok(Progress::Lost(_))));
    assert!(!reading.is_caught_up());
    assert_eq!(state(&reading), Starting);
    assert!(matches!(reading.advance().await, Ok(Progress::Counted)));
    assert!(matches!(reading.advance().await, Ok(Progress::Lost(_))));
    let mut steps = 0;
    while !reading.is_caught_up() {
        reading.advance().await.unwrap();
        steps += 1;
    }
    assert_eq!((steps, state(&reading), reading.ledger().losses()), (3, Ready, 2));
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_ends_it() {
    let denied = Scripted::default().remaining(Err(error(ErrorKind::Denied)));
    assert_eq!(denied.reading().advance().await.unwrap_err().kind(), ErrorKind::Denied);
    let ended = Scripted::default().remaining(Ok(0)).next(Ok(None));
    let mut reading = ended.reading();
    reading.advance().await.unwrap();
    assert_eq!(reading.advance().await.unwrap_err().kind(), ErrorKind::Lost);
}

#[tokio::test(start_paused = true)]
async fn advancing_is_cancel_safe_also_while_it_waits_after_trouble() {
    let source = Scripted::default()
        .remaining(Err(error(ErrorKind::Unavailable)))
        .remaining(Ok(1))
        .step(1, Starting, Ready);
    let mut reading = source.reading();
    reading.advance().await.unwrap();
    let began = Instant::now();
    while timeout(Duration::from_millis(1), reading.advance()).await.is_err() {}
    assert!(began.elapsed() >= RetryPolicy::DEFAULT_FIRST);
    assert_eq!(source.asked(), ["remaining", "remaining"]);
    reading.advance().await.unwrap();
    assert!(reading.is_caught_up());
}
