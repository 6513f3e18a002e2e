//! Runs a hook for each transition: in order, never two at once.

mod process;
mod tally;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub(super) use self::tally::{HooksView, Tally};
use super::report::{HookOutcome, Report, Step};

/// What to run.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) command: String,
    pub(super) limit: Duration,
    /// Whether the first failure ends the work.
    pub(super) end_on_failure: bool,
}

/// How far the end has come. Each stage includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Run,
    /// The hook that runs is the last one.
    Stop,
    /// It is ended, too.
    Abandon,
    /// Who waits for hooks that were never run waits no longer.
    Release,
}

#[derive(Debug)]
struct Job {
    step: Arc<Step>,
    done: oneshot::Sender<()>,
}

/// Queues hooks. Clones queue into the same queue.
#[derive(Clone, Debug)]
pub(super) struct Hooks {
    queue: mpsc::UnboundedSender<Job>,
    tally: Arc<Tally>,
    stage: watch::Receiver<Stage>,
}

/// A hook that is due.
#[derive(Debug)]
pub(super) struct Due {
    done: oneshot::Receiver<()>,
    stage: watch::Receiver<Stage>,
}

/// Runs what [`Hooks`] queues.
#[derive(Debug)]
pub(super) struct Worker {
    stage: watch::Sender<Stage>,
    task: JoinHandle<()>,
}

/// Starts the work. Reports go to `reports`.
pub(super) fn start(
    settings: Settings,
    application: &str,
    reports: mpsc::UnboundedSender<Report>,
) -> (Hooks, Worker) {
    let (queue, jobs) = mpsc::unbounded_channel();
    let (stage, stages) = watch::channel(Stage::Run);
    let tally = Arc::new(Tally::new(application));
    let hooks = Hooks { queue, tally: tally.clone(), stage: stages.clone() };
    let task = tokio::spawn(work(settings, jobs, stages, tally, reports));
    (hooks, Worker { stage, task })
}

impl Hooks {
    /// Queues the hook for this transition, without waiting.
    pub(super) fn queue(&self, step: Arc<Step>) -> Due {
        let (done, receiver) = oneshot::channel();
        // Counted before it can be taken out again.
        self.tally.queued();
        if self.queue.send(Job { step, done }).is_err() {
            tracing::debug!("the hooks have ended; one more is not run");
        }
        Due { done: receiver, stage: self.stage.clone() }
    }

    pub(super) fn view(&self) -> HooksView {
        self.tally.view()
    }

    /// How many wait for their turn.
    pub(super) fn waiting(&self) -> u64 {
        self.tally.view().waiting
    }
}

impl Due {
    /// Waits until the hook has ended. If it is never run, waits until the program ends, so that nothing is taken for done that
    /// was not.
    pub(super) async fn ended(mut self) {
        if self.done.await.is_err() {
            // An error means that the worker is gone, which then releases everybody.
            let _released = self.stage.wait_for(|stage| *stage == Stage::Release).await;
        }
    }
}

impl Worker {
    /// Waits until the work has ended by itself: because a hook failed, and that was to end it. Cancel safe.
    pub(super) async fn ended(&mut self) {
        if !self.task.is_finished()
            && let Err(error) = (&mut self.task).await
        {
            tracing::error!(%error, "the task that runs hooks ended early");
        }
    }

    /// Lets the hook that runs come to its end, and starts no more.
    pub(super) fn stop(&self) {
        self.advance(Stage::Stop);
    }

    /// Ends the hook that runs.
    pub(super) fn abandon(&self) {
        self.advance(Stage::Abandon);
    }

    /// Frees who waits for hooks that are never run.
    pub(super) fn release(&self) {
        self.advance(Stage::Release);
    }

    fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let further = to > *stage;
            *stage = (*stage).max(to);
            further
        });
    }
}

async fn work(
    settings: Settings,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    mut stage: watch::Receiver<Stage>,
    tally: Arc<Tally>,
    reports: mpsc::UnboundedSender<Report>,
) {
    let mut abandon = stage.clone();
    loop {
        let Job { step, done } = tokio::select! {
            biased;
            _ = stage.wait_for(|stage| *stage >= Stage::Stop) => break,
            job = jobs.recv() => match job {
                Some(job) => job,
                None => break,
            },
        };
        tally.started(&step);
        let abandoned = async {
            let _stage = abandon.wait_for(|stage| *stage >= Stage::Abandon).await;
        };
        let report = process::run(&settings.command, settings.limit, &step, abandoned).await;
        tally.ended(&report);
        let failed = report.outcome != HookOutcome::Succeeded;
        // An error means that the program is past printing.
        let _nobody_prints = reports.send(Report::Hook(report));
        if failed && settings.end_on_failure {
            break;
        }
        // An error means that nobody waits for this one.
        let _nobody_waits = done.send(());
    }
}

impl fmt::Debug for Settings {
    /// Without the command, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("limit", &self.limit).finish_non_exhaustive()
    }
}
