//! Which part of ours takes what an announcement takes longer: step by step, one more part is ours and the others are raw.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use backup_tracker::{BackupState, Event, EventSource, SecondaryBackupTracker, Sink};
use tokio::task::JoinSet;

use super::announcement::{Announces, Trackers, against_raw, all_arrived, read_on};
use crate::broker::Broker;
use crate::events::{APPLICATION, ready, step};
use crate::finish::{Finish, Shutting};
use crate::samples::Rounds;
use crate::scale::Size;

/// The sink, the source, the secondary's tracker, the primary's tracker.
pub(crate) const PARTS: usize = 4;

/// With one reader, and as many parts that are ours as the size says.
pub(crate) async fn measure<B: Broker>(broker: &B, size: Size) -> Result<Rounds> {
    let (ours, raw) = (format!("parts-ours-{}", size.size), format!("parts-raw-{}", size.size));
    if size.size == PARTS {
        return against_raw(broker, Trackers::begin(broker, &ours, 1).await?, &raw, 1, size).await;
    }
    broker.create(&ours).await?;
    let (finish, mut tasks) = (Finish::new(), JoinSet::new());
    let reader = match size.size {
        1 => {
            tasks.spawn(read_on(broker.consumer(&ours, None).await?, Arc::clone(&finish)));
            Reader::Tasks(tasks)
        }
        2 => {
            let mut source = broker.source(&ours, "group", None).await?;
            let finish = Arc::clone(&finish);
            tasks.spawn(async move {
                while source.next().await?.is_some() {
                    finish.arrived();
                }
                bail!("the log has ended")
            });
            Reader::Tasks(tasks)
        }
        3 => {
            let source = broker.source(&ours, "group", None).await?;
            let secondary = SecondaryBackupTracker::builder(APPLICATION, source).build()?;
            secondary.synced().await?;
            Reader::Secondary(secondary)
        }
        other => bail!("there are {PARTS} parts, and not {other}"),
    };
    // The first, and then two each round.
    let steps = (2..2 + 2 * (size.warm_up + size.rounds)).map(|number| step(number, APPLICATION, B::FORMAT));
    let events: Vec<Event> = std::iter::once(ready(B::FORMAT)).chain(steps).collect();
    let mut parts = Parts { sink: broker.sink(&ours).await?, events: events.into_iter(), reader, finish };
    parts.tell(BackupState::Ready).await?;
    against_raw(broker, parts, &raw, 1, size).await
}

struct Parts<S> {
    sink: S,
    events: std::vec::IntoIter<Event>,
    reader: Reader,
    finish: Arc<Finish>,
}

/// One that says when it knows.
enum Reader {
    Tasks(JoinSet<Result<()>>),
    Secondary(SecondaryBackupTracker),
}

impl<S: Sink> Parts<S> {
    /// Sends the next event, which leads to this state, and says when the reader knew.
    async fn tell(&mut self, state: BackupState) -> Result<Instant> {
        let event = self.events.next().context("there is no event left")?;
        match &mut self.reader {
            Reader::Tasks(tasks) => {
                self.finish.expect(1);
                self.sink.send(&event).await?;
                all_arrived(&self.finish, tasks).await
            }
            Reader::Secondary(secondary) => {
                let gates = [secondary.gate()];
                let shutting = (state == BackupState::BackingUp).then(|| Shutting::of(&gates, &self.finish));
                self.sink.send(&event).await?;
                let end = match shutting {
                    Some(shutting) => shutting.all(&self.finish).await,
                    None => Instant::now(),
                };
                secondary.watch().wait_for(|now| *now == state).await?;
                Ok(end)
            }
        }
    }
}

impl<S: Sink> Announces for Parts<S> {
    async fn round(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        let end = self.tell(BackupState::BackingUp).await?;
        self.tell(BackupState::Ready).await?;
        Ok(end - begin)
    }

    async fn end(self) -> Result<()> {
        match self.reader {
            Reader::Tasks(mut tasks) => tasks.shutdown().await,
            Reader::Secondary(secondary) => secondary.close().await?,
        }
        Ok(self.sink.close().await?)
    }
}
