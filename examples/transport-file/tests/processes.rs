//! Several processes share a log, and some of them are killed.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use backup_tracker::{Delivery, ErrorKind, Event, EventSource, Record, Sink, StartAt};
use tempfile::tempdir;
use tokio::time::timeout;
use transport_file_example::{FileLog, FileSource};
use uuid::Uuid;

/// The environment of a process that writes: the log's directory, the application, how many events, how many bytes each.
const WRITER: &str = "TRANSPORT_FILE_EXAMPLE_WRITER";
const PATIENCE: Duration = Duration::from_secs(20);

/// Not a test but a process of the other tests: sends numbered events, and says each number when it is acknowledged.
#[test]
fn writer() {
    let Ok(orders) = std::env::var(WRITER) else { return };
    let [directory, application, count, size] = orders.split('\n').collect::<Vec<_>>()[..] else {
        panic!("four orders: {orders}")
    };
    let [count, size] = [count, size].map(|number| number.parse::<usize>().unwrap());
    run(async {
        let mut sink = FileLog::open(directory).unwrap();
        for number in 0..count {
            sink.send(&event(application, number, size)).await.unwrap();
            // Past the test harness, which would keep it to itself.
            writeln!(std::io::stdout(), "sent {number}").unwrap();
        }
    });
}

fn start(directory: &Path, application: &str, count: usize, size: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture"])
        .env(WRITER, format!("{}\n{application}\n{count}\n{size}", directory.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn event(application: &str, number: usize, size: usize) -> Event {
    let filling = "x".repeat(size);
    Event::new(Uuid::new_v4(), application, format!("{application} {number} {filling}"))
}

/// Application and number.
fn told(record: &Record) -> (String, usize) {
    let payload = String::from_utf8(record.payload.clone().unwrap().to_vec()).unwrap();
    let mut words = payload.split(' ');
    (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap())
}

async fn next(source: &mut FileSource) -> Record {
    timeout(PATIENCE, source.next()).await.expect("a record in time").unwrap().unwrap()
}

#[test]
fn processes_that_write_side_by_side_lose_nothing_and_each_keeps_its_order() {
    const COUNT: usize = 60;
    let directory = tempdir().unwrap();
    let applications = ["shop", "search", "mail"];
    let mut writers = applications.map(|application| start(directory.path(), application, COUNT, 10));
    run(async {
        let log = FileLog::open(directory.path()).unwrap();
        let mut sources = [
            log.source("a", StartAt::Earliest).await.unwrap(),
            log.source("b", StartAt::Earliest).await.unwrap(),
        ];
        let mut seen = [BTreeMap::new(), BTreeMap::new()];
        // A third of it in one session, the rest in another one, while the writers write.
        for number in 0..COUNT * applications.len() {
            for (source, seen) in sources.iter_mut().zip(&mut seen) {
                let (application, number) = told(&next(source).await);
                let expected = seen.entry(application).or_insert(0);
                assert_eq!(number, *expected);
                *expected += 1;
            }
            if number == COUNT {
                sources[0].commit().await.unwrap();
                sources[0] = log.source("a", StartAt::Earliest).await.unwrap();
                assert!(sources[0].resumed());
            }
        }
        for source in &mut sources {
            assert_eq!(source.remaining().await.unwrap().total(), 0);
        }
    });
    for writer in &mut writers {
        assert!(writer.wait().unwrap().success());
    }
}

#[test]
fn a_writer_that_is_killed_loses_nothing_that_was_acknowledged_and_the_log_goes_on() {
    const SIZE: usize = 500_000;
    let directory = tempdir().unwrap();
    let file = directory.path().join("log");
    let log = FileLog::open(directory.path()).unwrap();
    let mut torn = 0;
    for life in 0..8 {
        let application = format!("life-{life}");
        let mut source = run(log.source(&application, StartAt::Latest)).unwrap();
        let mut writer = start(directory.path(), &application, usize::MAX, SIZE);
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let before = loop {
            let line = lines.next().expect("more lines").unwrap();
            if line.starts_with("sent 1") {
                break std::fs::metadata(&file).unwrap().len();
            }
        };
        // In the middle of a write, where that can be met.
        while std::fs::metadata(&file).unwrap().len() == before {
            assert!(writer.try_wait().unwrap().is_none(), "the writer ended by itself");
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let acknowledged =
            1 + lines.filter(|line| line.as_ref().is_ok_and(|line| line.starts_with("sent"))).count();
        torn += usize::from(!std::fs::read(&file).unwrap().ends_with(b"\n"));

        run(async {
            // What was acknowledged is there, in order; then perhaps one more; and then what another writer sends.
            log.clone().send(&event("after", life, 1)).await.unwrap();
            let mut numbers = Vec::new();
            loop {
                let record = next(&mut source).await;
                if record.payload.is_none() {
                    continue;
                }
                match told(&record) {
                    (name, number) if name == "after" && number == life => break,
                    (name, number) if name == application => numbers.push(number),
                    _ => {}
                }
            }
            assert!(
                numbers.len() > acknowledged,
                "{numbers:?}: {acknowledged} more than the first were acknowledged"
            );
            assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
            assert_eq!(source.remaining().await.unwrap().total(), 0);
        });
    }
    println!("{torn} of 8 writers were killed in the middle of a line");
}

#[test]
fn half_a_line_is_a_record_without_key_and_value_and_the_next_writer_begins_a_new_line() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("log");
    run(async {
        let log = FileLog::open(directory.path()).unwrap();
        let mut sink = log.clone();
        sink.send(&event("shop", 0, 1)).await.unwrap();
        let mut half = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
        half.write_all(br#"["6bd2a48e-7c3c-4b4a-8f5f-9e3f6c1d2b10",[],[115,104"#).unwrap();

        let mut source = log.source("g", StartAt::Earliest).await.unwrap();
        assert_eq!(source.remaining().await.unwrap().total(), 2);
        assert_eq!(told(&next(&mut source).await), ("shop".to_owned(), 0));
        let record = next(&mut source).await;
        assert_eq!((record.key, record.payload), (None, None));
        assert_eq!(source.remaining().await.unwrap().total(), 0);
        source.commit().await.unwrap();

        sink.send(&event("shop", 2, 1)).await.unwrap();
        let mut next_session = log.source("g", StartAt::Earliest).await.unwrap();
        for source in [&mut source, &mut next_session] {
            assert!(source.resumed() || source.remaining().await.unwrap().total() == 1);
            assert_eq!(told(&next(source).await), ("shop".to_owned(), 2));
        }
        assert!(next_session.resumed());
    });
}

#[test]
fn a_send_that_waits_while_the_log_is_deleted_goes_into_the_new_one() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("log");
    run(async {
        let log = FileLog::open(directory.path()).unwrap();
        let (mut sink, mut source) = (log.clone(), log.source("g", StartAt::Earliest).await.unwrap());
        let old = std::fs::File::open(&file).unwrap();
        old.lock().unwrap();
        let event = event("shop", 0, 1);
        let mut send = std::pin::pin!(sink.send(&event));
        // It has the old file open now, and waits for its lock.
        assert!(timeout(Duration::from_millis(50), &mut send).await.is_err());
        std::fs::remove_file(&file).unwrap();
        old.unlock().unwrap();
        send.await.unwrap();
        assert_eq!(source.next().await.unwrap_err().kind(), ErrorKind::Lost);
        assert_eq!(told(&next(&mut source).await), ("shop".to_owned(), 0));
    });
}

#[test]
fn a_send_that_is_dropped_while_it_waits_for_its_turn_is_not_sent() {
    let directory = tempdir().unwrap();
    run(async {
        let log = FileLog::open(directory.path()).unwrap();
        let (mut sink, mut source) = (log.clone(), log.source("g", StartAt::Earliest).await.unwrap());
        let other = std::fs::File::open(directory.path().join("log")).unwrap();
        other.lock().unwrap();
        let short = Duration::from_millis(50);
        assert!(timeout(short, sink.send(&event("shop", 0, 1))).await.is_err());
        let error = sink.send(&event("shop", 1, 1)).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
        other.unlock().unwrap();
        sink.send(&event("shop", 2, 1)).await.unwrap();
        assert_eq!(told(&next(&mut source).await), ("shop".to_owned(), 2));
    });
}

#[test]
fn a_log_that_was_put_back_from_an_older_copy_is_lost_once() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("log");
    run(async {
        let log = FileLog::open(directory.path()).unwrap();
        let mut sink = log.clone();
        sink.send(&event("shop", 0, 1)).await.unwrap();
        let copy = std::fs::read(&file).unwrap();
        sink.send(&event("shop", 1, 1)).await.unwrap();
        let mut source = log.source("g", StartAt::Latest).await.unwrap();
        source.commit().await.unwrap();
        let mut source = log.source("g", StartAt::Latest).await.unwrap();
        assert!(source.resumed());
        std::fs::write(&file, copy).unwrap();

        assert_eq!(source.next().await.unwrap_err().kind(), ErrorKind::Lost);
        assert_eq!(told(&next(&mut source).await), ("shop".to_owned(), 0));
        assert!(!source.resumed());
    });
}

#[test]
fn a_position_in_a_later_life_of_the_log_counts_more_than_one_in_an_earlier_life() {
    let directory = tempdir().unwrap();
    run(async {
        let log = FileLog::open(directory.path()).unwrap();
        for life in 0..10 {
            let mut source = log.source("g", StartAt::Earliest).await.unwrap();
            log.clone().send(&event("shop", life, 1)).await.unwrap();
            if life > 0 {
                assert_eq!(source.next().await.unwrap_err().kind(), ErrorKind::Lost, "life {life}");
            }
            assert_eq!(told(&next(&mut source).await), ("shop".to_owned(), life));
            source.commit().await.unwrap();
            assert!(log.source("g", StartAt::Earliest).await.unwrap().resumed(), "life {life}");
            std::fs::remove_file(directory.path().join("log")).unwrap();
        }
    });
}

#[test]
fn names_that_are_blank_are_refused_and_names_that_are_paths_are_names() {
    let directory = tempdir().unwrap();
    assert_eq!(FileLog::open(" ").unwrap_err().kind(), ErrorKind::Config);
    run(async {
        let log = FileLog::open(directory.path()).unwrap();
        assert_eq!(log.source(" ", StartAt::Latest).await.unwrap_err().kind(), ErrorKind::Config);
        for group in ["../escape", "/etc/passwd", "a/b", "."] {
            log.source(group, StartAt::Earliest).await.unwrap().commit().await.unwrap();
            assert!(log.source(group, StartAt::Earliest).await.unwrap().resumed());
        }
        let entries = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut entries = entries.collect::<Vec<_>>();
        entries.sort();
        assert_eq!(entries, ["log", "positions"]);
    });
}
