//! A source that is broken.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use backup_tracker::wire::Others;
use backup_tracker::{Error, ErrorKind, EventSource, Record, Remaining, Result, StartAt};
use futures_util::FutureExt as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::Sabotage;
use super::lane::Notes;
use super::read::SLEEPY;
use crate::bench::{PAUSE, PROMPT};
use crate::harness::Lane;

/// The source of a [`SabotagedLane`](super::SabotagedLane).
pub struct SabotagedSource<L: Lane> {
    /// None until the first use, for the one that opens lazily.
    pub(super) inner: Option<L::Source>,
    pub(super) lane: Arc<L>,
    pub(super) group: String,
    pub(super) sabotage: Sabotage,
    pub(super) notes: Arc<Notes>,
    pub(super) queue: VecDeque<Record>,
    /// Whose records it may leave out.
    pub(super) others: Option<Others>,
    pub(super) last: Option<Record>,
    /// How many records lie before this session's beginning.
    pub(super) before: u64,
    pub(super) returned: u64,
    pub(super) commits: u64,
    /// A commit that was confirmed and not made.
    pub(super) owed: bool,
    pub(super) lost: bool,
    pub(super) lost_again: bool,
    pub(super) troubled: bool,
    /// There was an outage.
    pub(super) failed: bool,
    pub(super) cancelled: bool,
    /// It has said once that it is out of contact.
    pub(super) said: bool,
    /// How often credentials had been renewed when it was opened.
    pub(super) renewals: usize,
    pub(super) asleep: bool,
    /// How many records of the backlog are held back, and until when.
    pub(super) older: u64,
    pub(super) opened: Instant,
}

impl<L: Lane> SabotagedSource<L> {
    pub(super) async fn open(
        lane: Arc<L>,
        group: &str,
        start: StartAt,
        sabotage: Sabotage,
        notes: Arc<Notes>,
    ) -> Result<Self> {
        let (mut stand_in, before) = notes.positions.get(group);
        let mut start = start;
        match sabotage {
            Sabotage::MixesGroups => stand_in = "everybody".to_owned(),
            Sabotage::IgnoresLatest => start = StartAt::Earliest,
            // A name of its own, which becomes the group's at the first commit.
            Sabotage::StartNotFixed if stand_in == group => stand_in = format!("{group}-{}", Uuid::new_v4()),
            _ => {}
        }
        let inner = match sabotage {
            Sabotage::OpensLazily => None,
            _ => Some(lane.source(&stand_in, start).await?),
        };
        let mut source = Self::new(inner, lane, group, sabotage, notes);
        source.before = before;
        if sabotage == Sabotage::StartNotFixed {
            source.group = format!("{group}\0{stand_in}");
        }
        source.begin().await?;
        Ok(source)
    }

    /// A source without a group.
    pub(super) async fn observe(
        lane: Arc<L>,
        start: StartAt,
        sabotage: Sabotage,
        notes: Arc<Notes>,
    ) -> Result<Self> {
        let inner = match sabotage {
            Sabotage::ObserversCommit => lane.source("observers", start).await?,
            Sabotage::ObserversIgnoreLatest => lane.observer(StartAt::Earliest).await?,
            _ => lane.observer(start).await?,
        };
        let mut source = Self::new(Some(inner), lane, "", sabotage, notes);
        source.begin().await?;
        Ok(source)
    }

    fn new(
        inner: Option<L::Source>,
        lane: Arc<L>,
        group: &str,
        sabotage: Sabotage,
        notes: Arc<Notes>,
    ) -> Self {
        let renewals = notes.renewals();
        Self {
            inner,
            lane,
            group: group.to_owned(),
            sabotage,
            notes,
            queue: VecDeque::new(),
            others: None,
            last: None,
            before: 0,
            returned: 0,
            commits: 0,
            owed: false,
            lost: false,
            lost_again: false,
            troubled: false,
            failed: false,
            cancelled: false,
            said: false,
            renewals,
            asleep: false,
            older: 0,
            opened: Instant::now(),
        }
    }

    pub(super) async fn sound(&mut self) -> Result<&mut L::Source> {
        if self.inner.is_none() {
            self.inner = Some(self.lane.source(&self.group, StartAt::Latest).await?);
        }
        self.inner.as_mut().ok_or_else(|| Error::closed("read"))
    }

    pub(super) async fn remaining_inner(&mut self) -> Result<u64> {
        Ok(self.sound().await?.remaining().await?.total())
    }

    /// Waits, if it hides outages, as long as there is one.
    pub(super) async fn sit_out(&mut self) {
        while self.sabotage == Sabotage::HidesOutages && self.notes.is_gone() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What passes, as what ends a session.
    fn for_good(&self, error: Error) -> Error {
        let ends = match self.sabotage {
            Sabotage::EndsWhenTheBrokerStops => self.notes.stopped.load(Ordering::SeqCst),
            Sabotage::EndsWhenDenied => self.notes.denied.load(Ordering::SeqCst),
            Sabotage::EndsWhenTheLogIsAway => self.notes.away.load(Ordering::SeqCst),
            Sabotage::NamesNoCause if error.is_transient() => {
                return Error::new(ErrorKind::Unavailable, "read", "the broker refuses it");
            }
            _ => false,
        };
        if ends { Error::new(ErrorKind::NotFound, "read", "the broker refuses it") } else { error }
    }

    /// What became of its login.
    fn login(&self) -> Result<()> {
        let is_old = self.renewals < self.notes.renewals();
        if is_old && self.sabotage == Sabotage::KeepsOldCredentials {
            let error = Error::new(ErrorKind::Denied, "read", "the password is wrong");
            return Err(error.into_transient());
        }
        Ok(())
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
        self.sit_out().await;
        self.pay().await?;
        self.cancelled = true;
        let record = self.read().await.map_err(|error| self.for_good(error))?;
        self.login()?;
        self.cancelled = false;
        match record {
            Some(record) => self.hand_over(record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn commit(&mut self) -> Result<()> {
        self.sit_out().await;
        self.login()?;
        if self.sabotage == Sabotage::WaitsInCommit && self.notes.is_gone() {
            return pending().await;
        }
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
            Sabotage::CommitsIntoARecreatedLog
                if self.notes.recreated.load(Ordering::SeqCst) && !self.lost =>
            {
                self.commit_at(read).await
            }
            Sabotage::LosesInCommit if self.notes.trimmed.load(Ordering::SeqCst) && !self.lost => {
                Err(Error::new(ErrorKind::Lost, "commit", "the records at the position are gone"))
            }
            Sabotage::CommitsWithoutTheApplication => {
                self.notes.claim(&self.group);
                self.sound().await?.commit().await
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
            _ => {
                let committed = self.sound().await?.commit().await;
                committed.map_err(|error| self.for_good(error))
            }
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

    async fn remaining(&mut self) -> Result<Remaining> {
        self.sit_out().await;
        self.login()?;
        let sabotage = self.sabotage;
        match sabotage {
            Sabotage::WaitsInRemaining if self.notes.is_gone() => return pending().await,
            Sabotage::CountingTakesARecord if self.remaining_inner().await? > 0 => {
                let record = self.sound().await?.next().await?;
                tokio::task::yield_now().await;
                self.queue.extend(record);
            }
            Sabotage::LosesInRemaining if self.notes.recreated.load(Ordering::SeqCst) && !self.lost => {
                return Err(Error::new(ErrorKind::Lost, "count", "the records at the position are gone"));
            }
            _ => {}
        }
        let counted = self.remaining_inner().await;
        self.failed |= counted.is_err();
        let remaining = counted.map_err(|error| self.for_good(error))? + self.queue.len() as u64;
        let remaining = match self.sabotage {
            Sabotage::CountsTooFewAfterAnOutage if self.failed => remaining.saturating_sub(1),
            Sabotage::CountsTooFewAfterALoss if self.lost => remaining.saturating_sub(1),
            Sabotage::MixesPartitions => return Ok(Remaining::in_partitions([remaining, 0])),
            Sabotage::CountsTooFew => remaining.saturating_sub(1),
            Sabotage::NeverCountsToZero => remaining + 1,
            Sabotage::CountsNoOthers if self.others.is_some() => remaining.saturating_sub(1),
            _ => remaining,
        };
        Ok(remaining.into())
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        let refused = || Error::config("group", "it belongs to another application");
        match self.sabotage {
            Sabotage::ForgetsTheApplication => Ok(()),
            Sabotage::CommitsWithoutTheApplication if self.notes.is_claimed(&self.group) => Ok(()),
            Sabotage::RefusesItsOwnApplication if !self.notes.claim(&self.group) => Err(refused()),
            Sabotage::ObserversClaim if self.group.is_empty() => {
                let first = self.notes.claim("observers") && self.notes.claim(application);
                if first || self.notes.is_claimed(application) { Ok(()) } else { Err(refused()) }
            }
            _ => {
                let claimed = self.sound().await?.claim(application).await;
                self.failed |= claimed.is_err();
                claimed
            }
        }
    }

    fn leave_out(&mut self, others: Others) {
        self.others = Some(others);
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
