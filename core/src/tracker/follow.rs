//! The secondary's background task: performs what its machine decides.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use tokio::task::coop;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, info, warn};

use super::board::Board;
use super::counters::Counters;
use super::dispatch::{Dispatcher, Done};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Position, Record};
use crate::metrics::Share;
use crate::protocol::applier::Skip;
use crate::protocol::secondary::{Effect, Input, Secondary};
use crate::retry::{RetryPolicy, Waits};
use crate::source::EventSource;
use crate::wire::{self, Others};

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
    backlog: Share,
    retry: RetryPolicy,
    waits: Waits,
    in_trouble: bool,
    built: Instant,
    others: Others,
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
        mut source: S,
        machine: Secondary,
        board: Arc<Board>,
        dispatcher: Dispatcher,
        counters: Arc<Counters>,
        backlog: Share,
        retry: RetryPolicy,
    ) -> Self {
        let waits = retry.waits();
        let (told, built) = (VecDeque::new(), Instant::now());
        let in_trouble = false;
        let others = Others::than(machine.application().clone());
        source.leave_out(others.clone());
        Self {
            source,
            machine,
            board,
            dispatcher,
            told,
            counters,
            backlog,
            retry,
            waits,
            in_trouble,
            built,
            others,
        }
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
        self.backlog.set(0);
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
            // A source that has much at hand never waits; others on this thread shall get on all the same.
            coop::consume_budget().await;
            // While records come there is no tick: the machine looks at the time with each of them. So no timer is set for them.
            let next = tokio::select! {
                biased;
                next = self.source.next() => next,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    let now = self.built.elapsed();
                    let effects = self.handle(Input::Tick { now });
                    self.perform(effects).await?;
                    continue;
                }
            };
            let input = match next {
                Ok(Some(record)) => {
                    self.healthy();
                    lost_before = false;
                    self.take(&record)
                }
                Ok(None) => {
                    return Err(Error::new(ErrorKind::Lost, "follow", "the log has ended for good"));
                }
                // Said once; a source that goes on saying it is in trouble.
                Err(error) if error.kind() == ErrorKind::Lost && !lost_before => {
                    warn!(%error, "records were lost; following from the earliest that there are");
                    self.counters.losses.add_one();
                    lost_before = true;
                    Input::Lost
                }
                Err(error) if error.is_transient() || error.kind() == ErrorKind::Lost => {
                    self.troubled(error).await;
                    Input::Remaining(self.ask(Ask::Remaining).await?)
                }
                Err(error) => return Err(error),
            };
            let effects = self.handle(input);
            self.perform(effects).await?;
        }
    }

    fn take(&self, record: &Record) -> Input {
        let (position, now) = (record.position, self.built.elapsed());
        let others = match &record.payload {
            Some(payload) if self.others.wrote(payload) => 1,
            _ => record.left_out,
        };
        if others > 0 {
            self.counters.received.add(others);
            self.counters.other_application.add(others);
            return Input::Others { count: others, now };
        }
        self.counters.received.add_one();
        Input::Record { position, decoded: wire::decode(record), now }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.machine.handle(input);
        self.backlog.set(self.machine.backlog());
        effects
    }

    async fn perform(&mut self, effects: Vec<Effect>) -> Result<()> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Commit => {
                    self.ask(Ask::Commit).await?;
                    self.counters.commits.add_one();
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
                    self.counters.applied[to as usize].add_one();
                    self.board.stepped(transition, change.missed);
                    self.told.push_back(self.dispatcher.notify(change));
                    self.wait_for_listeners(if wait { 0 } else { LISTENER_BACKLOG }).await;
                }
                Effect::Skip { position, reason } => self.skip(position, reason),
                Effect::Gap { position, known, from } => {
                    self.counters.gaps.add_one();
                    warn!(%position, %known, %from, "steps are missing before this one; following its target");
                }
                Effect::PartitionChange { position, before } => self.partition_change(position, before),
                Effect::CountRemaining => {
                    let remaining = self.ask(Ask::Remaining).await?;
                    debug!(remaining, "counted what the log holds");
                    effects.extend(self.handle(Input::Remaining(remaining)));
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
            if answer.is_err() && matches!(ask, Ask::Commit) {
                self.counters.commit_failures.increment(1);
            }
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

    /// Once is enough: where the primary spreads its steps, most of them follow one of another partition.
    fn partition_change(&self, position: Position, before: u32) {
        let counter = &self.counters.partition_changes;
        counter.add_one();
        if counter.read() > 1 {
            debug!(%position, before, "this step, too, stands in another partition than the one before it");
            return;
        }
        warn!(
            %position,
            before,
            "this step stands in another partition than the one before it, so that their order is not certain: the primary \
             spreads its steps, as Java's does, or partitions were added; give the topic one partition, or write it with a \
             primary of this library"
        );
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
            Skip::OtherOperation { named, running } => {
                warn!(
                    %position,
                    %named,
                    %running,
                    "skipped: it ends another operation than the one that runs; two primaries announce this application"
                );
                &counters.other_operation
            }
        };
        counter.add_one();
    }
}
