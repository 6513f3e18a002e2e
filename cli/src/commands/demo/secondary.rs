//! One life of a secondary: a tracker, some work behind its gate, and a record of all that it sees.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backup_tracker::{BackupState, EventSource, SecondaryBackupTracker, WorkGate};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use super::broker::DemoLog;
use super::cast::{APPLICATION, Who};
use super::record::{Recorder, Told, What};
use super::trouble::Trouble;

/// How long a secondary rests between two pieces of work.
const REST: Duration = Duration::from_millis(5);

/// A secondary that lives. Dropped, it is as good as crashed.
#[derive(Debug)]
pub(super) struct Session {
    who: Who,
    recorder: Recorder,
    tracker: SecondaryBackupTracker,
    tasks: JoinSet<()>,
    paused: watch::Receiver<bool>,
    pieces: watch::Receiver<u64>,
    finished: watch::Receiver<Option<Uuid>>,
}

impl Session {
    /// Starts the service, and returns when it has caught up with the log.
    pub(super) async fn open(who: Who, log: &DemoLog, recorder: &Recorder) -> Result<Self, Trouble> {
        let source = log.source(who.name()).await?;
        let state = if source.resumed() { BackupState::Ready } else { BackupState::Starting };
        recorder.add(who, What::Opened(state));
        let (finished, all_finished) = watch::channel(None);
        let sign = Arc::new(Sign { who, recorder: recorder.clone(), shown: Mutex::new(None) });
        let (listener_sign, listener_recorder) = (sign.clone(), recorder.clone());
        let tracker = SecondaryBackupTracker::builder(APPLICATION, source)
            .on_change_async(move |change, tracker| {
                listener_sign.show(&tracker.watch());
                let (recorder, finished) = (listener_recorder.clone(), finished.clone());
                async move {
                    let (transition, replay, missed) = (change.transition, change.replay, change.missed);
                    let id = transition.id;
                    recorder.add(who, What::Told(Told { transition: transition.clone(), replay, missed }));
                    sleep(who.listener_time()).await;
                    recorder.add(who, What::ListenerReturned(transition));
                    finished.send_replace(Some(id));
                }
            })
            .build()?;

        let (has_paused, paused) = watch::channel(false);
        let (piece_done, pieces) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(show_states(sign, tracker.watch(), tracker.gate(), has_paused));
        tasks.spawn(work(who, tracker.gate(), piece_done, recorder.clone()));
        let (recorder, finished) = (recorder.clone(), all_finished);
        let session = Self { who, recorder, tracker, tasks, paused, pieces, finished };
        session.tracker.synced().await?;
        session.recorder.add(who, What::Synced);
        Ok(session)
    }

    /// Waits until the gate is shut and nothing runs behind it.
    pub(super) async fn pauses(&self) -> Result<(), Trouble> {
        self.unless_it_stops(async {
            self.tracker.gate().drained().await;
            // What counts is the gate; this only lets the record say so first. An error means that nobody records any more.
            drop(self.paused.clone().wait_for(|paused| *paused).await);
        })
        .await
    }

    /// Waits until it has finished a piece of work that was not finished before.
    pub(super) async fn works(&self) -> Result<(), Trouble> {
        let mut pieces = self.pieces.clone();
        pieces.mark_unchanged();
        // An error means that it will not work again; the verdict says so.
        self.unless_it_stops(async { drop(pieces.changed().await) }).await
    }

    /// Waits until its listener has returned from this transition.
    pub(super) async fn hears(&self, id: Uuid) -> Result<(), Trouble> {
        let mut finished = self.finished.clone();
        // An error means that it will hear nothing more; the verdict says what it lacks.
        self.unless_it_stops(async { drop(finished.wait_for(|newest| *newest == Some(id)).await) }).await
    }

    /// A secondary that has stopped keeps its gate shut for good, so that some waits would never end.
    async fn unless_it_stops(&self, wait: impl Future<Output = ()> + Send) -> Result<(), Trouble> {
        tokio::select! {
            biased;
            end = self.tracker.closed() => Err(Trouble::Stopped { who: self.who, error: end.err() }),
            () = wait => Ok(()),
        }
    }

    /// Ends it as a crash would: without a word to anybody.
    pub(super) async fn kill(self) {
        let Self { who, recorder, tracker, mut tasks, .. } = self;
        drop(tracker);
        tasks.shutdown().await;
        recorder.add(who, What::Killed);
    }

    /// Ends it in good order: every listener that is due returns first.
    pub(super) async fn close(self) -> Result<(), Trouble> {
        self.tracker.close().await?;
        self.recorder.add(self.who, What::Closed);
        Ok(())
    }
}

/// Records the states that the tracker shows.
#[derive(Debug)]
struct Sign {
    who: Who,
    recorder: Recorder,
    /// Held while the state is read and recorded, so that none is recorded after a newer one.
    shown: Mutex<Option<BackupState>>,
}

impl Sign {
    fn show(&self, states: &watch::Receiver<BackupState>) -> BackupState {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let state = *states.borrow();
        if shown.replace(state) != Some(state) {
            self.recorder.add(self.who, What::Shows(state));
        }
        state
    }
}

/// Records the states as they change, and when the work behind the gate has come to rest.
async fn show_states(
    sign: Arc<Sign>,
    mut states: watch::Receiver<BackupState>,
    gate: WorkGate,
    has_paused: watch::Sender<bool>,
) {
    loop {
        states.mark_unchanged();
        let state = sign.show(&states);
        if state.is_operation() && !*has_paused.borrow() {
            tokio::select! {
                biased;
                () = gate.drained() => {
                    sign.recorder.add(sign.who, What::Paused);
                    has_paused.send_replace(true);
                }
                changed = states.changed() => if changed.is_ok() { continue } else { return },
            }
        } else if !state.is_operation() {
            has_paused.send_replace(false);
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// What the service is there for, as far as this demo is concerned.
async fn work(who: Who, gate: WorkGate, done: watch::Sender<u64>, recorder: Recorder) {
    // An error means that the secondary has ended, and the work with it.
    while let Ok(permit) = gate.enter().await {
        recorder.add(who, What::WorkBegan);
        sleep(who.work_time()).await;
        recorder.add(who, What::WorkEnded);
        drop(permit);
        done.send_modify(|pieces| *pieces += 1);
        sleep(REST).await;
    }
}
