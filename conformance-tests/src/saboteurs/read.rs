//! What a broken source makes of what it reads.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backup_tracker::{Error, ErrorKind, EventSource, Position, Record, Result};
use bytes::Bytes;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::Sabotage;
use super::source::SabotagedSource;
use crate::bench::{PAUSE, PROMPT};
use crate::harness::{DELAY, Lane};

/// How many uncommitted records [`Sabotage::StallsAtAThousand`] bears.
const STALL: u64 = 1000;
/// How many records [`Sabotage::CommitsWhatWasPrefetched`] reads ahead.
const AHEAD: usize = 10;
/// By how many records [`Sabotage::ReordersReads`] lets one be overtaken.
const OVERTAKEN_BY: u64 = 6;
/// After how long a wait [`Sabotage::FallsAsleep`].
pub(super) const SLEEPY: Duration = Duration::from_millis(100);

const fn offset(position: Position) -> u64 {
    match position {
        Position::Offset(offset) | Position::Partition { offset, .. } => offset,
        _ => 0,
    }
}

impl<L: Lane> SabotagedSource<L> {
    /// What the broken ones do before the first record.
    pub(super) async fn begin(&mut self) -> Result<()> {
        match self.sabotage {
            Sabotage::NewBeforeOldAfterRestart => {
                let mut old = VecDeque::new();
                while self.remaining_inner().await? > 0 {
                    let Some(record) = self.sound().await?.next().await? else { break };
                    let delivered = record.key.is_some_and(|key| self.notes.was_delivered(&self.group, key));
                    if delivered { old.push_back(record) } else { self.queue.push_back(record) }
                }
                self.queue.append(&mut old);
            }
            Sabotage::HidesTruncation if self.notes.truncated.load(Ordering::SeqCst) => {
                // It looks as far as the position and no further, as if the records before it were the ones that it knew.
                if let Some(Ok(Some(record))) = self.sound().await?.next().now_or_never() {
                    self.queue.push_back(record);
                }
            }
            Sabotage::NewerOthersFirst => self.older = self.remaining_inner().await?,
            Sabotage::HidesLoss | Sabotage::HidesRecreation if self.notes.trimmed.load(Ordering::SeqCst) => {
                // Looks at the first answer in advance, and keeps it to itself when it says Lost.
                match self.sound().await?.next().now_or_never() {
                    Some(Ok(Some(record))) => self.queue.push_back(record),
                    Some(Err(error)) if error.kind() != ErrorKind::Lost => return Err(error),
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// One record of the sound source, and what the broken ones make of it.
    async fn fetch(&mut self) -> Result<Option<Record>> {
        if std::mem::take(&mut self.lost_again) {
            return Err(Error::new(ErrorKind::Lost, "read", "the records at the position are gone"));
        }
        match self.sabotage {
            Sabotage::CriesLost if self.notes.trimmed.load(Ordering::SeqCst) && !self.lost => {
                self.lost = true;
                return Err(Error::new(ErrorKind::Lost, "read", "the log was trimmed"));
            }
            Sabotage::RedeliversLate if self.returned == 0 => {
                let again = self.notes.was_delivered(&self.group, Uuid::nil());
                self.notes.delivered(&self.group, Uuid::nil());
                if again {
                    tokio::time::sleep(PROMPT).await;
                }
            }
            Sabotage::GivesUpSilently if self.troubled => return pending().await,
            Sabotage::StallsAtAThousand if self.returned >= STALL => return pending().await,
            Sabotage::TakesQuietForSilence => {
                let next = tokio::time::timeout(SLEEPY, self.sound().await?.next());
                let silent = Error::new(ErrorKind::Unavailable, "read", "out of contact");
                return next.await.unwrap_or(Err(silent));
            }
            Sabotage::FallsAsleep => {
                if self.asleep {
                    return pending().await;
                }
                let next = tokio::time::timeout(SLEEPY, self.sound().await?.next());
                return match next.await {
                    Ok(next) => next,
                    Err(_) => {
                        self.asleep = true;
                        pending().await
                    }
                };
            }
            _ => {}
        }
        match self.sound().await?.next().await {
            Err(error) if error.kind() == ErrorKind::Lost => self.lost(error).await,
            Err(error) if error.is_transient() && self.sabotage == Sabotage::HidesOutages => {
                self.sit_out().await;
                self.sound().await?.next().await
            }
            Err(error) if error.is_transient() && self.sabotage == Sabotage::DeafAfterAPartialCut => {
                if self.notes.deaf.load(Ordering::SeqCst) { pending().await } else { Err(error) }
            }
            Err(error) if error.is_transient() && self.hides() => {
                while self.notes.is_silent() {
                    tokio::time::sleep(PAUSE).await;
                }
                self.sound().await?.next().await
            }
            Err(error) if error.is_transient() => {
                self.said = true;
                let first = !std::mem::replace(&mut self.troubled, true);
                self.failed = true;
                if self.sabotage == Sabotage::EndsSilently && first { Ok(None) } else { Err(error) }
            }
            Ok(None) if self.sabotage == Sabotage::NeverEnds => pending().await,
            other => other,
        }
    }

    /// Whether it keeps to itself that it is out of contact.
    fn hides(&self) -> bool {
        let hides = match self.sabotage {
            Sabotage::HealthyWhileDeaf => true,
            Sabotage::SaysItOnce => self.said,
            _ => false,
        };
        hides && self.notes.is_silent()
    }

    async fn lost(&mut self, error: Error) -> Result<Option<Record>> {
        match self.sabotage {
            Sabotage::HidesLossWhileLive => self.sound().await?.next().await,
            Sabotage::HidesRecreationWhileLive if self.notes.recreated.load(Ordering::SeqCst) => {
                self.sound().await?.next().await
            }
            Sabotage::HidesTruncationWhileLive if self.notes.truncated.load(Ordering::SeqCst) => {
                for _ in 0..self.returned {
                    self.sound().await?.next().await?;
                }
                self.sound().await?.next().await
            }
            Sabotage::GoesOnInARecreatedLog if self.notes.recreated.load(Ordering::SeqCst) => {
                for _ in 0..self.before + self.returned {
                    self.sound().await?.next().await?;
                }
                self.sound().await?.next().await
            }
            _ => {
                self.lost = true;
                self.lost_again = self.sabotage == Sabotage::RepeatsLoss;
                Err(error)
            }
        }
    }

    /// What is newer than the session, of those of whom nothing is outstanding, while the backlog is held back for a while.
    async fn newer(&mut self) -> Result<Option<Record>> {
        while (self.queue.len() as u64) < self.older {
            let Some(record) = self.sound().await?.next().await? else { break };
            self.queue.push_back(record);
        }
        let until = self.opened + SLEEPY;
        while self.older > 0 {
            let Ok(next) = tokio::time::timeout_at(until, self.sound().await?.next()).await else { break };
            let Some(record) = next? else { break };
            let writer = self.notes.writer(record.key);
            if self.queue.iter().all(|older| self.notes.writer(older.key) != writer) {
                return Ok(Some(record));
            }
            self.queue.push_back(record);
        }
        self.older = 0;
        Ok(None)
    }

    pub(super) async fn read(&mut self) -> Result<Option<Record>> {
        if self.older > 0
            && let Some(record) = self.newer().await?
        {
            return Ok(Some(record));
        }
        if let Some(record) = self.queue.pop_front() {
            return Ok(Some(record));
        }
        let record = self.fetch().await?;
        let sabotage = self.sabotage;
        match sabotage {
            Sabotage::ForgetsInHandOnASlowBroker if self.notes.slow.load(Ordering::SeqCst) => {
                tokio::time::sleep(DELAY).await;
            }
            Sabotage::ForgetsOnCancel => tokio::task::yield_now().await,
            Sabotage::ForgetsBacklogOnCancel if self.remaining_inner().await? > 0 => {
                tokio::task::yield_now().await;
            }
            Sabotage::CommitsWhatWasCancelled => {
                self.queue.extend(record);
                tokio::task::yield_now().await;
                return Ok(self.queue.pop_front());
            }
            Sabotage::CommitsWhatWasPrefetched => {
                while self.queue.len() < AHEAD && self.remaining_inner().await? > 0 {
                    let ahead = self.fetch().await?;
                    self.queue.extend(ahead);
                }
            }
            Sabotage::ReordersReads if self.returned % 8 == 1 => {
                // Behind the next ones, so that it is overtaken by events of its own application.
                for _ in 0..self.remaining_inner().await?.min(OVERTAKEN_BY) {
                    let earlier = self.fetch().await?;
                    self.queue.extend(earlier);
                }
                self.queue.extend(record);
                return Ok(self.queue.pop_front());
            }
            Sabotage::SkipsAfterAnError if std::mem::take(&mut self.troubled) => return self.fetch().await,
            Sabotage::RepeatsAfterAnError if std::mem::take(&mut self.troubled) => {
                self.queue.extend(record);
                return Ok(self.last.clone().or_else(|| self.queue.pop_front()));
            }
            Sabotage::SkipsForeignRecords => {
                let mut record = record;
                while record.as_ref().is_some_and(|record| record.key.is_none()) {
                    record = self.fetch().await?;
                }
                return Ok(record);
            }
            Sabotage::SharesWork | Sabotage::TakesFromReplicas => {
                let mut record = record;
                while let Some(key) = record.as_ref().and_then(|record| record.key) {
                    let first = self.notes.delivered(&self.group, key);
                    if first || self.sabotage == Sabotage::TakesFromReplicas && self.returned == 0 {
                        break;
                    }
                    record = self.fetch().await?;
                }
                return Ok(record);
            }
            _ => {}
        }
        match record {
            Some(record) => self.leave_out_some(record).await.map(Some),
            None => Ok(None),
        }
    }

    fn is_others(&self, record: &Record) -> bool {
        let payload = record.payload.as_ref();
        self.others.as_ref().zip(payload).is_some_and(|(others, payload)| others.wrote(payload))
    }

    /// What the broken ones make of a record once they may leave out what others write.
    async fn leave_out_some(&mut self, record: Record) -> Result<Record> {
        let (sabotage, others) = (self.sabotage, self.is_others(&record));
        match sabotage {
            Sabotage::LeavesOutOurOwn if self.others.is_some() => {
                return Ok(Record::left_out(record.position, 1));
            }
            Sabotage::CountsOthersAgainAfterAnError if others && std::mem::take(&mut self.troubled) => {
                return Ok(Record::left_out(record.position, 2));
            }
            Sabotage::ForgetsOthersOnCancel if others => {
                tokio::task::yield_now().await;
                return Ok(Record::left_out(record.position, 1));
            }
            Sabotage::LeavesOutUncounted | Sabotage::LeavesOutBeyondOurOwn
                if self.others.is_some() && self.remaining_inner().await? > 0 =>
            {
                let uncounted = sabotage == Sabotage::LeavesOutUncounted;
                if let Some(behind) = self.fetch().await? {
                    if others == uncounted && self.is_others(&behind) {
                        self.queue.extend((!uncounted).then_some(record));
                        return Ok(Record::left_out(behind.position, 1));
                    }
                    self.queue.push_back(behind);
                }
            }
            _ => {}
        }
        Ok(record)
    }

    /// What happens to a record on its way to the caller.
    pub(super) async fn hand_over(&mut self, mut record: Record) -> Result<Record> {
        match self.sabotage {
            Sabotage::ChokesOnTombstones if record.payload.is_none() => {
                return Err(Error::new(ErrorKind::Corrupt, "read", "a record without a value"));
            }
            Sabotage::LosesEmptyPayloads if record.payload.as_ref().is_some_and(Bytes::is_empty) => {
                record.payload = None;
            }
            Sabotage::PositionsStartAnew => record.position = Position::Offset(self.returned),
            Sabotage::RepeatsPositions => record.position = Position::Offset(offset(record.position) / 2),
            Sabotage::MixesPartitions => {
                let offset = offset(record.position);
                record.position = Position::Partition { partition: u32::from(offset % 2 == 1), offset };
            }
            Sabotage::CommitsOnFetch => self.sound().await?.commit().await?,
            Sabotage::NewBeforeOldAfterRestart => {
                if let Some(key) = record.key {
                    self.notes.delivered(&self.group, key);
                }
            }
            Sabotage::RepeatsWithinASession if self.commits > 0 && self.returned % 8 == 7 => {
                self.queue.push_front(record.clone());
                self.commits = 0;
            }
            _ => {}
        }
        self.returned += 1;
        self.last = Some(record.clone());
        Ok(record)
    }
}
