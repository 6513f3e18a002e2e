//! What a record costs on its whole way through a secondary, and an announcement on its whole way through a primary, over a
//! source and a sink that cost nothing: reading, deciding, committing, showing.

use std::io;
use std::time::{Duration, Instant};

use backup_tracker::wire::encode;
use backup_tracker::{
    BackupState, BackupTracker, BackupTransition, Event, EventSource, Position, PrimaryBackupTracker, Record,
    Remaining, Result, SecondaryBackupTracker, SimpleBackupTracker, Sink, WireFormat,
};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::support::{Contender, Duel, Effort};

/// A log that is read from memory, and then stays silent.
struct Reel(std::vec::IntoIter<Record>);

impl EventSource for Reel {
    async fn next(&mut self) -> Result<Option<Record>> {
        match self.0.next() {
            Some(record) => Ok(Some(record)),
            None => std::future::pending().await,
        }
    }

    async fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    fn resumed(&self) -> bool {
        false
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        Ok((self.0.len() as u64).into())
    }
}

/// Takes everything.
struct Nowhere;

impl Sink for Nowhere {
    async fn send(&mut self, _event: &Event) -> Result<()> {
        Ok(())
    }
}

/// A runtime of one thread.
pub(crate) struct Stage(Runtime);

impl Stage {
    pub(crate) fn new() -> Self {
        Self(Builder::new_current_thread().enable_time().build().unwrap())
    }

    /// A secondary of `shop` reads so many steps of this application.
    pub(crate) fn read(&self, application: &str, times: u64) -> Duration {
        let records: Vec<Record> = (0..times).map(|number| record(application, number)).collect();
        self.0.block_on(async {
            let begun = Instant::now();
            let secondary =
                SecondaryBackupTracker::builder("shop", Reel(records.into_iter())).build().unwrap();
            secondary.synced().await.unwrap();
            let took = begun.elapsed();
            assert_eq!(secondary.stats().received, times);
            secondary.close().await.unwrap();
            took
        })
    }

    /// So many backups begin and end.
    pub(crate) fn announce(&self, tracker: &impl BackupTracker, times: u64) -> Duration {
        self.0.block_on(async {
            let begun = Instant::now();
            for _ in 0..times {
                tracker.start_backup().await.unwrap();
                tracker.finish_backup().await.unwrap();
            }
            begun.elapsed()
        })
    }

    pub(crate) fn primary(&self) -> PrimaryBackupTracker {
        self.0.block_on(async { PrimaryBackupTracker::builder("shop", Nowhere).build().unwrap() })
    }

    pub(crate) fn simple(&self) -> SimpleBackupTracker {
        self.0.block_on(async { SimpleBackupTracker::builder("shop").build().unwrap() })
    }
}

fn record(application: &str, number: u64) -> Record {
    let (from, to) = if number.is_multiple_of(2) {
        (BackupState::Ready, BackupState::BackingUp)
    } else {
        (BackupState::BackingUp, BackupState::Ready)
    };
    let id = Uuid::from_u128(u128::from(number) + 1);
    let event = encode(&BackupTransition::new(id, application, number, from, to), WireFormat::Cbor);
    Record::new(Position::Offset(number)).key(event.key).headers(event.headers).payload(event.payload)
}

pub(crate) fn times(effort: Effort) -> io::Result<()> {
    let stage = Stage::new();
    for (what, application) in [("a step", "shop"), ("another application's", "maps")] {
        let read = Contender::new("SecondaryBackupTracker", |times| stage.read(application, times));
        Duel::new(format!("follow, {what}"), read).settle(effort)?;
    }
    let (primary, simple) = (stage.primary(), stage.simple());
    let announce = Contender::new("PrimaryBackupTracker", |times| stage.announce(&primary, times));
    let change = Contender::new("SimpleBackupTracker", |times| stage.announce(&simple, times));
    Duel::new("a backup: two steps", announce).against(change).settle(effort)
}
