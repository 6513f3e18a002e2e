//! Our own readers.

use anyhow::Result;
use backup_tracker::{BackupState, EventSource, SecondaryBackupTracker};
use backup_tracker_memory::MemoryLog;

use crate::server::{APPLICATION, TOPIC, kafka, nats, redis};
use crate::transport::Transport;

/// So many secondaries, each with a group of its own, that know that the application is Ready.
pub(crate) async fn start(
    transport: Transport,
    address: &str,
    count: usize,
) -> Result<Vec<SecondaryBackupTracker>> {
    let log = MemoryLog::new(TOPIC)?;
    if transport == Transport::Memory {
        crate::server::say_ready(log.sink()).await?;
    }
    let mut secondaries = Vec::with_capacity(count);
    for number in 0..count {
        let group = format!("group-{number}");
        secondaries.push(match transport {
            Transport::Memory => follow(log.source(group)?)?,
            Transport::Kafka => follow(kafka(address).source(group).open().await?)?,
            Transport::Nats => follow(nats(address).source(group).open().await?)?,
            Transport::Redis => follow(redis(address).source(group).open().await?)?,
        });
    }
    for secondary in &secondaries {
        secondary.synced().await?;
        secondary.watch().wait_for(|state| *state == BackupState::Ready).await?;
    }
    Ok(secondaries)
}

fn follow(source: impl EventSource + 'static) -> Result<SecondaryBackupTracker> {
    Ok(SecondaryBackupTracker::builder(APPLICATION, source).build()?)
}
