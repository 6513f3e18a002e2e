//! T2: on Ready, the position moves before the listeners, or after them if asked. Shown with listeners that never return.

use std::sync::Arc;

use backup_tracker::BackupState::Ready;
use backup_tracker::CommitOrder;
use tokio::sync::Notify;

use super::cases;
use super::ready_commit::life;
use crate::bench::{Bench, Outcome, equal};
use crate::harness::Lane;
use crate::scene::hang;

cases! {
    the_position_moves_before_the_listeners_of_ready: T2;
    the_position_moves_after_the_listeners_of_ready_if_asked: T2;
}

async fn the_position_moves_before_the_listeners_of_ready<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    for part in [&life[..1], &life[1..3], &life[3..5]] {
        bench.announce(part).await?;
        // The listener of Ready never returns, and then the process dies.
        let begun = Arc::new(Notify::new());
        let begins = Arc::clone(&begun);
        let hanging = bench
            .secondary_with("g", |builder| {
                builder.on_change_async(move |change, _| {
                    let hanging = (change.transition.to == Ready).then(|| hang(&begins));
                    async move {
                        if let Some(hanging) = hanging {
                            hanging.await;
                        }
                    }
                })
            })
            .await?;
        let what = "the listener of Ready to be called";
        bench.clock.within(what, bench.clock.patience, begun.notified()).await?;
        hanging.kill().await?;
        equal("the first step at the position", &None, &bench.position("g", &life).await?)?;
        // It is not called again: no crash loop.
        let mut next = bench.secondary("g").await?;
        next.is_in(Ready)?;
        next.synced().await?;
        next.told_nothing().await?;
        next.kill().await?;
    }
    Ok(())
}

async fn the_position_moves_after_the_listeners_of_ready_if_asked<L: Lane>(bench: Bench<L>) -> Outcome {
    let life = life();
    bench.announce(&life[..1]).await?;
    let order = CommitOrder::ListenersFirst;
    // A listener of Ready that dies sees the same event again after each restart.
    for _ in 0..3 {
        let begun = Arc::new(Notify::new());
        let begins = Arc::clone(&begun);
        let hanging = bench
            .secondary_with("g", |builder| {
                builder.commit_order(order).on_change_async(move |_, _| hang(&begins))
            })
            .await?;
        let what = "the listener to be called again";
        bench.clock.within(what, bench.clock.patience, begun.notified()).await?;
        hanging.counted("commits", 0, |stats| stats.commits)?;
        hanging.kill().await?;
        equal("the first step at the position", &Some(0), &bench.position("g", &life).await?)?;
    }
    // One that returns does not.
    let mut returning = bench.secondary_with("g", |builder| builder.commit_order(order)).await?;
    returning.told_all(&life[..1], true).await?;
    bench.until("a commit after the listener", || returning.tracker.stats().commits > 0).await?;
    returning.kill().await?;
    let mut next = bench.secondary_with("g", |builder| builder.commit_order(order)).await?;
    next.is_in(Ready)?;
    next.told_nothing().await
}
