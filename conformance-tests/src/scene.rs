//! Trackers on a bench: steps to be sent, and a secondary whose listener's calls can be looked at.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use backup_tracker::{
    BackupState, BackupTransition, Change, Event, PrimaryBackupTracker, RetryPolicy, SecondaryBackupTracker,
    SecondaryBuilder, SecondaryStats, WireFormat, wire,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::bench::{Bench, Clock, Outcome, describe, equal, failure};
use crate::harness::Lane;

/// The application of the cases.
pub(crate) const OWN: &str = "shop";
/// Others on the same log, with names that careless code takes for the own one.
pub(crate) const OTHERS: [&str; 4] = ["shop-2", "Shop", "sho", "Bücherei"];

/// A life of an application, each step with the state before and the state after.
pub(crate) const LIFE: [(BackupState, BackupState); 6] = [
    (Starting, Ready),
    (Ready, BackingUp),
    (BackingUp, Ready),
    (Ready, Restoring),
    (Restoring, Ready),
    (Ready, BackingUp),
];

/// Trackers try again quickly here, so that cases are quick.
pub(crate) fn retry() -> RetryPolicy {
    RetryPolicy::new().first(Duration::from_millis(10)).longest(Duration::from_millis(100))
}

/// A fresh step of an application, with a timestamp that no clock gave.
pub(crate) fn step(application: &str, from: BackupState, to: BackupState) -> BackupTransition {
    static TIME: AtomicU64 = AtomicU64::new(1_700_000_000_000);
    let time = TIME.fetch_add(1, Ordering::Relaxed);
    BackupTransition::new(Uuid::new_v4(), application, time, from, to)
}

/// The step as an event.
pub(crate) fn event(step: &BackupTransition) -> Event {
    wire::encode(step, WireFormat::Cbor)
}

/// Events of other applications: each begins a backup that does not end.
pub(crate) fn noise(count: usize) -> Vec<Event> {
    let others = OTHERS.iter().cycle().take(count);
    others.map(|other| event(&step(other, Ready, BackingUp))).collect()
}

/// A secondary, and what its listener was told.
pub(crate) struct Secondary {
    pub(crate) tracker: SecondaryBackupTracker,
    told: mpsc::UnboundedReceiver<Change>,
    clock: Clock,
}

impl<L: Lane> Bench<L> {
    /// Opens a secondary of the own application.
    pub(crate) async fn secondary(&self, group: &str) -> Outcome<Secondary> {
        self.secondary_with(group, |builder| builder).await
    }

    /// Opens a secondary, and waits until it has applied what there is: what comes from now on is no replay.
    pub(crate) async fn live_secondary(&self, group: &str) -> Outcome<Secondary> {
        let secondary = self.secondary(group).await?;
        secondary.synced().await?;
        Ok(secondary)
    }

    /// Opens a secondary that is built in a way of its own.
    pub(crate) async fn secondary_with(
        &self,
        group: &str,
        how: impl FnOnce(SecondaryBuilder<L::Source>) -> SecondaryBuilder<L::Source> + Send,
    ) -> Outcome<Secondary> {
        let source = self.reader(group).await?.source;
        self.secondary_of(source, how)
    }

    /// A secondary on a source that is open already.
    pub(crate) fn secondary_of(
        &self,
        source: L::Source,
        how: impl FnOnce(SecondaryBuilder<L::Source>) -> SecondaryBuilder<L::Source> + Send,
    ) -> Outcome<Secondary> {
        let (tell, told) = mpsc::unbounded_channel();
        let builder = SecondaryBackupTracker::builder(OWN, source).retry(retry()).on_change_async(
            move |change: Change, _| {
                let tell = tell.clone();
                // The case may have seen enough and ended.
                async move { drop(tell.send(change)) }
            },
        );
        let tracker = how(builder).build();
        let tracker = tracker.map_err(|error| failure("a secondary", describe(&error)))?;
        Ok(Secondary { tracker, told, clock: self.clock.clone() })
    }

    /// Opens a primary of the own application.
    pub(crate) async fn primary(&self) -> Outcome<PrimaryBackupTracker> {
        let sink = self.writer().await?.sink;
        let primary = PrimaryBackupTracker::builder(OWN, sink).retry(retry().for_ever()).build();
        primary.map_err(|error| failure("a primary", describe(&error)))
    }

    /// Sends steps.
    pub(crate) async fn announce(&self, steps: &[BackupTransition]) -> Outcome {
        let events: Vec<_> = steps.iter().map(event).collect();
        self.send(&events).await
    }

    /// Where the group's position is: a session that begins there first sees this one of the steps; `None`, none of them.
    pub(crate) async fn position(&self, group: &str, steps: &[BackupTransition]) -> Outcome<Option<usize>> {
        let mut reader = self.reader(group).await?;
        let reading = async {
            // What remains may be counted too high at first, so a `next` that waits is given up and asked again.
            while reader.remaining().await? > 0 {
                while let Ok(next) = tokio::time::timeout(self.clock.quiet, reader.next()).await {
                    let key = next?.key;
                    if let Some(found) = steps.iter().position(|step| Some(step.id) == key) {
                        return Ok(Some(found));
                    }
                }
            }
            Ok(None)
        };
        let what = format!("everything behind the position of group `{group}`");
        self.clock.within(what, self.clock.patience, reading).await?
    }

    /// Waits for something that nothing announces.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        what: &'a str,
        holds: impl Fn() -> bool + Send + 'a,
    ) -> impl Future<Output = Outcome> + Send + 'a {
        const PAUSE: Duration = Duration::from_millis(5);
        let waiting = async move {
            while !holds() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        self.clock.within(what, self.clock.patience, waiting)
    }
}

impl Secondary {
    /// The next call of the listener is about this step.
    #[track_caller]
    pub(crate) fn told<'a>(
        &'a mut self,
        step: &'a BackupTransition,
    ) -> impl Future<Output = Outcome<Change>> + Send + 'a {
        let what = format!("the listener to be told of `{step}` ({})", step.id);
        let ended = failure(&what, "the tracker ended");
        let other = failure(&what, "");
        let waiting = self.clock.within(what, self.clock.patience, self.told.recv());
        async move {
            let change = waiting.await?.ok_or(ended)?;
            if change.transition == *step {
                return Ok(change);
            }
            let (told, id) = (&change.transition, change.transition.id);
            Err(crate::report::Failure { seen: format!("it was told of `{told}` ({id})"), ..other })
        }
    }

    /// The listener is told of these steps, in order, all of them from the backlog or all of them new.
    pub(crate) async fn told_all(&mut self, steps: &[BackupTransition], replay: bool) -> Outcome {
        for step in steps {
            let change = self.told(step).await?;
            equal(&format!("replay, of `{step}`"), &replay, &change.replay)?;
        }
        Ok(())
    }

    /// The next call of the listener, whatever it is about.
    pub(crate) async fn change(&mut self) -> Outcome<Change> {
        let what = "the listener to be told of something";
        let told = self.clock.within(what, self.clock.patience, self.told.recv());
        told.await?.ok_or_else(|| failure(what, "the tracker ended"))
    }

    /// The listener is told of nothing.
    pub(crate) async fn told_nothing(&mut self) -> Outcome {
        let expected = "the listener to be told of nothing";
        match self.clock.nothing(expected, self.told.recv()).await {
            None => Ok(()),
            Some(Some(change)) => {
                Err(failure(expected, format_args!("it was told of `{}`", change.transition)))
            }
            Some(None) => Err(failure(expected, "the tracker ended")),
        }
    }

    /// Everything that was in the log is applied.
    pub(crate) async fn synced(&self) -> Outcome {
        self.clock.succeeds("`synced`", self.tracker.synced()).await
    }

    #[track_caller]
    pub(crate) fn is_in(&self, state: BackupState) -> Outcome {
        equal("the secondary's state", &state, &self.tracker.state())
    }

    #[track_caller]
    pub(crate) fn gate_is_shut(&self) -> Outcome {
        equal("whether the gate is open", &false, &self.tracker.gate().is_open())
    }

    /// The gate opens last of all, so this is a wait.
    pub(crate) async fn gate_opens(&self) -> Outcome {
        let gate = self.tracker.gate();
        self.clock.succeeds("the gate to open", gate.opened()).await
    }

    #[track_caller]
    pub(crate) fn counted(&self, what: &str, expected: u64, count: fn(&SecondaryStats) -> u64) -> Outcome {
        equal(&format!("stats: {what}"), &expected, &count(&self.tracker.stats()))
    }

    /// Ends it as a crash would: nothing is said to anybody. Returns when it has ended.
    pub(crate) async fn kill(self) -> Outcome {
        let Self { tracker, mut told, clock } = self;
        drop(tracker);
        // The listener goes with the tracker, and the sender with the listener.
        let ended = async move { while told.recv().await.is_some() {} };
        clock.within("a dropped secondary to end", clock.patience, ended).await
    }
}

/// A listener's future that does not end, and says so when it begins.
pub(crate) fn hang(begun: &Arc<tokio::sync::Notify>) -> impl Future<Output = ()> + Send + use<> {
    begun.notify_one();
    std::future::pending()
}
