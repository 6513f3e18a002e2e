//! From the call of `start_backup` until the gate of the last secondary is shut.
//!
//! Against it, from the call of the raw producer until the last of as many raw consumers has the message, each in a task of its
//! own. All are in this process, and all are there all the time, so that both sides have the same company.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use backup_tracker::{BackupState, BackupTracker, PrimaryBackupTracker, SecondaryBackupTracker, WorkGate};
use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use crate::broker::{Broker, RawConsumer, RawProducer};
use crate::events::{APPLICATION, Message, step};
use crate::finish::{Finish, Shutting};
use crate::samples::{Rounds, Side};
use crate::scale::Size;

pub(crate) async fn measure<B: Broker>(broker: &B, size: Size) -> Result<Rounds> {
    let ours = Trackers::begin(broker, &format!("announce-ours-{}", size.size), size.size).await?;
    against_raw(broker, ours, &format!("announce-raw-{}", size.size), size.size, size).await
}

/// Something that tells the beginning of a backup, and its end.
pub(super) trait Announces {
    /// How long it took until the last reader knew of the beginning.
    async fn round(&mut self) -> Result<Duration>;

    async fn end(self) -> Result<()>;
}

/// In turns with a raw producer and so many raw consumers.
pub(super) async fn against_raw<B: Broker>(
    broker: &B,
    mut ours: impl Announces,
    topic: &str,
    count: usize,
    size: Size,
) -> Result<Rounds> {
    let mut raw = Raw::begin(broker, topic, count, size).await?;
    let mut rounds = Rounds::default();
    for round in 0..size.warm_up + size.rounds {
        for side in Side::order(round) {
            let took = match side {
                Side::Ours => ours.round().await?,
                Side::Raw => raw.round().await?,
            };
            if round >= size.warm_up {
                rounds.add(side, took);
            }
        }
    }
    ours.end().await?;
    raw.readers.shutdown().await;
    Ok(rounds)
}

/// A primary, and secondaries.
pub(super) struct Trackers {
    primary: PrimaryBackupTracker,
    secondaries: Vec<SecondaryBackupTracker>,
    gates: Vec<WorkGate>,
    finish: Arc<Finish>,
}

impl Trackers {
    pub(super) async fn begin<B: Broker>(broker: &B, topic: &str, count: usize) -> Result<Self> {
        broker.create(topic).await?;
        let primary = PrimaryBackupTracker::builder(APPLICATION, broker.sink(topic).await?).build()?;
        let secondaries = (0..count).map(async |number| -> Result<SecondaryBackupTracker> {
            let source = broker.source(topic, &format!("group-{number}"), None).await?;
            Ok(SecondaryBackupTracker::builder(APPLICATION, source).build()?)
        });
        let secondaries = try_join_all(secondaries).await?;
        try_join_all(secondaries.iter().map(SecondaryBackupTracker::synced)).await?;
        primary.startup_complete().await?;
        let gates = secondaries.iter().map(SecondaryBackupTracker::gate).collect();
        let trackers = Self { primary, secondaries, gates, finish: Finish::new() };
        trackers.all_are(BackupState::Ready).await?;
        Ok(trackers)
    }

    async fn all_are(&self, state: BackupState) -> Result<()> {
        for secondary in &self.secondaries {
            secondary.watch().wait_for(|now| *now == state).await?;
        }
        Ok(())
    }
}

impl Announces for Trackers {
    async fn round(&mut self) -> Result<Duration> {
        let shutting = Shutting::of(&self.gates, &self.finish);
        let begin = Instant::now();
        let announced = self.primary.start_backup().await;
        let end = shutting.all(&self.finish).await;
        announced?;
        ensure!(!self.gates.iter().any(WorkGate::is_open), "a gate is open during the backup");
        // The gate shuts before the state shows; without this, the old Ready might be taken for the new one.
        self.all_are(BackupState::BackingUp).await?;
        self.primary.finish_backup().await?;
        // Each has committed by then.
        self.all_are(BackupState::Ready).await?;
        Ok(end - begin)
    }

    async fn end(self) -> Result<()> {
        try_join_all(self.secondaries.iter().map(SecondaryBackupTracker::close)).await?;
        Ok(self.primary.close().await?)
    }
}

struct Raw<P> {
    producer: P,
    messages: std::vec::IntoIter<Message>,
    readers: JoinSet<Result<()>>,
    finish: Arc<Finish>,
    count: usize,
}

impl<P: RawProducer> Raw<P> {
    async fn begin<B: Broker<Producer = P>>(
        broker: &B,
        topic: &str,
        consumers: usize,
        size: Size,
    ) -> Result<Self> {
        broker.create(topic).await?;
        // As ours: a first message that all of them have seen, and then two each round.
        let count = 1 + 2 * (size.warm_up + size.rounds);
        let messages: Vec<Message> =
            (1..=count).map(|number| step(number, APPLICATION, B::FORMAT).into()).collect();
        let (finish, mut readers) = (Finish::new(), JoinSet::new());
        for _ in 0..consumers {
            readers.spawn(read_on(broker.consumer(topic, None).await?, Arc::clone(&finish)));
        }
        let producer = broker.producer(topic).await?;
        let mut raw = Self { producer, messages: messages.into_iter(), readers, finish, count: consumers };
        raw.send().await?;
        Ok(raw)
    }

    /// Sends the next message, and says when all have it.
    async fn send(&mut self) -> Result<Instant> {
        let Some(message) = self.messages.next() else { anyhow::bail!("there is no message left") };
        self.finish.expect(self.count);
        self.producer.send(&message).await?;
        all_arrived(&self.finish, &mut self.readers).await
    }

    async fn round(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        let end = self.send().await?;
        self.send().await?;
        Ok(end - begin)
    }
}

/// Reads one by one, and says so of each.
pub(super) async fn read_on(mut consumer: impl RawConsumer, finish: Arc<Finish>) -> Result<()> {
    loop {
        consumer.read(1).await?;
        finish.arrived();
    }
}

/// When the last of these readers has what it was sent.
pub(super) async fn all_arrived(finish: &Finish, readers: &mut JoinSet<Result<()>>) -> Result<Instant> {
    tokio::select! {
        end = finish.all() => Ok(end),
        Some(ended) = readers.join_next() => {
            ended??;
            anyhow::bail!("a reader has ended")
        }
    }
}
