//! The secondary's background task: performs what its machine decides.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, info, warn};

use super::board::Board;
use super::dispatch::{Dispatcher, Done};
use super::secondary::SecondaryStats;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Position;
use crate::protocol::secondary::{Effect, Input, Secondary, Skip};
use crate::retry::{RetryPolicy, Waits};
use crate::source::EventSource;
use crate::wire;

/// How many changes may wait for slow listeners before the following waits, too.
const LISTENER_BACKLOG: usize = 64;

pub(super) struct Follower<S> {
    source: S,
    machine: Secondary,
    board: Arc<Board>,
    dispatcher: Dispatcher,
    /// What the listeners were told and have not finished, oldest first.
    told: VecDeque<Done>,
    counters: Arc<Counters>,
    retry: RetryPolicy,
    waits: Waits,
    in_trouble: bool,
    built: Instant,
}

/// Ends the board however the task ends, also when it is aborted.
struct EndOfBoard(Arc<Board>);

impl Drop for EndOfBoard {
    fn drop(&mut self) {
        self.0.gate().shut();
        self.0.end(Err(Error::closed("follow")));
    }
}

enum Ask {
    Commit,
    Remaining,
}

impl<S: EventSource> Follower<S> {
    pub(super) fn new(
        source: S,
        machine: Secondary,
        board: Arc<Board>,
        dispatcher: Dispatcher,
        counters: Arc<Counters>,
        retry: RetryPolicy,
    ) -> Self {
        let waits = retry.waits();
        let (told, built) = (VecDeque::new(), Instant::now());
        Self { source, machine, board, dispatcher, told, counters, retry, waits, in_trouble: false, built }
    }

    pub(super) async fn run(mut self, mut close: watch::Receiver<bool>) {
        let end = EndOfBoard(self.board.clone());
        let state = self.board.state();
        info!(%state, resumed = self.source.resumed(), "following");
        let result = tokio::select! {
            biased;
            closed = close.wait_for(|close| *close) => match closed {
                Ok(_) => Ok(()),
                Err(_no_handle_is_left) => return,
            },
            result = self.follow() => result,
        };
        self.board.gate().shut();
        match &result {
            Ok(()) => debug!("closing"),
            Err(error) => error!(%error, "following ended; the gate is shut for good"),
        }
        if let Err(error) = self.source.close().await {
            warn!(%error, "closing the source failed");
        }
        if result.is_err() {
            // Before the listeners: they may wait for anything.
            self.board.end(result.clone());
        }
        self.dispatcher.finish().await;
        self.board.end(result);
        drop(end);
    }

    async fn follow(&mut self) -> Result<()> {
        self.perform(vec![Effect::CountRemaining]).await?;
        let mut lost_before = false;
        loop {
            let deadline = self.machine.deadline().map(|deadline| self.built + deadline);
            let next = tokio::select! {
                next = self.source.next() => next,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    let now = self.built.elapsed();
                    let effects = self.machine.handle(Input::Tick { now });
                    self.perform(effects).await?;
                    continue;
                }
            };
            let input = match next {
                Ok(Some(record)) => {
                    self.counters.received.fetch_add(1, Ordering::Relaxed);
                    self.healthy();
                    lost_before = false;
                    let (position, now) = (record.position, self.built.elapsed());
                    Input::Record { position, decoded: wire::decode(&record), now }
                }
                Ok(None) => {
                    return Err(Error::new(ErrorKind::Lost, "follow", "the log has ended for good"));
                }
                // Said once; a source that goes on saying it is in trouble.
                Err(error) if error.kind() == ErrorKind::Lost && !lost_before => {
                    warn!(%error, "records were lost; following from the earliest that there are");
                    self.counters.losses.fetch_add(1, Ordering::Relaxed);
                    lost_before = true;
                    Input::Lost
                }
                Err(error) if error.is_transient() || error.kind() == ErrorKind::Lost => {
                    self.troubled(error).await;
                    Input::Remaining(self.ask(Ask::Remaining).await?)
                }
                Err(error) => return Err(error),
            };
            let effects = self.machine.handle(input);
            self.perform(effects).await?;
        }
    }

    async fn perform(&mut self, effects: Vec<Effect>) -> Result<()> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Commit => {
                    self.ask(Ask::Commit).await?;
                    self.counters.commits.fetch_add(1, Ordering::Relaxed);
                    debug!("committed");
                }
                Effect::Publish(view) => {
                    debug!(state = %view.state, synced = view.synced, gate_open = view.gate_open, "published");
                    self.board.publish(view.state, view.last, view.synced, view.gate_open);
                }
                Effect::Notify { change, wait } => {
                    let transition = &change.transition;
                    let (from, to, id) = (transition.from, transition.to, transition.id);
                    info!(%from, %to, %id, change.replay, change.missed, "applied");
                    self.counters.applied.fetch_add(1, Ordering::Relaxed);
                    self.told.push_back(self.dispatcher.notify(change));
                    self.wait_for_listeners(if wait { 0 } else { LISTENER_BACKLOG }).await;
                }
                Effect::Skip { position, reason } => self.skip(position, reason),
                Effect::Gap { position, known, from } => {
                    self.counters.gaps.fetch_add(1, Ordering::Relaxed);
                    warn!(%position, %known, %from, "steps are missing before this one; following its target");
                }
                Effect::CountRemaining => {
                    let remaining = self.ask(Ask::Remaining).await?;
                    debug!(remaining, "counted what the log holds");
                    effects.extend(self.machine.handle(Input::Remaining(remaining)));
                }
            }
        }
        Ok(())
    }

    async fn wait_for_listeners(&mut self, at_most: usize) {
        while self.told.len() > at_most {
            if let Some(done) = self.told.pop_front()
                && done.await.is_err()
                && self.dispatcher.has_listeners()
            {
                // They were ended together with this task, which does not know yet. It must not go on as if they had been told.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Asks until it is answered; only a permanent error comes back.
    async fn ask(&mut self, ask: Ask) -> Result<u64> {
        loop {
            let answer = match ask {
                Ask::Commit => self.source.commit().await.map(|()| 0),
                Ask::Remaining => self.source.remaining().await,
            };
            match answer {
                Ok(answer) => {
                    self.healthy();
                    return Ok(answer);
                }
                Err(error) if error.is_transient() => self.troubled(error).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn troubled(&mut self, error: Error) {
        self.counters.troubles.fetch_add(1, Ordering::Relaxed);
        let wait = self.waits.next().unwrap_or(RetryPolicy::DEFAULT_LONGEST);
        warn!(%error, ?wait, "in trouble; trying again");
        self.in_trouble = true;
        self.board.troubled(error);
        sleep(wait).await;
    }

    fn healthy(&mut self) {
        if std::mem::take(&mut self.in_trouble) {
            self.board.healthy();
            info!("out of trouble");
            self.waits = self.retry.waits();
        }
    }

    fn skip(&self, position: Position, reason: Skip) {
        let counters = &self.counters;
        let counter = match reason {
            Skip::OtherApplication => &counters.other_application,
            Skip::OtherAction(action) => {
                debug!(%position, action, "skipped: an action that is neither a backup nor a restore");
                &counters.other_action
            }
            Skip::Undecodable(error) => {
                warn!(%position, %error, "skipped: not a transition");
                &counters.undecodable
            }
            Skip::Forbidden { from, to } => {
                warn!(%position, %from, %to, "skipped: the state table forbids this step");
                &counters.forbidden
            }
            Skip::Duplicate(id) => {
                info!(%position, %id, "skipped: applied before");
                &counters.duplicate
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// See [`SecondaryStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    received: AtomicU64,
    applied: AtomicU64,
    other_application: AtomicU64,
    other_action: AtomicU64,
    undecodable: AtomicU64,
    forbidden: AtomicU64,
    duplicate: AtomicU64,
    gaps: AtomicU64,
    losses: AtomicU64,
    commits: AtomicU64,
    troubles: AtomicU64,
    pub(super) listener_failures: Arc<AtomicU64>,
}

impl Counters {
    pub(super) fn read(&self) -> SecondaryStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SecondaryStats {
            received: read(&self.received),
            applied: read(&self.applied),
            other_application: read(&self.other_application),
            other_action: read(&self.other_action),
            undecodable: read(&self.undecodable),
            forbidden: read(&self.forbidden),
            duplicate: read(&self.duplicate),
            gaps: read(&self.gaps),
            losses: read(&self.losses),
            commits: read(&self.commits),
            troubles: read(&self.troubles),
            listener_failures: read(&self.listener_failures),
        }
    }
}
