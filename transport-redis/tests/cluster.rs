//! Nodes of a cluster: stream and hash in one slot, and the node that has them found from any other.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use backup_tracker::{ErrorKind, EventSource, Sink};
use backup_tracker_redis::Redis;
use support::{Bench, GROUP, PATIENCE, answer, ask, events, expect, tests};

tests![
    a_topic_with_a_hash_tag_works_on_one_node,
    a_topic_without_one_is_refused_and_the_message_says_what_to_do,
    the_node_that_has_the_stream_is_found_from_another_one,
    a_stream_that_moves_to_another_node_is_followed,
];

const TOPIC: &str = "{backups}";

/// Nodes that know each other; the first has all slots.
async fn cluster(size: usize) -> Vec<Bench> {
    let mut nodes = Vec::new();
    for _ in 0..size {
        nodes.push(
            Bench::start_with(&[("cluster-enabled", "yes"), ("cluster-port", &port().to_string())]).await,
        );
    }
    let _: () = nodes[0].ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    for node in &nodes[1..] {
        let bus: String = bus(node).await;
        let port = node.server.port().to_string();
        let () = nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
    }
    let settled = async {
        for node in &nodes {
            loop {
                let info: String = node.ask(&["CLUSTER", "INFO"]).await;
                let known = format!("cluster_known_nodes:{size}");
                if info.contains("cluster_state:ok") && info.contains(&known) {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE * 3, settled).await.unwrap();
    nodes
}

fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn bus(node: &Bench) -> String {
    let settings: Vec<String> = node.ask(&["CONFIG", "GET", "cluster-port"]).await;
    settings[1].clone()
}

async fn works(redis: &Redis) {
    let mut source = redis.source(GROUP).open().await.unwrap();
    let mut sink = redis.sink().open().await.unwrap();
    let mut observer = redis.observer().open().await.unwrap();
    source.claim("shop").await.unwrap();
    let sent = events(3);
    for event in &sent {
        sink.send(event).await.unwrap();
        expect(&mut source, std::slice::from_ref(event)).await;
        source.commit().await.unwrap();
    }
    expect(&mut observer, &sent).await;
    assert_eq!(observer.remaining().await.unwrap().total(), 0);
    drop(source);
    assert!(redis.source(GROUP).open().await.unwrap().resumed());
    sink.close().await.unwrap();
}

async fn a_topic_with_a_hash_tag_works_on_one_node() {
    let nodes = cluster(1).await;
    works(&Redis::new(nodes[0].server.url(), TOPIC).create_stream()).await;
}

async fn a_topic_without_one_is_refused_and_the_message_says_what_to_do() {
    let nodes = cluster(1).await;
    let redis = Redis::new(nodes[0].server.url(), "backups").create_stream();
    let errors = [
        redis.sink().open().await.map(drop).unwrap_err(),
        redis.source(GROUP).open().await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("`{backups}`"), "{error}");
    }
}

async fn the_node_that_has_the_stream_is_found_from_another_one() {
    let nodes = cluster(2).await;
    works(&Redis::new(nodes[1].server.url(), TOPIC).create_stream()).await;
}

async fn a_stream_that_moves_to_another_node_is_followed() {
    let nodes = cluster(2).await;
    let redis = Redis::new(nodes[0].server.url(), TOPIC).create_stream();
    let mut source = redis.source(GROUP).open().await.unwrap();
    let mut sink = redis.sink().open().await.unwrap();
    let sent = events(3);
    sink.send(&sent[0]).await.unwrap();
    expect(&mut source, &sent[..1]).await;
    source.commit().await.unwrap();
    // The slot, and then both keys at once.
    let slot: u64 = nodes[0].ask(&["CLUSTER", "KEYSLOT", TOPIC]).await;
    let slot = slot.to_string();
    let ids: Vec<String> = {
        let mut ids = Vec::new();
        for node in &nodes {
            ids.push(node.ask(&["CLUSTER", "MYID"]).await);
        }
        ids
    };
    let () = nodes[1].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]).await;
    let () = nodes[0].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]).await;
    let port = nodes[1].server.port().to_string();
    let side = format!("{TOPIC}:backup-tracker");
    let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS", TOPIC, &side];
    let () = nodes[0].ask(&migrate).await;
    for node in [&nodes[1], &nodes[0]] {
        let () = node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]).await;
    }
    for event in &sent[1..] {
        let sending = async { while sink.send(event).await.is_err() {} };
        tokio::time::timeout(PATIENCE, sending).await.unwrap();
        let record = loop {
            match answer(&mut source).await {
                Ok(record) => break record,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        };
        assert_eq!(record.key, Some(event.key));
        source.commit().await.unwrap();
    }
    let length: u64 = ask(&nodes[1].server.url(), &["XLEN", TOPIC]).await;
    assert_eq!(length, 3);
}
