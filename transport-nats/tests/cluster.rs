//! Three servers, three replicas, and the end of the one in charge.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_tracker::{
    BackupState, BackupTracker, EventSource, PrimaryBackupTracker, RetryPolicy, SecondaryBackupTracker, Sink,
};
use backup_tracker_nats::{CreateStream, Nats, async_nats};
use backup_tracker_test_servers::NatsCluster;
use support::{cases, event, native, next, next_at_last, nothing, pause, send, soon, source};

cases! {
    the_leaders_death_in_the_middle_of_a_backup_loses_nothing,
    leaders_die_one_after_the_other_under_load_and_the_order_holds,
    without_a_majority_everything_is_unavailable_and_comes_back,
    stream_and_positions_outlive_a_restart_of_the_whole_cluster,
}

/// The topic on all nodes, this one first.
fn topic(cluster: &NatsCluster, first: usize) -> Nats {
    let mut urls = cluster.urls();
    urls.swap(0, first);
    let options = async_nats::ConnectOptions::new().retain_servers_order();
    Nats::new(urls.join(","), "backups").connect_options(options).create_stream(CreateStream::new(3))
}

/// The node that leads the stream now, as the nodes that are up see it.
async fn leader(cluster: &NatsCluster, stream: &str) -> usize {
    soon(async {
        loop {
            let up = cluster.nodes().iter().find(|node| node.id().is_some()).unwrap();
            let context = native(&up.url()).await;
            if let Ok(stream) = context.get_stream(stream).await
                && let Some(leader) =
                    stream.cached_info().cluster.as_ref().and_then(|info| info.leader.clone())
            {
                return leader.strip_prefix("node-").unwrap().parse().unwrap();
            }
            pause().await;
        }
    })
    .await
}

async fn the_leaders_death_in_the_middle_of_a_backup_loses_nothing() {
    let mut cluster = NatsCluster::start(3).unwrap();
    drop(source(&topic(&cluster, 0), "first").await);
    let lead = leader(&cluster, "backups").await;
    // Both are connected to the node that will die.
    let nats = topic(&cluster, lead);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&seen);
    let patient = RetryPolicy::new().longest(Duration::from_millis(500));
    let secondary = SecondaryBackupTracker::builder("shop", source(&nats, "search").await)
        .retry(patient)
        .on_change(move |change, _tracker| noting.lock().unwrap().push(change.transition.to))
        .build()
        .unwrap();
    let sink = nats.sink().send_timeout(Duration::from_secs(2)).open().await.unwrap();
    let primary = PrimaryBackupTracker::builder("shop", sink).retry(patient).build().unwrap();
    soon(secondary.synced()).await.unwrap();

    primary.startup_complete().await.unwrap();
    primary.start_backup().await.unwrap();
    soon(secondary.watch().wait_for(|state| *state == BackupState::BackingUp)).await.unwrap();
    assert!(!secondary.gate().is_open());
    cluster.nodes_mut()[lead].kill().unwrap();
    let trouble = soon(secondary.health_is(|health| !health.is_healthy())).await;
    assert!(trouble.error().unwrap().is_transient(), "{trouble}");
    // The announcement that nobody took at first is tried again, by the primary itself.
    soon(primary.finish_backup()).await.unwrap();
    soon(secondary.health_is(|health| health.is_healthy())).await;
    soon(secondary.watch().wait_for(|state| *state == BackupState::Ready)).await.unwrap();
    soon(primary.start_restore()).await.unwrap();
    soon(primary.finish_restore()).await.unwrap();
    let all = [
        BackupState::Ready,
        BackupState::BackingUp,
        BackupState::Ready,
        BackupState::Restoring,
        BackupState::Ready,
    ];
    soon(async {
        while seen.lock().unwrap().len() < all.len() {
            pause().await;
        }
    })
    .await;
    assert_eq!(*seen.lock().unwrap(), all);
    let stats = secondary.stats();
    assert_eq!((stats.gaps, stats.losses, stats.forbidden), (0, 0, 0), "{stats:?}");
    assert!(stats.troubles > 0, "{stats:?}");
    soon(secondary.close()).await.unwrap();
    // The position is on the nodes that are left.
    let mut session = source(&topic(&cluster, lead), "search").await;
    assert!(session.resumed());
    assert_eq!(session.remaining().await.unwrap(), 0);
}

async fn leaders_die_one_after_the_other_under_load_and_the_order_holds() {
    let mut cluster = NatsCluster::start(3).unwrap();
    let nats = topic(&cluster, 0);
    let mut session = source(&nats, "g").await;
    let mut sink = nats.sink().send_timeout(Duration::from_secs(2)).open().await.unwrap();
    let (mut sent, mut read) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let lead = leader(&cluster, "backups").await;
        let sending = async {
            for number in 0..60 {
                if number == 20 {
                    cluster.nodes_mut()[lead].kill().unwrap();
                }
                let event = event("shop");
                // With its own id, until it is acknowledged, as a primary does.
                while let Err(error) = sink.send(&event).await {
                    assert!(error.is_transient(), "{error}");
                    pause().await;
                }
                sent.push(event.key);
            }
        };
        let reading = async {
            for _ in 0..60 {
                read.push(next_at_last(&mut session).await.key.unwrap());
            }
        };
        tokio::join!(sending, reading);
        assert_eq!(read, sent, "round {round}");
        while let Err(error) = session.commit().await {
            assert!(error.is_transient(), "{error}");
            pause().await;
        }
        cluster.restart().unwrap();
    }
    // Once each: the server drops what a retry brought again.
    nothing(&mut session).await;
    let mut session = source(&nats, "g").await;
    assert!(session.resumed());
    nothing(&mut session).await;
}

async fn without_a_majority_everything_is_unavailable_and_comes_back() {
    let mut cluster = NatsCluster::start(3).unwrap();
    let nats = topic(&cluster, 0);
    let mut session = source(&nats, "g").await;
    let mut sink = nats.sink().send_timeout(Duration::from_secs(1)).open().await.unwrap();
    let first = send(&mut sink, "shop").await;
    assert_eq!(next(&mut session).await.key, Some(first));
    for node in &mut cluster.nodes_mut()[1..] {
        node.kill().unwrap();
    }
    let unanswered = event("shop");
    for error in [soon(sink.send(&unanswered)).await.unwrap_err(), soon(session.commit()).await.unwrap_err()]
    {
        assert!(error.is_transient(), "{error}");
    }
    let restarting = tokio::task::spawn_blocking(move || {
        cluster.restart().unwrap();
        cluster
    });
    let cluster = restarting.await.unwrap();
    let last = event("shop");
    soon(async {
        while let Err(error) = sink.send(&last).await {
            assert!(error.is_transient(), "{error}");
            pause().await;
        }
    })
    .await;
    let mut keys = vec![next_at_last(&mut session).await.key.unwrap()];
    while keys.last() != Some(&last.key) {
        keys.push(next_at_last(&mut session).await.key.unwrap());
    }
    keys.retain(|key| *key != unanswered.key);
    assert_eq!(keys, [last.key]);
    drop(cluster);
}

async fn stream_and_positions_outlive_a_restart_of_the_whole_cluster() {
    let mut cluster = NatsCluster::start(3).unwrap();
    let nats = topic(&cluster, 0);
    let mut sink = nats.sink().open().await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..10 {
        keys.push(send(&mut sink, "shop").await);
    }
    let mut session = source(&nats, "g").await;
    for key in &keys[..4] {
        assert_eq!(next(&mut session).await.key, Some(*key));
    }
    session.commit().await.unwrap();
    for node in cluster.nodes_mut() {
        node.kill().unwrap();
    }
    cluster.restart().unwrap();
    // The stream is the same to every server: nothing is taken for lost.
    for first in 0..3 {
        let nats = topic(&cluster, first);
        let mut session = soon(async {
            loop {
                match nats.source("g").open().await {
                    Ok(session) => return session,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
                pause().await;
            }
        })
        .await;
        assert!(session.resumed());
        for key in &keys[4..] {
            assert_eq!(next_at_last(&mut session).await.key, Some(*key));
        }
    }
}
