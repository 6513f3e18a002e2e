//! The process whose start is measured, on either side.

use std::ffi::OsString;
use std::io::Write;

use anyhow::{Result, ensure};
use backup_tracker::{BackupState, SecondaryBackupTracker};
use clap::Args;

use crate::broker::{Broker, RawConsumer};
use crate::brokers::{Kafka, Nats, Redis};
use crate::events::APPLICATION;
use crate::options::Transport;
use crate::samples::Side;

/// What it says when it is done.
pub(crate) const DONE: &str = "done";

#[derive(Debug, Args)]
pub(crate) struct Start {
    #[arg(value_enum)]
    pub(crate) side: Side,
    #[arg(value_enum)]
    pub(crate) transport: Transport,
    pub(crate) address: String,
    pub(crate) topic: String,
    pub(crate) group: String,
    /// How many events are behind the position.
    pub(crate) events: usize,
}

impl Start {
    pub(crate) fn arguments(&self) -> [OsString; 6] {
        let side = match self.side {
            Side::Ours => "ours",
            Side::Raw => "raw",
        };
        let events = self.events.to_string();
        [side, self.transport.name(), &self.address, &self.topic, &self.group, &events].map(OsString::from)
    }
}

pub(crate) async fn run(start: &Start) -> Result<()> {
    let address = &*start.address;
    let say = || -> Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "{DONE}")?;
        Ok(out.flush()?)
    };
    match start.transport {
        Transport::Kafka => perform(&Kafka::at(address), start, say).await,
        Transport::Nats => perform(&Nats::at(address), start, say).await,
        Transport::Redis => perform(&Redis::at(address), start, say).await,
        Transport::Memory => anyhow::bail!("another process has another memory"),
    }
}

/// Starts one side, calls `done` once it is, and ends it. Returns what `done` does.
pub(crate) async fn perform<B: Broker, T>(
    broker: &B,
    start: &Start,
    done: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Start { side, topic, group, events, .. } = start;
    match side {
        Side::Ours => {
            let source = broker.source(topic, group, Some(APPLICATION)).await?;
            let secondary = SecondaryBackupTracker::builder(APPLICATION, source).build()?;
            secondary.synced().await?;
            let done = done()?;
            // The last step is counted a moment after it shows.
            secondary.close().await?;
            let (stats, state) = (secondary.stats(), secondary.state());
            ensure!(
                stats.received == *events as u64 && state == BackupState::BackingUp,
                "{stats:?} in {state} after {events} events"
            );
            Ok(done)
        }
        Side::Raw => {
            let mut consumer = broker.resume(topic, group).await?;
            let bytes = consumer.read(*events).await?;
            let done = done()?;
            ensure!(bytes > 0, "nothing was read");
            consumer.close().await?;
            Ok(done)
        }
    }
}
