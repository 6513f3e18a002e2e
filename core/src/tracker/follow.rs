//! The secondary's driver: performs what its machine decides.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::coop;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, error, info, warn};

use super::board::Board;
use super::counters::Counters;
use super::dispatch::{Dispatcher, Done};
use super::patience::{GiveUp, Patience, Reading};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::health::Activity;
use crate::metrics::Share;
use crate::protocol::calls::Call;
use crate::protocol::secondary::{Effect, Input, Secondary};
use crate::retry::RetryPolicy;
use crate::source::EventSource;
use crate::wire::{self, Others};

/// For how long reading waits for what is not due now: a commit that may come later, a count when all of the backlog is
/// read (T12).
const ASIDE: Duration = Duration::from_secs(1);
/// For how long it waits at most for a count without which the gate stays shut. It begins at [`ASIDE`], and doubles each time.
const LONGEST_COUNT: Duration = Duration::from_secs(64);

/// What a driver shows, and what it calls.
pub(super) struct Surroundings {
    pub(super) board: Arc<Board>,
    pub(super) dispatcher: Dispatcher,
    pub(super) counters: Arc<Counters>,
    pub(super) backlog: Share,
    pub(super) calls: Share,
    pub(super) retry: RetryPolicy,
    pub(super) limits: GiveUp,
}

impl Surroundings {
    /// Shows an error that passes.
    ///
    /// # Errors
    ///
    /// The error as one that does not pass, when it has lasted for longer than the user puts up with its cause.
    pub(super) fn trouble(&mut self, activity: Activity, error: Error, wait: Duration) -> Result<()> {
        self.counters.troubles.fetch_add(1, Ordering::Relaxed);
        if self.limits.is_due(activity, error.cause(), Instant::now()) {
            return Err(error.into_permanent());
        }
        warn!(%error, ?activity, ?wait, "in trouble; trying again");
        self.board.fails(activity, error);
        Ok(())
    }

    pub(super) fn works(&mut self, activity: Activity) {
        self.limits.works(activity);
        self.board.works(activity);
    }
}

pub(super) struct Follower<S> {
    source: S,
    machine: Secondary,
    around: Surroundings,
    /// The call of listeners that has not returned.
    running: Option<Done>,
    reading: Reading,
    committing: Patience,
    counting: Patience,
    count_limit: Duration,
    /// Whether nothing was read since a loss.
    lost_before: bool,
    built: Instant,
    others: Others,
}

enum Happening {
    Returned,
    Next(Result<Option<Record>>),
    Time,
}

impl<S: EventSource> Follower<S> {
    pub(super) fn new(mut source: S, machine: Secondary, around: Surroundings) -> Self {
        let others = Others::than(machine.application().clone());
        source.leave_out(others.clone());
        let retry = around.retry;
        Self {
            source,
            machine,
            around,
            running: None,
            reading: Reading::new(retry),
            committing: Patience::new(retry),
            counting: Patience::new(retry),
            count_limit: ASIDE,
            lost_before: false,
            built: Instant::now(),
            others,
        }
    }

    /// The source, to be closed, the calls that have not begun, and who makes them.
    pub(super) fn end(mut self) -> (S, Vec<Call>, Surroundings) {
        (self.source, self.machine.remaining_calls(), self.around)
    }

    /// Follows until a permanent error.
    pub(super) async fn follow(&mut self) -> Result<()> {
        let state = self.machine.view().state;
        info!(%state, resumed = self.source.resumed(), "following");
        // Counted first: by the time the claim is answered, a source that reads ahead may wait for more, and the count behind it.
        let effects = self.handle(Input::Begin);
        self.perform(effects).await?;
        self.claim().await?;
        loop {
            // A source that has much at hand never waits; others on this thread shall get on all the same.
            coop::consume_budget().await;
            let effects = match self.wait().await {
                Happening::Returned => self.handle(Input::Returned),
                Happening::Next(Ok(Some(record))) => {
                    if self.reading.works() {
                        self.in_contact().await?;
                    }
                    self.lost_before = false;
                    let input = self.take(&record);
                    self.handle(input)
                }
                Happening::Next(Ok(None)) => {
                    return Err(Error::new(ErrorKind::Lost, "follow", "the log has ended for good"));
                }
                Happening::Next(Err(error)) => {
                    let input = self.reading_failed(error)?;
                    self.handle(input)
                }
                Happening::Time => {
                    if self.reading.settle(Instant::now()) {
                        self.in_contact().await?;
                    }
                    let now = self.now();
                    self.handle(Input::Tick { now })
                }
            };
            self.perform(effects).await?;
        }
    }

    /// While records come there is no tick: the machine looks at the time with each of them. So no timer is set for them.
    async fn wait(&mut self) -> Happening {
        let now = Instant::now();
        let reads = self.machine.reads() && self.reading.is_due(now);
        let tick = self.machine.deadline().and_then(|deadline| self.built.checked_add(deadline));
        let deadline = tick.into_iter().chain(self.reading.deadline()).min();
        tokio::select! {
            biased;
            () = returned(&mut self.running) => Happening::Returned,
            next = self.source.next(), if reads => Happening::Next(next),
            () = sleep_until(deadline.unwrap_or(now)), if deadline.is_some() => Happening::Time,
        }
    }

    fn now(&self) -> Duration {
        self.built.elapsed()
    }

    /// Before anything is read, with the gate shut.
    async fn claim(&mut self) -> Result<()> {
        let application = self.machine.application().clone();
        loop {
            let Err(error) = self.source.claim(&application).await else { break };
            if !error.is_transient() {
                return Err(error);
            }
            let wait = self.committing.fail();
            self.around.trouble(Activity::Committing, error, wait)?;
            tokio::time::sleep(wait).await;
        }
        self.works(Activity::Committing);
        Ok(())
    }

    fn take(&self, record: &Record) -> Input {
        let (position, now) = (record.position, self.now());
        let counters = &self.around.counters;
        let others = match &record.payload {
            Some(payload) if self.others.wrote(payload) => 1,
            _ => record.left_out,
        };
        if others > 0 {
            counters.received.add(others);
            counters.other_application.add(others);
            return Input::Others { position, count: others, now };
        }
        counters.received.add_one();
        Input::Record { position, decoded: wire::decode(record), now }
    }

    fn reading_failed(&mut self, error: Error) -> Result<Input> {
        if error.kind() == ErrorKind::Lost {
            // No trouble, but no hot loop either.
            let again = std::mem::replace(&mut self.lost_before, true);
            let wait = if again { self.reading.fail(Instant::now()) } else { Duration::ZERO };
            return Ok(self.lost(error, wait));
        }
        if !error.is_transient() {
            return Err(error);
        }
        let wait = self.reading.fail(Instant::now());
        self.around.trouble(Activity::Contact, error, wait)?;
        Ok(Input::OutOfContact { now: self.now() })
    }

    fn lost(&self, error: Error, wait: Duration) -> Input {
        warn!(%error, "records were lost; following from the earliest that there are");
        self.around.counters.losses.add_one();
        Input::Lost { error, again_at: self.now().saturating_add(wait) }
    }

    async fn in_contact(&mut self) -> Result<()> {
        self.around.works(Activity::Contact);
        info!("reading works again");
        let effects = self.handle(Input::InContact);
        self.perform(effects).await
    }

    fn works(&mut self, activity: Activity) {
        match activity {
            Activity::Committing => self.committing.works(),
            Activity::Counting => self.counting.works(),
            Activity::Contact => {}
        }
        self.around.works(activity);
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.machine.handle(input);
        self.around.backlog.set(self.machine.backlog());
        self.around.calls.set(self.machine.outstanding_calls());
        effects
    }

    /// Performs effects, and those that follow from them, before the next.
    async fn perform(&mut self, effects: Vec<Effect>) -> Result<()> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            if let Some(input) = self.perform_one(effect).await? {
                for effect in self.handle(input).into_iter().rev() {
                    effects.push_front(effect);
                }
            }
        }
        Ok(())
    }

    async fn perform_one(&mut self, effect: Effect) -> Result<Option<Input>> {
        let Surroundings { board, counters, .. } = &self.around;
        match effect {
            Effect::Commit { insist } => return self.commit(insist).await.map(Some),
            Effect::CountRemaining => return self.count().await.map(Some),
            Effect::Call(call) => return Ok(self.call(call)),
            Effect::Publish(view) => {
                debug!(state = %view.state, synced = view.synced, gate_open = view.gate_open, "published");
                board.publish(view);
            }
            Effect::Applied { transition, replay, missed } => {
                let (from, to, id) = (transition.from, transition.to, transition.id);
                info!(%from, %to, %id, replay, missed, "applied");
                counters.applied[to as usize].add_one();
                board.stepped(&transition, missed);
            }
            Effect::Skip { position, reason } => counters.skip(position, reason),
            Effect::Gap { position, known, from } => {
                counters.gaps.add_one();
                warn!(%position, %known, %from, "steps are missing before this one; following its target");
            }
            Effect::PartitionChange { position, before } => counters.partition_change(position, before),
        }
        Ok(None)
    }

    async fn commit(&mut self, insist: bool) -> Result<Input> {
        let commit = self.source.commit();
        let answer = if insist { commit.await } else { aside(ASIDE, "commit", commit).await };
        match answer {
            Ok(()) => {
                self.works(Activity::Committing);
                self.around.counters.commits.add_one();
                debug!("committed");
                Ok(Input::Committed { now: self.now() })
            }
            Err(error) => {
                self.around.counters.commit_failures.increment(1);
                let wait = self.committing.fail();
                let retry_at = self.now().saturating_add(wait);
                self.failed(Activity::Committing, error, wait, Input::NotCommitted { retry_at })
            }
        }
    }

    async fn count(&mut self) -> Result<Input> {
        let limit = if self.machine.view().synced { ASIDE } else { self.count_limit };
        match aside(limit, "count what remains", self.source.remaining()).await {
            Ok(remaining) => {
                self.works(Activity::Counting);
                self.count_limit = ASIDE;
                debug!(remaining = remaining.total(), "counted what the log holds");
                Ok(Input::Remaining(remaining))
            }
            Err(error) => {
                self.count_limit = self.count_limit.saturating_mul(2).min(LONGEST_COUNT);
                let wait = self.counting.fail();
                let retry_at = self.now().saturating_add(wait);
                self.failed(Activity::Counting, error, wait, Input::NotCounted { retry_at })
            }
        }
    }

    fn failed(&mut self, activity: Activity, error: Error, wait: Duration, then: Input) -> Result<Input> {
        if error.is_transient() {
            self.around.trouble(activity, error, wait)?;
            Ok(then)
        } else if error.kind() == ErrorKind::Lost {
            // A source says so by `next`; one that does it here is followed all the same.
            Ok(self.lost(error, wait))
        } else {
            Err(error)
        }
    }

    /// Where there are no listeners they have returned.
    fn call(&mut self, call: Call) -> Option<Input> {
        if let Call::Change(change) = &call
            && change.passed_over > 0
        {
            self.around.counters.passed_over.add(change.passed_over);
            warn!(
                passed_over = change.passed_over,
                next = %change.transition,
                "listeners were busy for so long that they are not told of these steps"
            );
        }
        if !self.around.dispatcher.has_listeners() {
            return Some(Input::Returned);
        }
        self.running = Some(self.around.dispatcher.call(call));
        None
    }
}

/// Asks for something that reading does not wait for longer than this. Giving it up half-way is fine: a later one repairs it.
async fn aside<T>(
    limit: Duration,
    operation: &'static str,
    asked: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    timeout(limit, asked).await.unwrap_or_else(|_elapsed| {
        let message = format!("no answer within {limit:?}; reading goes on meanwhile");
        Err(Error::new(ErrorKind::Unavailable, operation, message))
    })
}

/// Waits until the listeners have returned.
async fn returned(running: &mut Option<Done>) {
    let Some(done) = running else { return pending().await };
    let result = done.await;
    *running = None;
    if result.is_err() {
        // They were ended, together with this task or before it. Nothing may go on as if they had returned.
        error!("listeners are not called any more: their task has ended");
        pending::<()>().await;
    }
}
