//! What happens in the demo, from beginning to end.

use std::future::{Future, ready};
use std::time::Duration;

use backup_tracker::{BackupState, BackupTracker, PrimaryBackupTracker, RetryPolicy};
use tokio::time::{sleep, timeout};
use tokio::try_join;

use super::broker::DemoLog;
use super::cast::{APPLICATION, Who};
use super::record::{Recorder, What};
use super::secondary::Session;
use super::trouble::{Trouble, within};

/// The states that the primary announces, in order.
pub(super) const PLAN: [BackupState; 5] = [
    BackupState::Ready,
    BackupState::BackingUp,
    BackupState::Ready,
    BackupState::Restoring,
    BackupState::Ready,
];

/// How long things stay as they are, so that a person can follow.
const BEAT: Duration = Duration::from_millis(300);

/// How long to wait at the end for secondaries that have not heard everything. It ends the waiting only: whether something
/// is missing is for the verdict to say.
const HEARING_LIMIT: Duration = Duration::from_secs(5);

/// How long to look at the end for what should not come: anything twice.
const AFTERMATH: Duration = Duration::from_millis(100);

/// For how long an announcement that fails is tried again: nobody waits for a demo as for a real backup.
const ANNOUNCING_LIMIT: Duration = Duration::from_secs(1);

/// Plays it. What became of it is in the record; an error means that it did not come to its end.
pub(super) async fn play(log: &DemoLog, recorder: &Recorder) -> Result<(), Trouble> {
    let primary = open_primary(log, recorder).await?;
    let (search, reports, billing) = try_join!(
        open(Who::Search, log, recorder),
        open(Who::Reports, log, recorder),
        open(Who::Billing, log, recorder),
    )?;
    everybody_works([&search, &reports, &billing]).await?;

    recorder.add(Who::Orders, What::Announcing(BackupState::Ready));
    within("the announcement of READY", primary.startup_complete()).await??;
    everybody_works([&search, &reports, &billing]).await?;
    sleep(BEAT).await;

    recorder.add(Who::Orders, What::Announcing(BackupState::BackingUp));
    let billing = primary
        .backup(operation(recorder, BackupState::BackingUp, async {
            everybody_pauses([&search, &reports, &billing]).await?;
            recorder.add(Who::Orders, What::OperationBegan(BackupState::BackingUp));
            sleep(BEAT).await;
            billing.kill().await;
            sleep(BEAT).await;
            let billing = open(Who::Billing, log, recorder).await?;
            everybody_pauses([&search, &reports, &billing]).await?;
            sleep(BEAT).await;
            Ok(billing)
        }))
        .await?;
    everybody_works([&search, &reports, &billing]).await?;
    sleep(BEAT).await;

    recorder.add(Who::Orders, What::Announcing(BackupState::Restoring));
    primary
        .restore(operation(recorder, BackupState::Restoring, async {
            everybody_pauses([&search, &reports, &billing]).await?;
            recorder.add(Who::Orders, What::OperationBegan(BackupState::Restoring));
            sleep(2 * BEAT).await;
            Ok(())
        }))
        .await?;
    everybody_works([&search, &reports, &billing]).await?;

    end(primary, recorder, [search, reports, billing]).await
}

async fn open_primary(log: &DemoLog, recorder: &Recorder) -> Result<PrimaryBackupTracker, Trouble> {
    let sink = within("the sink of orders", log.sink()).await??;
    recorder.add(Who::Orders, What::Opened(BackupState::Starting));
    let recorder = recorder.clone();
    let primary = PrimaryBackupTracker::builder(APPLICATION, sink)
        .retry(RetryPolicy::new().give_up_after(ANNOUNCING_LIMIT))
        .on_change_async(move |change, _primary| {
            recorder.add(Who::Orders, What::Announced(change.transition));
            ready(())
        });
    Ok(primary.build()?)
}

async fn open(who: Who, log: &DemoLog, recorder: &Recorder) -> Result<Session, Trouble> {
    within(&format!("{who} to catch up with the log"), Session::open(who, log, recorder)).await?
}

/// The work of an operation, with its end in the record.
async fn operation<T: Send>(
    recorder: &Recorder,
    state: BackupState,
    work: impl Future<Output = Result<T, Trouble>> + Send,
) -> Result<T, Trouble> {
    let result = work.await;
    recorder.add(Who::Orders, What::OperationEnded(state));
    recorder.add(Who::Orders, What::Announcing(BackupState::Ready));
    result
}

async fn everybody_pauses([one, two, three]: [&Session; 3]) -> Result<(), Trouble> {
    let all = async { try_join!(one.pauses(), two.pauses(), three.pauses()) };
    within("every secondary to pause", all).await?.map(drop)
}

async fn everybody_works([one, two, three]: [&Session; 3]) -> Result<(), Trouble> {
    let all = async { try_join!(one.works(), two.works(), three.works()) };
    within("every secondary to work", all).await?.map(drop)
}

async fn end(
    primary: PrimaryBackupTracker,
    recorder: &Recorder,
    [one, two, three]: [Session; 3],
) -> Result<(), Trouble> {
    if let Some(last) = primary.last_transition() {
        let all = async { try_join!(one.hears(last.id), two.hears(last.id), three.hears(last.id)) };
        // In vain is not an error here: the verdict finds what is missing.
        timeout(HEARING_LIMIT, all).await.map_or(Ok(()), |heard| heard.map(drop))?;
    }
    sleep(AFTERMATH).await;
    within("the secondaries to close", async { try_join!(one.close(), two.close(), three.close()) })
        .await??;
    within("orders to close", primary.close()).await??;
    recorder.add(Who::Orders, What::Closed);
    Ok(())
}
