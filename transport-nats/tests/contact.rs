//! In contact, or says so (S13).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::time::{Duration, Instant};

use async_nats::jetstream::stream::Stream;
use backup_tracker::{ErrorKind, EventSource, Sink};
use backup_tracker_conformance::Proxy;
use backup_tracker_nats::{CreateStream, Nats, NatsSource, async_nats};
use backup_tracker_test_servers::{Nats as Server, NatsCluster};
use futures_util::StreamExt;
use support::steps::{self, step};
use support::{PATIENCE, cases, event, native, next_at_last, pause, send, soon};
use tokio::time::timeout;

/// What the sessions here are set to.
const CONTACT: Duration = Duration::from_secs(2);
/// What a machine that does much else may add.
const SLACK: Duration = Duration::from_millis(700);
/// How long a cluster may take to elect.
const ELECTION: Duration = Duration::from_secs(30);

type Break = (&'static str, fn(&Proxy));

/// How a connection goes nowhere.
const BREAKS: [Break; 2] = [("both directions", Proxy::black_hole), ("one direction", Proxy::lose_answers)];

cases! {
    within 3 * ELECTION;
    a_connection_that_goes_nowhere_is_said_again_and_again_and_heals,
    a_consumer_that_brings_nothing_is_replaced,
    a_server_of_three_that_is_cut_off_is_left_for_another,
    a_leader_that_is_gone_is_said_though_heartbeats_come,
    a_sink_whose_connection_is_stuck_takes_another_one,
}

async fn open(nats: &Nats) -> NatsSource {
    let builder = nats.source("g").contact_time(CONTACT).request_timeout(CONTACT);
    steps::at_last(ELECTION, "open the source", async || builder.clone().open().await).await
}

/// Waits in vain, and returns after how long the next answer came, which must be trouble.
async fn trouble(session: &mut NatsSource) -> Duration {
    let begin = Instant::now();
    let error = timeout(3 * CONTACT, session.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    step(format!("after {:?}: {error}", begin.elapsed()));
    begin.elapsed()
}

async fn a_connection_that_goes_nowhere_is_said_again_and_again_and_heals() {
    let server = Server::start().unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let nats = Nats::new(proxy.address().to_string(), "backups").create_stream(CreateStream::new(1));
    let direct = Nats::new(server.url(), "backups");
    let mut session = open(&nats).await;
    let mut sink = direct.sink().open().await.unwrap();

    for (what, break_it) in BREAKS {
        let key = send(&mut sink, "shop").await;
        assert_eq!(next_at_last(&mut session).await.key, Some(key));
        break_it(&proxy);
        for _ in 0..3 {
            let after = trouble(&mut session).await;
            assert!(after < CONTACT + SLACK, "{what}: {after:?}");
            pause().await;
        }
        let key = send(&mut sink, "shop").await;
        proxy.heal();
        let begin = Instant::now();
        assert_eq!(next_at_last(&mut session).await.key, Some(key));
        assert!(begin.elapsed() < CONTACT + SLACK, "{what}: healed after {:?}", begin.elapsed());
        step(format!("{what}: healed after {:?}", begin.elapsed()));
    }
}

async fn consumer(stream: &Stream) -> String {
    let found = async {
        loop {
            if let Some(Ok(name)) = stream.consumer_names().next().await {
                return name;
            }
            pause().await;
        }
    };
    soon(found).await
}

/// A consumer that is paused sends heartbeats, and no messages.
async fn a_consumer_that_brings_nothing_is_replaced() {
    let server = Server::start().unwrap();
    let nats = Nats::new(server.url(), "backups").create_stream(CreateStream::new(1));
    let mut session = open(&nats).await;
    let mut sink = nats.sink().open().await.unwrap();
    let key = send(&mut sink, "shop").await;
    assert_eq!(next_at_last(&mut session).await.key, Some(key));
    let context = native(&server.url()).await;
    let name = consumer(&context.get_stream("backups").await.unwrap()).await;
    let pause = r#"{"pause_until":"2199-01-01T00:00:00Z"}"#;
    let client = async_nats::connect(server.url()).await.unwrap();
    let paused =
        client.request(format!("$JS.API.CONSUMER.PAUSE.backups.{name}"), pause.into()).await.unwrap();
    assert!(String::from_utf8_lossy(&paused.payload).contains("\"paused\":true"), "{:?}", paused.payload);
    let key = send(&mut sink, "shop").await;
    let begin = Instant::now();
    assert_eq!(next_at_last(&mut session).await.key, Some(key));
    assert!(begin.elapsed() < CONTACT + SLACK, "{:?}", begin.elapsed());
}

/// Three servers with a proxy before each, and the topic through these alone.
async fn cluster(first: usize) -> (NatsCluster, Vec<Proxy>, Nats) {
    let cluster = NatsCluster::start(3).unwrap();
    let mut proxies = Vec::new();
    for node in cluster.nodes() {
        proxies.push(Proxy::start(node.address()).await.unwrap());
    }
    let nats = through(&proxies, first);
    step("the cluster is there");
    (cluster, proxies, nats)
}

fn through(proxies: &[Proxy], first: usize) -> Nats {
    let mut addresses: Vec<_> = proxies.iter().map(|proxy| proxy.address().to_string()).collect();
    addresses.swap(0, first);
    let options = async_nats::ConnectOptions::new().retain_servers_order().ignore_discovered_servers();
    let nats = Nats::new(addresses.join(","), "backups").connect_options(options);
    nats.create_stream(CreateStream::new(3)).open_timeout(Duration::from_secs(5))
}

async fn a_server_of_three_that_is_cut_off_is_left_for_another() {
    let (cluster, proxies, nats) = cluster(0).await;
    let mut session = open(&nats).await;
    let direct = Nats::new(cluster.urls()[1].clone(), "backups");
    let mut sink = steps::at_last(ELECTION, "open the sink", async || direct.sink().open().await).await;

    for (what, break_it) in BREAKS {
        let before = event("shop");
        steps::at_last(ELECTION, "send", async || sink.send(&before).await).await;
        while next_at_last(&mut session).await.key != Some(before.key) {}
        // Which of them the session goes through is its own business: all but one are cut off, the way that it has among them.
        break_it(&proxies[0]);
        break_it(&proxies[2]);
        let after = trouble(&mut session).await;
        assert!(after < CONTACT + SLACK, "{what}: {after:?}");
        let key = send(&mut sink, "shop").await;
        let begin = Instant::now();
        assert_eq!(next_at_last(&mut session).await.key, Some(key));
        step(format!("{what}: another way after {:?}", begin.elapsed()));
        // And back: now that other way is the one that is cut off.
        for proxy in [&proxies[0], &proxies[2]] {
            proxy.heal();
        }
        break_it(&proxies[1]);
        let after = trouble(&mut session).await;
        assert!(after < CONTACT + SLACK, "{what}: {after:?}");
        let key = send(&mut sink, "shop").await;
        assert_eq!(next_at_last(&mut session).await.key, Some(key));
        proxies[1].heal();
        // Start over through the first one.
        proxies[1].cut();
        proxies[2].cut();
        proxies[0].heal();
        let key = send(&mut sink, "shop").await;
        assert_eq!(next_at_last(&mut session).await.key, Some(key));
        proxies[1].heal();
        proxies[2].heal();
    }
}

async fn a_leader_that_is_gone_is_said_though_heartbeats_come() {
    let (mut cluster, proxies, nats) = cluster(0).await;
    // A session whose consumer is on the server to which it is connected, and that leads the stream.
    let opening = async {
        loop {
            let context = native(&cluster.urls()[0]).await;
            let Ok(stream) = context.get_stream("backups").await else {
                // Nobody has created it yet.
                open(&nats).await.close().await.unwrap();
                continue;
            };
            let leader = stream.cached_info().cluster.as_ref().and_then(|info| info.leader.clone());
            let Some(here) = (0..3).find(|node| leader == Some(format!("node-{node}"))) else { continue };
            let nats = through(&proxies, here);
            let mut session = open(&nats).await;
            let mut sink = steps::at_last(ELECTION, "open the sink", async || nats.sink().open().await).await;
            let key = event("shop");
            steps::at_last(ELECTION, "send", async || sink.send(&key).await).await;
            while next_at_last(&mut session).await.key != Some(key.key) {}
            steps::at_last(ELECTION, "commit", async || session.commit().await).await;
            let info = stream.consumer_info(&consumer(&stream).await).await;
            let Ok(info) = info else { continue };
            if info.cluster.and_then(|info| info.leader) == leader {
                return (session, here);
            }
            session.close().await.unwrap();
        }
    };
    let opened = timeout(ELECTION, opening).await;
    let (mut session, here) = opened.unwrap_or_else(|_| panic!("{}", steps::told()));
    step(format!("node {here} leads, and has the consumer"));
    for (number, node) in cluster.nodes_mut().iter_mut().enumerate() {
        if number != here {
            node.kill().unwrap();
        }
    }
    // The server that is left goes on with its heartbeats, and may say for 20 s that it leads.
    let begin = Instant::now();
    let error = timeout(PATIENCE, session.next()).await.unwrap().unwrap_err();
    step(format!("after {:?}: {error}", begin.elapsed()));
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    // A replica is heard once a second, and counts as gone after four.
    assert!(begin.elapsed() < 3 * CONTACT + SLACK, "{:?}", begin.elapsed());
    assert!(trouble(&mut session).await < CONTACT + SLACK);
    let restarting = tokio::task::spawn_blocking(move || {
        cluster.restart().unwrap();
        cluster
    });
    let cluster = restarting.await.unwrap();
    let mut sink = steps::at_last(ELECTION, "open the sink", async || nats.sink().open().await).await;
    let last = event("shop");
    steps::at_last(ELECTION, "send", async || sink.send(&last).await).await;
    let read = steps::at_last(ELECTION, "read", async || session.next().await).await;
    assert_eq!(read.unwrap().key, Some(last.key));
    drop(cluster);
}

/// K6: the next send goes where that of a new sink would.
async fn a_sink_whose_connection_is_stuck_takes_another_one() {
    let server = Server::start().unwrap();
    let (hole, other) =
        (Proxy::start(server.address()).await.unwrap(), Proxy::start(server.address()).await.unwrap());
    let both = format!("{},{}", hole.address(), other.address());
    let options = async_nats::ConnectOptions::new().retain_servers_order();
    let nats = Nats::new(both, "backups").connect_options(options).create_stream(CreateStream::new(1));
    let nats = nats.open_timeout(Duration::from_secs(2));
    let mut sink = nats.sink().send_timeout(Duration::from_secs(1)).open().await.unwrap();
    let first = send(&mut sink, "shop").await;
    hole.black_hole();
    let stuck = event("shop");
    assert!(sink.send(&stuck).await.unwrap_err().is_transient());
    let begin = Instant::now();
    let sending = async {
        while let Err(error) = sink.send(&stuck).await {
            assert!(error.is_transient(), "{error}");
            pause().await;
        }
    };
    soon(sending).await;
    // The time limit of one attempt through the hole, and no pings.
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    let last = send(&mut sink, "shop").await;
    hole.heal();
    let mut session = open(&Nats::new(server.url(), "backups").create_stream(CreateStream::new(1))).await;
    for key in [first, stuck.key, last] {
        assert_eq!(next_at_last(&mut session).await.key, Some(key));
    }
}
