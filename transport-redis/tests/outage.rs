//! Servers and networks in trouble, as far as the conformance suite does not play it.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::time::{Duration, Instant};

use backup_tracker::{Delivery, Error, ErrorKind, EventSource, Sink};
use backup_tracker_conformance::Proxy;
use backup_tracker_redis::Redis;
use backup_tracker_test_servers::Redis as Server;
use support::holding::Holding;
use support::{Bench, GROUP, PATIENCE, TOPIC, answer, ask, events, expect, replica_of, tests};

tests![
    a_request_that_was_held_up_cannot_come_after_a_later_one,
    a_server_that_restarted_while_the_sink_was_idle_costs_no_send,
    a_slow_way_is_no_outage,
    asking_again_and_again_gets_on,
    a_black_hole_shows_in_a_read_that_waits,
    a_source_that_nobody_answers_is_dropped_at_once,
    replicas_are_waited_for,
    a_replica_takes_no_events_and_says_so,
    a_server_without_memory_refuses_for_now,
    a_server_that_lacks_replicas_refuses_for_now,
    a_server_that_comes_back_is_unavailable_until_it_serves,
];

const SHORT: Duration = Duration::from_millis(300);

fn unavailable(error: &Error, delivery: Delivery) {
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, delivery), "{error}");
}

async fn a_request_that_was_held_up_cannot_come_after_a_later_one() {
    let bench = Bench::start().await;
    let mut way = Holding::start(bench.server.address()).await;
    let redis = Redis::new(format!("redis://{}", way.address), TOPIC).create_stream();
    let mut sink = redis.sink().send_timeout(SHORT).open().await.unwrap();
    let sent = events(3);
    sink.send(&sent[0]).await.unwrap();
    way.hold();
    unavailable(&sink.send(&sent[1]).await.unwrap_err(), Delivery::Unknown);
    // On another connection, which is not held.
    sink.send(&sent[2]).await.unwrap();
    // Now the server gets what was held, and this is what it answers.
    assert!(way.release().await.contains("stale"));
    let mut source = redis.source(GROUP).open().await.unwrap();
    expect(&mut source, &[sent[0].clone(), sent[2].clone()]).await;
    assert_eq!(source.remaining().await.unwrap().total(), 0);
}

async fn a_server_that_restarted_while_the_sink_was_idle_costs_no_send() {
    let mut bench = Bench::start().await;
    let mut sink = bench.redis().sink().open().await.unwrap();
    let sent = events(3);
    sink.send(&sent[0]).await.unwrap();
    for (event, end) in sent[1..].iter().zip([Server::stop, Server::kill]) {
        let server = &mut bench.server;
        tokio::task::block_in_place(|| end(server).and_then(|()| server.restart())).unwrap();
        // Idle is a matter of time: a second.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        sink.send(event).await.unwrap();
    }
    let mut source = bench.redis().source(GROUP).open().await.unwrap();
    expect(&mut source, &sent).await;
}

async fn a_slow_way_is_no_outage() {
    let bench = Bench::start().await;
    let proxy = Proxy::start(bench.server.address()).await.unwrap();
    let redis = Redis::new(format!("redis://{}", proxy.address()), TOPIC).create_stream();
    let mut sink = redis.sink().open().await.unwrap();
    let mut source = redis.source(GROUP).open().await.unwrap();
    // Each way takes longer than the client library's own limit of 500 ms for an answer.
    proxy.delay(Duration::from_millis(600));
    let sent = events(2);
    for event in &sent {
        sink.send(event).await.unwrap();
        expect(&mut source, std::slice::from_ref(event)).await;
    }
    source.commit().await.unwrap();
    assert_eq!(source.remaining().await.unwrap().total(), 0);
}

async fn asking_again_and_again_gets_on() {
    let bench = Bench::start().await;
    let proxy = Proxy::start(bench.server.address()).await.unwrap();
    let redis = Redis::new(format!("redis://{}", proxy.address()), TOPIC).create_stream();
    let mut source = redis.source(GROUP).open().await.unwrap();
    let sent = events(5);
    let mut sink = bench.redis().sink().open().await.unwrap();
    for event in &sent {
        sink.send(event).await.unwrap();
    }
    // No single `next` lives long enough for an answer to come.
    proxy.delay(Duration::from_millis(50));
    let reading = async {
        let mut keys = Vec::new();
        while keys.len() < sent.len() {
            if let Ok(next) = tokio::time::timeout(Duration::from_millis(10), source.next()).await {
                keys.extend(next.unwrap().unwrap().key);
            }
        }
        keys
    };
    let keys = tokio::time::timeout(PATIENCE, reading).await.unwrap();
    assert_eq!(keys, sent.iter().map(|event| event.key).collect::<Vec<_>>());
}

async fn a_black_hole_shows_in_a_read_that_waits() {
    let bench = Bench::start().await;
    let proxy = Proxy::start(bench.server.address()).await.unwrap();
    let redis = Redis::new(format!("redis://{}", proxy.address()), TOPIC).create_stream();
    let mut source = redis.source(GROUP).request_timeout(SHORT).open().await.unwrap();
    assert!(tokio::time::timeout(SHORT, source.next()).await.is_err());
    proxy.black_hole();
    let error = answer(&mut source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let begin = Instant::now();
    for _ in 0..2 {
        assert!(answer(&mut source).await.unwrap_err().is_transient());
        assert!(source.commit().await.unwrap_err().is_transient());
        assert!(source.remaining().await.unwrap_err().is_transient());
    }
    assert!(begin.elapsed() < SHORT * 9, "{:?}", begin.elapsed());
    proxy.heal();
    let sent = events(1);
    bench.redis().sink().open().await.unwrap().send(&sent[0]).await.unwrap();
    expect(&mut source, &sent).await;
}

async fn a_source_that_nobody_answers_is_dropped_at_once() {
    let bench = Bench::start().await;
    let proxy = Proxy::start(bench.server.address()).await.unwrap();
    let redis = Redis::new(format!("redis://{}", proxy.address()), TOPIC).create_stream();
    let mut source = redis.source(GROUP).open().await.unwrap();
    let mut sink = redis.sink().open().await.unwrap();
    proxy.black_hole();
    assert!(tokio::time::timeout(SHORT, source.next()).await.is_err());
    assert!(tokio::time::timeout(SHORT, sink.send(&events(1)[0])).await.is_err());
    let begin = Instant::now();
    drop(source);
    drop(sink);
    assert!(begin.elapsed() < SHORT);
    // The connections go with them: the server has only the one that asks, and the proxy's that lead nowhere.
    proxy.cut();
    let alone = async {
        loop {
            let clients: String = ask(&bench.server.url(), &["CLIENT", "LIST", "TYPE", "normal"]).await;
            if clients.lines().count() == 1 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, alone).await.unwrap();
}

async fn replicas_are_waited_for() {
    let bench = Bench::start_with(&[("repl-diskless-sync-delay", "0")]).await;
    let mut replica = replica_of(&bench, bench.server.address()).await;
    let mut sink = bench.redis().sink().wait_for_replicas(1, PATIENCE).open().await.unwrap();
    let mut hasty = bench.redis().sink().wait_for_replicas(2, SHORT).open().await.unwrap();
    for number in 1..=20_u64 {
        sink.send(&events(1)[0]).await.unwrap();
        let length: u64 = replica.ask(&["XLEN", TOPIC]).await;
        assert_eq!(length, number);
    }
    let error = hasty.send(&events(1)[0]).await.unwrap_err();
    unavailable(&error, Delivery::Unknown);
    assert!(error.to_string().contains("1 of 2 replicas"), "{error}");
    tokio::task::block_in_place(|| replica.server.kill()).unwrap();
    unavailable(&hasty.send(&events(1)[0]).await.unwrap_err(), Delivery::Unknown);
    // The server itself has all of them.
    let length: u64 = bench.ask(&["XLEN", TOPIC]).await;
    assert_eq!(length, 22);
}

async fn a_replica_takes_no_events_and_says_so() {
    let bench = Bench::start_with(&[("repl-diskless-sync-delay", "0")]).await;
    let replica = replica_of(&bench, bench.server.address()).await;
    let error = replica.redis().sink().open().await.unwrap_err();
    unavailable(&error, Delivery::NotSent);
    let error = replica.redis().source(GROUP).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    // One that becomes a replica while it is used.
    let mut sink = bench.redis().sink().open().await.unwrap();
    let () = bench.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    unavailable(&sink.send(&events(1)[0]).await.unwrap_err(), Delivery::NotSent);
    let () = bench.ask(&["REPLICAOF", "NO", "ONE"]).await;
    sink.send(&events(1)[0]).await.unwrap();
}

async fn a_server_without_memory_refuses_for_now() {
    let bench = Bench::start().await;
    let mut sink = bench.redis().sink().open().await.unwrap();
    let mut source = bench.redis().source(GROUP).open().await.unwrap();
    let sent = events(2);
    sink.send(&sent[0]).await.unwrap();
    let () = bench.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    unavailable(&sink.send(&sent[1]).await.unwrap_err(), Delivery::NotSent);
    // Reading goes on, and so does the position.
    expect(&mut source, &sent[..1]).await;
    let committed = source.commit().await;
    let () = bench.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    if let Err(error) = committed {
        assert!(error.is_transient(), "{error}");
    }
    sink.send(&sent[1]).await.unwrap();
    expect(&mut source, &sent[1..]).await;
}

async fn a_server_that_lacks_replicas_refuses_for_now() {
    let bench = Bench::start().await;
    let mut sink = bench.redis().sink().open().await.unwrap();
    let () = bench.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    unavailable(&sink.send(&events(1)[0]).await.unwrap_err(), Delivery::NotSent);
    let () = bench.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    sink.send(&events(1)[0]).await.unwrap();
    let length: u64 = bench.ask(&["XLEN", TOPIC]).await;
    assert_eq!(length, 1);
}

async fn a_server_that_comes_back_is_unavailable_until_it_serves() {
    let mut bench = Bench::start().await;
    let mut sink = bench.redis().sink().open().await.unwrap();
    let sent = events(50);
    for event in &sent {
        sink.send(event).await.unwrap();
    }
    let redis = bench.redis();
    tokio::task::block_in_place(|| bench.server.kill()).unwrap();
    let restarting = tokio::task::spawn_blocking(move || {
        bench.server.restart().unwrap();
        bench
    });
    // From the first moment on, whatever it answers; until it serves.
    let opening = async {
        loop {
            match redis.source(GROUP).open().await {
                Ok(source) => break source,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        }
    };
    let mut source = tokio::time::timeout(PATIENCE, opening).await.unwrap();
    expect(&mut source, &sent).await;
    drop(restarting.await.unwrap());
}
