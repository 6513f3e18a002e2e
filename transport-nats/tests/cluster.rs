//! Three servers, three replicas, and the end of the one in charge.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backup_tracker::{
    BackupState, BackupTracker, EventSource, PrimaryBackupTracker, Result, RetryPolicy,
    SecondaryBackupTracker, Sink,
};
use backup_tracker_nats::{CreateStream, Nats, NatsSink, NatsSource, async_nats};
use backup_tracker_test_servers::NatsCluster;
use support::steps::{self, step};
use support::{SOON, cases, event, native, next, nothing, pause, soon};
use tokio::time::timeout;
use uuid::Uuid;

/// How long until there is a leader again, and the client has noticed: a server waits from 4 to 9 s before it stands for
/// election, and does so again when nobody wins. Three of these waits, and a request of 2 s that was lost, are 29 s.
const ELECTION: Duration = Duration::from_secs(30);
/// A time limit that is not reached where the reason of a failure is known.
const LIMIT: Duration = Duration::from_secs(2 * SOON.as_secs());

cases! {
    // Three times an election, and as long for the restart of a server; what is shorter is told by its own time limit.
    within 6 * ELECTION;
    the_leaders_death_in_the_middle_of_a_backup_loses_nothing,
    leaders_die_one_after_the_other_under_load_and_the_order_holds,
    without_a_majority_everything_is_unavailable_and_comes_back,
    a_missing_leader_is_said_long_before_the_time_limit,
    stream_and_positions_outlive_a_restart_of_the_whole_cluster,
}

fn start() -> NatsCluster {
    let cluster = NatsCluster::start(3).unwrap();
    step("the cluster is there");
    cluster
}

/// The topic on all nodes, this one first.
fn topic(cluster: &NatsCluster, first: usize) -> Nats {
    let mut urls = cluster.urls();
    urls.swap(0, first);
    let options = async_nats::ConnectOptions::new().retain_servers_order();
    let nats = Nats::new(urls.join(","), "backups").connect_options(options);
    nats.create_stream(CreateStream::new(3)).open_timeout(Duration::from_secs(5))
}

/// A source that gives up soon, after errors that pass at most: right after its creation, a bucket may have no leader that
/// every server knows.
async fn source(nats: &Nats, group: &str) -> NatsSource {
    let builder = nats.source(group).request_timeout(Duration::from_secs(2));
    let builder = builder.contact_time(Duration::from_secs(2));
    let what = format!("open the source of {group}");
    steps::at_last(ELECTION, what, async || builder.clone().open().await).await
}

async fn sink(nats: &Nats, send_timeout: Duration) -> NatsSink {
    let builder = nats.sink().send_timeout(send_timeout);
    steps::at_last(ELECTION, "open the sink", async || builder.clone().open().await).await
}

/// The node that leads the stream now, as the nodes that are up see it.
async fn leader(cluster: &NatsCluster, stream: &str) -> usize {
    let looking = async {
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
    };
    let found = timeout(ELECTION, looking).await;
    found.unwrap_or_else(|_| panic!("`{stream}` has no leader after {ELECTION:?}; {}", steps::told()))
}

/// Sends with its own id until it is acknowledged, as a primary does.
async fn send_at_last(sink: &mut NatsSink, what: &str) -> Uuid {
    let event = event("shop");
    steps::at_last(ELECTION, format!("send {what}"), async || sink.send(&event).await).await;
    event.key
}

/// The next record, after errors that pass at most.
async fn next_at_last(session: &mut NatsSource, what: &str) -> Uuid {
    let record = steps::at_last(ELECTION, format!("read {what}"), async || session.next().await).await;
    record.unwrap().key.unwrap()
}

async fn the_leaders_death_in_the_middle_of_a_backup_loses_nothing() {
    let mut cluster = start();
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
    let sink = sink(&nats, Duration::from_secs(2)).await;
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
    assert_eq!(session.remaining().await.unwrap().total(), 0);
}

async fn leaders_die_one_after_the_other_under_load_and_the_order_holds() {
    let mut cluster = start();
    let nats = topic(&cluster, 0);
    let mut session = source(&nats, "g").await;
    let mut sink = sink(&nats, Duration::from_secs(2)).await;
    let (mut sent, mut read) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let lead = leader(&cluster, "backups").await;
        step(format!("round {round}: node {lead} leads"));
        let sending = async {
            for number in 0..60 {
                if number == 20 {
                    cluster.nodes_mut()[lead].kill().unwrap();
                    step("the leader is dead");
                }
                sent.push(send_at_last(&mut sink, &format!("{number}")).await);
            }
        };
        let reading = async {
            for number in 0..60 {
                read.push(next_at_last(&mut session, &format!("{number}")).await);
            }
        };
        tokio::join!(sending, reading);
        assert_eq!(read, sent, "round {round}");
        step("all is sent and read");
        // The bucket may have had the same leader, and elects one for itself.
        steps::at_last(ELECTION, "commit", async || session.commit().await).await;
        step("committed");
        cluster.restart().unwrap();
        step("the dead one is back");
    }
    // Once each: the server drops what a retry brought again.
    nothing(&mut session).await;
    let mut session = source(&nats, "g").await;
    assert!(session.resumed());
    nothing(&mut session).await;
}

async fn without_a_majority_everything_is_unavailable_and_comes_back() {
    let mut cluster = start();
    let nats = topic(&cluster, 0);
    let mut session = source(&nats, "g").await;
    let mut sink = sink(&nats, Duration::from_secs(1)).await;
    let first = send_at_last(&mut sink, "the first").await;
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
    step("the cluster is back");
    let last = send_at_last(&mut sink, "the last").await;
    let mut keys = Vec::new();
    while keys.last() != Some(&last) {
        keys.push(next_at_last(&mut session, "up to the last").await);
    }
    keys.retain(|key| *key != unanswered.key);
    assert_eq!(keys, [last]);
    drop(cluster);
}

async fn a_missing_leader_is_said_long_before_the_time_limit() {
    let mut cluster = start();
    drop(source(&topic(&cluster, 0), "g").await);
    // One that leads neither, so that it knows, once it is alone, that nobody does.
    let leaders = [leader(&cluster, "backups").await, leader(&cluster, "KV_backups_positions").await];
    let left = (0..3).find(|node| !leaders.contains(node)).unwrap();
    step(format!("{leaders:?} lead"));
    let nats = topic(&cluster, left);
    let mut sink = sink(&nats, LIMIT).await;
    let mut session = nats.source("g").request_timeout(LIMIT).open().await.unwrap();
    send_at_last(&mut sink, "the first").await;
    next_at_last(&mut session, "the first").await;
    for (number, node) in cluster.nodes_mut().iter_mut().enumerate() {
        if number != left {
            node.kill().unwrap();
        }
    }
    step("it is alone");
    let late = event("shop");
    leaderless(async || sink.send(&late).await).await;
    leaderless(async || session.commit().await).await;
}

/// The attempt fails because nobody leads, and soon.
async fn leaderless(mut attempt: impl AsyncFnMut() -> Result<()>) {
    loop {
        let begin = Instant::now();
        let error = soon(attempt()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        if error.message().contains("nothing answers") {
            assert!(begin.elapsed() < SOON, "after {:?}: {error}", begin.elapsed());
            return;
        }
        // The server had not yet heard of the others' end, and sent it to them.
        step(format!("after {:?}: {error}", begin.elapsed()));
    }
}

async fn stream_and_positions_outlive_a_restart_of_the_whole_cluster() {
    let mut cluster = start();
    let nats = topic(&cluster, 0);
    let mut sink = sink(&nats, LIMIT).await;
    let mut keys = Vec::new();
    for number in 0..10 {
        keys.push(send_at_last(&mut sink, &format!("{number}")).await);
    }
    let mut session = source(&nats, "g").await;
    for key in &keys[..4] {
        assert_eq!(next(&mut session).await.key, Some(*key));
    }
    steps::at_last(ELECTION, "commit", async || session.commit().await).await;
    for node in cluster.nodes_mut() {
        node.kill().unwrap();
    }
    cluster.restart().unwrap();
    step("the cluster is back");
    // The stream is the same to every server: nothing is taken for lost.
    for first in 0..3 {
        let mut session = source(&topic(&cluster, first), "g").await;
        assert!(session.resumed());
        for (number, key) in keys.iter().enumerate().skip(4) {
            assert_eq!(next_at_last(&mut session, &format!("{number}")).await, *key);
        }
    }
}
