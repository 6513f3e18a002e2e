//! From opening a new group until its backlog is read, which is nearly all of other applications.
//!
//! Against it, from making the raw consumer until it has read as many messages, and done nothing with them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use backup_tracker::{BackupState, SecondaryBackupTracker};

use crate::broker::{Broker, RawConsumer};
use crate::events::{APPLICATION, OWN, backlog};
use crate::samples::{Rounds, Side};
use crate::scale::Size;

pub(crate) async fn measure<B: Broker>(broker: &B, size: Size) -> Result<Rounds> {
    let topic = format!("backlog-{}", size.size);
    broker.create(&topic).await?;
    broker.fill(&topic, backlog(size.size, B::FORMAT)).await?;
    let mut rounds = Rounds::default();
    for round in 0..size.warm_up + size.rounds {
        for side in Side::order(round) {
            let took = match side {
                Side::Ours => ours(broker, &topic, round, size.size).await?,
                Side::Raw => raw(broker, &topic, size.size).await?,
            };
            if round >= size.warm_up {
                rounds.add(side, took);
            }
        }
    }
    Ok(rounds)
}

async fn ours<B: Broker>(broker: &B, topic: &str, round: usize, size: usize) -> Result<Duration> {
    let begin = Instant::now();
    let source = broker.source(topic, &format!("group-{round}"), Some(APPLICATION)).await?;
    let secondary = SecondaryBackupTracker::builder(APPLICATION, source).build()?;
    secondary.synced().await?;
    let took = begin.elapsed();
    // The last step is counted a moment after it shows.
    secondary.close().await?;
    let (stats, state) = (secondary.stats(), secondary.state());
    let (arriving, own) = (arriving::<B>(size), OWN.min(size));
    ensure!(
        (stats.received, stats.applied) == (arriving as u64, own as u64) && state == BackupState::Ready,
        "{stats:?} in {state} after a backlog of {arriving}"
    );
    Ok(took)
}

async fn raw<B: Broker>(broker: &B, topic: &str, size: usize) -> Result<Duration> {
    let begin = Instant::now();
    let mut consumer = broker.consumer(topic, Some(APPLICATION)).await?;
    let bytes = consumer.read(arriving::<B>(size)).await?;
    let took = begin.elapsed();
    ensure!(bytes > size.min(1), "nothing was read");
    consumer.close().await?;
    Ok(took)
}

/// How many of the events reach a reader of the application.
fn arriving<B: Broker>(size: usize) -> usize {
    if B::FILTERS { OWN.min(size) } else { size }
}
