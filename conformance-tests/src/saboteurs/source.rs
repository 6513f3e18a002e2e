//! A source that is broken.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backup_tracker::{Error, ErrorKind, EventSource, Record, Result};
use bytes::Bytes;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::Sabotage;
use super::lane::Notes;
use crate::bench::PROMPT;
use crate::harness::{Lane, Start};

/// How many uncommitted records [`Sabotage::StallsAtAThousand`] bears.
const STALL: u64 = 1000;
/// How many records [`Sabotage::CommitsWhatWasPrefetched`] reads ahead.
const AHEAD: usize = 10;
/// By how many records [`Sabotage::ReordersReads`] lets one be overtaken.
const OVERTAKEN_BY: u64 = 6;
/// After how long a wait [`Sabotage::FallsAsleep`].
const SLEEPY: Duration = Duration::from_millis(100);

/// The source of a [`SabotagedLane`](super::SabotagedLane).
pub struct SabotagedSource<L: Lane> {
    /// None until the first use, for the one that opens lazily.
    inner: Option<L::Source>,
    lane: Arc<L>,
    group: String,
    sabotage: Sabotage,
    notes: Arc<Notes>,
    queue: VecDeque<Record>,
    last: Option<Record>,
    /// How many records lie before this session's beginning.
    before: u64,
    returned: u64,
    commits: u64,
    /// A commit that was confirmed and not made.
    owed: bool,
    lost: bool,
    lost_again: bool,
    troubled: bool,
    cancelled: bool,
    asleep: bool,
}

impl<L: Lane> SabotagedSource<L> {
    pub(super) async fn open(
        lane: Arc<L>,
        group: &str,
        start: Start,
        sabotage: Sabotage,
        notes: Arc<Notes>,
    ) -> Result<Self> {
        let (mut stand_in, before) = notes.positions.get(group);
        let mut start = start;
        match sabotage {
            Sabotage::MixesGroups => stand_in = "everybody".to_owned(),
            Sabotage::IgnoresLatest => start = Start::Earliest,
            // A name of its own, which becomes the group's at the first commit.
            Sabotage::StartNotFixed if stand_in == group => stand_in = format!("{group}-{}", Uuid::new_v4()),
            _ => {}
        }
        let inner = match sabotage {
            Sabotage::OpensLazily => None,
            _ => Some(lane.source(&stand_in, start).await?),
        };
        let mut source = Self {
            inner,
            lane,
            group: group.to_owned(),
            sabotage,
            notes,
            queue: VecDeque::new(),
            last: None,
            before,
            returned: 0,
            commits: 0,
            owed: false,
            lost: false,
            lost_again: false,
            troubled: false,
            cancelled: false,
            asleep: false,
        };
        if sabotage == Sabotage::StartNotFixed {
            source.group = format!("{group}\0{stand_in}");
        }
        source.begin().await?;
        Ok(source)
    }

    /// What the broken ones do before the first record.
    async fn begin(&mut self) -> Result<()> {
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

    async fn sound(&mut self) -> Result<&mut L::Source> {
        if self.inner.is_none() {
            self.inner = Some(self.lane.source(&self.group, Start::Latest).await?);
        }
        self.inner.as_mut().ok_or_else(|| Error::closed("read"))
    }

    async fn remaining_inner(&mut self) -> Result<u64> {
        self.sound().await?.remaining().await
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
            Err(error) if error.is_transient() => {
                let first = !std::mem::replace(&mut self.troubled, true);
                if self.sabotage == Sabotage::EndsSilently && first { Ok(None) } else { Err(error) }
            }
            Ok(None) if self.sabotage == Sabotage::NeverEnds => pending().await,
            other => other,
        }
    }

    async fn lost(&mut self, error: Error) -> Result<Option<Record>> {
        match self.sabotage {
            Sabotage::HidesLossWhileLive => self.sound().await?.next().await,
            _ => {
                self.lost = true;
                self.lost_again = self.sabotage == Sabotage::RepeatsLoss;
                Err(error)
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Record>> {
        if let Some(record) = self.queue.pop_front() {
            return Ok(Some(record));
        }
        let record = self.fetch().await?;
        let sabotage = self.sabotage;
        match sabotage {
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
        Ok(record)
    }

    /// What happens to a record on its way to the caller.
    async fn hand_over(&mut self, mut record: Record) -> Result<Record> {
        match self.sabotage {
            Sabotage::ChokesOnTombstones if record.payload.is_none() => {
                return Err(Error::new(ErrorKind::Corrupt, "read", "a record without a value"));
            }
            Sabotage::LosesEmptyPayloads if record.payload.as_ref().is_some_and(Bytes::is_empty) => {
                record.payload = None;
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

    async fn pay(&mut self) -> Result<()> {
        if std::mem::take(&mut self.owed) {
            self.sound().await?.commit().await?;
        }
        Ok(())
    }

    /// Commits at a position of the saboteur's own choice.
    async fn commit_at(&mut self, before: u64) -> Result<()> {
        self.notes.positions.set(&*self.lane, &self.group, before).await
    }
}

impl<L: Lane> EventSource for SabotagedSource<L> {
    async fn next(&mut self) -> Result<Option<Record>> {
        self.pay().await?;
        self.cancelled = true;
        let record = self.read().await?;
        self.cancelled = false;
        match record {
            Some(record) => self.hand_over(record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn commit(&mut self) -> Result<()> {
        self.commits += 1;
        let read = self.before + self.returned;
        match self.sabotage {
            Sabotage::CommitsOneShort => self.commit_at(read.saturating_sub(1)).await,
            Sabotage::CommitsOneTooFar => self.commit_at(read + 1).await,
            Sabotage::CommitsOneByOne => self.commit_at(self.before + self.commits.min(self.returned)).await,
            Sabotage::MovesOnWhenRepeated => self.commit_at(read + self.commits - 1).await,
            Sabotage::CommitsToTheEnd if self.returned == 0 => self.commit_at(u64::MAX).await,
            Sabotage::CommitsToTheEnd | Sabotage::MovesThePositionBack => self.commit_at(read).await,
            Sabotage::ResetsBeforeCommitting => {
                self.notes.positions.forget(&self.group);
                tokio::task::yield_now().await;
                self.commit_at(read).await
            }
            Sabotage::ConfirmsTooEarly => {
                self.owed = true;
                Ok(())
            }
            Sabotage::ConfirmsWithoutABroker if self.notes.is_gone() => Ok(()),
            Sabotage::StartNotFixed => {
                self.sound().await?.commit().await?;
                if let Some((group, stand_in)) = self.group.split_once('\0') {
                    self.notes.positions.rename(group, stand_in.to_owned(), 0);
                }
                Ok(())
            }
            _ => self.sound().await?.commit().await,
        }
    }

    fn resumed(&self) -> bool {
        let resumed = self.inner.as_ref().is_some_and(EventSource::resumed);
        match self.sabotage {
            Sabotage::AlwaysResumed => true,
            Sabotage::NeverResumed => false,
            Sabotage::StaysResumedAfterLoss => resumed || self.lost,
            _ => resumed,
        }
    }

    async fn remaining(&mut self) -> Result<u64> {
        let remaining = self.remaining_inner().await? + self.queue.len() as u64;
        Ok(match self.sabotage {
            Sabotage::CountsTooFew => remaining.saturating_sub(1),
            Sabotage::NeverCountsToZero => remaining + 1,
            _ => remaining,
        })
    }

    async fn close(mut self) -> Result<()> {
        if self.sabotage == Sabotage::CommitsOnClose {
            self.sound().await?.commit().await?;
        }
        Ok(())
    }
}

impl<L: Lane> Drop for SabotagedSource<L> {
    fn drop(&mut self) {
        let blocks = match self.sabotage {
            Sabotage::BlocksWithoutABroker => self.notes.is_gone(),
            Sabotage::BlocksAfterWaiting => self.cancelled && self.returned == 0,
            _ => false,
        };
        if blocks {
            std::thread::sleep(PROMPT + SLEEPY);
        }
        if self.sabotage == Sabotage::CommitsOnDrop
            && let Some(inner) = &mut self.inner
        {
            // As far as it gets without waiting: this is a saboteur.
            let _done = inner.commit().now_or_never();
        }
    }
}

impl<L: Lane> fmt::Debug for SabotagedSource<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SabotagedSource").field("sabotage", &self.sabotage).finish_non_exhaustive()
    }
}
