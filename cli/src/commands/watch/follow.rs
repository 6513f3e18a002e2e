//! Opens the source, however long that takes, and follows until the end.

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::{BackupState, CommitOrder, EventSource, Health, SecondaryBackupTracker};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::delivery::Delivery;
use super::report::{HealthStatus, Report};
use super::source::{self, Opened};
use super::view::{View, status_of};
use super::{Arguments, CommitWhen, Replay};
use crate::commands::reading::say;
use crate::options::OpenError;

/// How long a step may take before standard error says what is being waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The waits between attempts to open the source: the first, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Follows until the tracker ends; an error is what ended it, or what it could not be opened for.
pub(super) async fn follow(
    arguments: Arc<Arguments>,
    view: Arc<View>,
    reports: mpsc::UnboundedSender<Report>,
) -> Result<(), OpenError> {
    let opened = open(&arguments, &view).await?;
    let has_group = opened.has_group;
    let tracker = build(&arguments, &view, &reports, opened)?;
    // Nobody else sets it.
    let tracker = view.tracker.get_or_init(|| tracker).clone();
    // An error of sending means that the program is past printing, here and below.
    let _nobody_prints = reports.send(Report::Following {
        application: view.application.clone(),
        transport: arguments.backups.transport_name().as_str(),
        topic: arguments.backups.topic().to_owned(),
        keeps_position: has_group,
        group: arguments.kafka.group().filter(|_| has_group).map(str::to_owned),
    });
    let telling =
        async { tokio::join!(say_if_syncing_takes_long(&tracker), tell_health(&tracker, &reports)) };
    let ended = tokio::select! {
        biased;
        ended = tracker.closed() => ended,
        ((), ()) = telling => tracker.closed().await,
    };
    if let Err(error) = &ended {
        let _nobody_prints = reports.send(Report::Health {
            status: HealthStatus::Failed,
            error: Some(error.to_string()),
            before: HealthStatus::Connecting,
        });
    }
    ended.map_err(OpenError::from)
}

/// Tries again for as long as it may help.
async fn open(arguments: &Arguments, view: &View) -> Result<Opened, OpenError> {
    let Arguments { backups, kafka, no_group, .. } = arguments;
    let (mut wait, longest) = WAITS;
    let mut told = String::new();
    loop {
        let opening = source::open(backups, kafka, !no_group);
        let error = match patiently(opening, "the broker to answer").await {
            Err(OpenError::Broker(error)) if error.is_transient() => error.to_string(),
            opened => return opened,
        };
        if error != told {
            say::warning(format_args!("waiting for the broker: {error}; trying again"));
            view.set_obstacle(error.clone());
            told = error;
        }
        sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
}

fn build(
    arguments: &Arguments,
    view: &View,
    reports: &mpsc::UnboundedSender<Report>,
    Opened { source, has_group }: Opened,
) -> Result<SecondaryBackupTracker, OpenError> {
    let replay = arguments.replay.unwrap_or(if has_group { Replay::All } else { Replay::Last });
    let after_exec = view.hooks.is_some() && arguments.commit == CommitWhen::AfterExec;
    let order = if after_exec { CommitOrder::ListenersFirst } else { CommitOrder::CommitFirst };
    // Without a position there is nothing that could wait, and waiting would only keep the state from moving.
    let wait_at_ready = after_exec && has_group;
    // Only Ready is ever committed.
    let state = if source.resumed() { BackupState::Ready } else { BackupState::Starting };
    let (reports, feed, hooks) = (reports.clone(), view.feed.clone(), view.hooks.clone());
    let delivery =
        Delivery::new(view.application.clone(), replay, wait_at_ready, state, reports, feed, hooks);
    let builder = SecondaryBackupTracker::builder(&*view.application, source)
        .commit_order(order)
        .shut_gate_while_starting(arguments.unready_while_starting)
        .listener(delivery.clone());
    let tracker = builder.build()?;
    delivery.await_end_of_past(&tracker);
    Ok(tracker)
}

/// What ends before it is synced says so elsewhere.
async fn say_if_syncing_takes_long(tracker: &SecondaryBackupTracker) {
    drop(patiently(tracker.synced(), "the log to be read to its end").await);
}

/// Tells trouble, and when it is over.
async fn tell_health(tracker: &SecondaryBackupTracker, reports: &mpsc::UnboundedSender<Report>) {
    let mut told = HealthStatus::Healthy;
    loop {
        let health: Health = tracker.health_is(|health| status_of(health) != told).await;
        let before = std::mem::replace(&mut told, status_of(&health));
        if matches!(told, HealthStatus::Failed | HealthStatus::Closed) {
            return;
        }
        let error = health.error().map(ToString::to_string);
        let _nobody_prints = reports.send(Report::Health { status: told, error, before });
    }
}

/// The output of the future; says what is being waited for where that takes long.
async fn patiently<T>(future: impl Future<Output = T>, what: &str) -> T {
    let mut future = std::pin::pin!(future);
    if let Ok(output) = timeout(PATIENCE, &mut future).await {
        return output;
    }
    say::note(format_args!("waiting for {what}"));
    future.await
}
