//! Three brokers and three replicas. The Kafka transport passes every clause of the contract on them, too; and then come deaths of
//! the one in charge, through which all trackers keep their default policies, and nobody restarts one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test program without the standard harness is not seen as a test"
)]

#[path = "harness/broker.rs"]
mod broker;
#[path = "harness/brokers.rs"]
mod brokers;
#[path = "harness/cases.rs"]
mod cases;
#[path = "harness/kafka_cluster.rs"]
mod kafka_cluster;
#[path = "harness/profile.rs"]
mod profile;
#[path = "harness/proxy.rs"]
mod proxy;
mod support;
#[path = "harness/three.rs"]
mod three;
#[path = "harness/topic.rs"]
mod topic;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use backup_tracker::wire::encode;
use backup_tracker::{BackupTracker, BackupTransition, EventSource, Sink, WireFormat};
use backup_tracker_test_servers::Kafka;
use broker::BrokerHarness;
use cases::{Needs, cases};
use kafka_cluster::{Cluster, Pair, SharedCluster, no_loss};
use support::{event, soon, text};
use three::Three;
use uuid::Uuid;

cases! {
    Cluster, Needs::Own;
    the_death_of_the_partitions_leader_in_the_middle_of_a_backup_loses_nothing,
    the_death_of_the_groups_coordinator_in_the_middle_of_a_backup_loses_nothing,
    a_rolling_restart_during_a_hundred_operations_goes_unnoticed,
    leaders_die_one_after_the_other_under_load_and_the_order_holds,
    without_a_majority_everything_is_unavailable_and_comes_back,
}

fn main() -> ExitCode {
    let shared = Arc::new(SharedCluster::default());
    let suite = match Kafka::find() {
        Ok(_) => backup_tracker_conformance::main(BrokerHarness::new(Three::new(Arc::clone(&shared)))),
        Err(missing) => backup_tracker_conformance::ignored_main(Three::NAME, &missing.reason),
    };
    // One after the other: each kills brokers of the same cluster.
    let deaths = cases::run(move || shared.get(), 1, &[CASES]);
    if suite == ExitCode::SUCCESS { deaths } else { suite }
}

/// A backup that begins with the broker that `whom` names, and ends without it.
async fn dies_in_the_middle_of_a_backup(cluster: Arc<Cluster>, whom: impl AsyncFn(&Cluster, &Pair) -> usize) {
    let pair = Pair::open(&cluster).await;
    pair.primary.startup_complete().await.unwrap();
    pair.primary.start_backup().await.unwrap();
    for secondary in &pair.secondaries {
        soon(secondary.tracker.watch().wait_for(|state| *state == BackingUp)).await.unwrap();
        assert!(!secondary.tracker.gate().is_open());
    }
    let victim = whom(&cluster, &pair).await;
    cluster.kill(victim);
    soon(pair.primary.finish_backup()).await.unwrap();
    soon(pair.primary.start_restore()).await.unwrap();
    soon(pair.primary.finish_restore()).await.unwrap();
    let all = [Ready, BackingUp, Ready, Restoring, Ready];
    pair.is_told(&all).await;
    // A position is kept by the two that are left.
    let group = pair.secondaries[0].group.clone();
    let kafka = pair.kafka.clone();
    pair.close().await;
    let mut session = soon(kafka.source(group).open()).await.unwrap();
    assert!(session.resumed());
    assert_eq!(soon(session.remaining()).await.unwrap().total(), 0);
}

async fn the_death_of_the_partitions_leader_in_the_middle_of_a_backup_loses_nothing(cluster: Arc<Cluster>) {
    dies_in_the_middle_of_a_backup(cluster, async |cluster, pair| cluster.leader(&pair.topic).await).await;
}

async fn the_death_of_the_groups_coordinator_in_the_middle_of_a_backup_loses_nothing(cluster: Arc<Cluster>) {
    let coordinator = async |cluster: &Cluster, pair: &Pair| cluster.coordinator(&pair.secondaries[0].group);
    dies_in_the_middle_of_a_backup(cluster, coordinator).await;
}

async fn a_rolling_restart_during_a_hundred_operations_goes_unnoticed(cluster: Arc<Cluster>) {
    let pair = Pair::open(&cluster).await;
    pair.primary.startup_complete().await.unwrap();
    let rolled = AtomicBool::new(false);
    let rolling = async {
        for node in 1..=3 {
            cluster.stop(node);
            cluster.restart(node).await;
            // As a careful operator does: the next one only when this one has caught up.
            cluster.in_sync(&pair.topic).await;
        }
        rolled.store(true, Ordering::SeqCst);
    };
    let mut all = vec![Ready];
    let operating = async {
        let mut operations = 0;
        while operations < 100 || !rolled.load(Ordering::SeqCst) {
            pair.primary.start_backup().await.unwrap();
            pair.primary.finish_backup().await.unwrap();
            all.extend([BackingUp, Ready]);
            operations += 1;
        }
        eprintln!("{operations} operations during the rolling restart");
    };
    tokio::join!(rolling, operating);
    pair.is_told(&all).await;
    let group = pair.secondaries[1].group.clone();
    let kafka = pair.kafka.clone();
    pair.close().await;
    let mut session = soon(kafka.source(group).open()).await.unwrap();
    assert!(session.resumed());
    assert_eq!(soon(session.remaining()).await.unwrap().total(), 0);
}

async fn leaders_die_one_after_the_other_under_load_and_the_order_holds(cluster: Arc<Cluster>) {
    let (topic, kafka) = cluster.topic().await;
    let mut source = soon(kafka.source(format!("{topic}-g")).open()).await.unwrap();
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    for round in 0..3 {
        let (mut sent, mut read) = (Vec::new(), Vec::new());
        let sending = async {
            for number in 0..60 {
                if number == 20 {
                    cluster.kill(cluster.leader(&topic).await);
                }
                let event = event("shop", &format!("{round}.{number}"));
                // With its own id, until it is acknowledged, as a primary does.
                while let Err(error) = sink.send(&event).await {
                    assert!(error.is_transient(), "{error}");
                }
                sent.push(format!("{round}.{number}"));
            }
        };
        let reading = async {
            while read.len() < 60 {
                match source.next().await {
                    Ok(record) => {
                        let text = text(&record.unwrap());
                        // A repetition after an unknown outcome is behind what it repeats, and before what follows.
                        if read.last() != Some(&text) {
                            read.push(text);
                        }
                    }
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
        };
        tokio::join!(sending, reading);
        assert_eq!(read, sent, "round {round}");
        while let Err(error) = source.commit().await {
            assert!(error.is_transient(), "{error}");
        }
        cluster.heal().await;
        cluster.in_sync(&topic).await;
    }
    drop(source);
    let mut source = soon(kafka.source(format!("{topic}-g")).open()).await.unwrap();
    assert!(source.resumed());
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 0);
}

async fn without_a_majority_everything_is_unavailable_and_comes_back(cluster: Arc<Cluster>) {
    let pair = Pair::open(&cluster).await;
    pair.primary.startup_complete().await.unwrap();
    pair.is_told(&[Ready]).await;
    let mut sink =
        soon(pair.kafka.sink().send_timeout(std::time::Duration::from_secs(2)).open()).await.unwrap();
    cluster.kill(1);
    cluster.kill(2);
    // It may be in the log all the same, later on; so it is one that nobody takes for garbage.
    let step = BackupTransition::new(Uuid::new_v4(), "other", 0, Starting, Ready);
    let error = soon(sink.send(&encode(&step, WireFormat::BackupJson))).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let back = async { cluster.heal().await };
    // The announcement that nobody takes is tried again, by the primary itself.
    let ((), begun) = tokio::join!(back, pair.primary.start_backup());
    begun.unwrap();
    soon(pair.primary.finish_backup()).await.unwrap();
    pair.is_told(&[Ready, BackingUp, Ready]).await;
    for secondary in &pair.secondaries {
        soon(secondary.tracker.health_is(backup_tracker::Health::is_healthy)).await;
        no_loss(&secondary.tracker.stats());
    }
    pair.close().await;
}
