//! S13: a source is in contact with its stream, or says within the contact time that it is not, and again until it is.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::time::{Duration, Instant};

use backup_tracker::{ErrorKind, Event, EventSource, Sink, StartAt};
use backup_tracker_conformance::Proxy;
use backup_tracker_redis::{Redis, RedisSource};
use support::signal::{go_on, hang};
use support::way::{Swallows, Way};
use support::{Bench, GROUP, PATIENCE, TOPIC, events, expect, replica_of, tests};

tests![
    a_server_that_hangs_shows_in_time_and_again_until_it_goes_on,
    a_way_that_swallows_shows_in_time_and_again_until_it_works,
    a_way_that_swallows_answers_shows_in_time_and_again_until_it_works,
    a_way_that_swallows_requests_shows_in_time_and_again_until_it_works,
    a_black_hole_shows_in_time_and_again_until_it_is_gone,
    a_stuck_waiting_connection_shows_in_time_and_is_replaced,
    a_waiting_connection_that_is_stuck_for_good_loses_nothing,
    a_source_without_a_group_knows_its_contact_as_well,
    a_replica_that_lost_its_primary_is_out_of_contact,
    a_replica_whose_primary_hangs_is_out_of_contact,
    a_way_that_works_again_is_found_soon_also_with_a_long_contact_time,
    a_silent_stream_is_no_outage,
];

const CONTACT: Duration = Duration::from_secs(1);
/// What a busy machine may add.
const MARGIN: Duration = Duration::from_millis(500);
/// Within which reading goes on when contact is back.
const HEALING: Duration = Duration::from_secs(2);

async fn open(url: &str, observes: bool) -> RedisSource {
    let redis = Redis::new(url, TOPIC).create_stream();
    let builder = if observes { redis.observer().start(StartAt::Latest) } else { redis.source(GROUP) };
    builder.contact_time(CONTACT).open().await.unwrap()
}

/// Returns when the source waits for what comes.
async fn waits(source: &mut RedisSource) {
    assert!(tokio::time::timeout(CONTACT / 2, source.next()).await.is_err());
}

async fn out_of_contact(source: &mut RedisSource) {
    let next = tokio::time::timeout(CONTACT + MARGIN, source.next()).await;
    let error = next.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

async fn reads_again(source: &mut RedisSource, event: &Event) {
    let reading = async {
        loop {
            match source.next().await {
                Ok(record) => return record.unwrap(),
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    };
    let record = tokio::time::timeout(HEALING, reading).await.unwrap();
    assert_eq!(record.key, Some(event.key));
}

async fn send(bench: &Bench, event: &Event) {
    let mut sink = bench.redis().sink().open().await.unwrap();
    sink.send(event).await.unwrap();
}

/// What the server is told in the meantime comes when the trouble is over.
async fn is_noticed(
    bench: &Bench,
    source: &mut RedisSource,
    begins: impl FnOnce(),
    meanwhile: bool,
    ends: impl FnOnce(),
) {
    let sent = events(2);
    waits(source).await;
    begins();
    if meanwhile {
        send(bench, &sent[0]).await;
    }
    for _ in 0..4 {
        out_of_contact(source).await;
    }
    ends();
    if !meanwhile {
        send(bench, &sent[0]).await;
    }
    reads_again(source, &sent[0]).await;
    waits(source).await;
    send(bench, &sent[1]).await;
    expect(source, &sent[1..]).await;
    source.commit().await.unwrap();
    assert_eq!(source.remaining().await.unwrap().total(), 0);
}

async fn a_server_that_hangs_shows_in_time_and_again_until_it_goes_on() {
    let bench = Bench::start().await;
    let mut source = open(&bench.server.url(), false).await;
    let (begins, ends) = (|| hang(&bench.server), || go_on(&bench.server));
    is_noticed(&bench, &mut source, begins, false, ends).await;
}

async fn swallowed(swallows: Swallows) {
    let bench = Bench::start().await;
    let way = Way::start(bench.server.address()).await;
    let mut source = open(&way.url(), false).await;
    // A read that the server holds already is answered, where answers pass.
    let meanwhile = swallows.answers;
    is_noticed(&bench, &mut source, || way.swallow(swallows), meanwhile, || way.heal()).await;
}

async fn a_way_that_swallows_shows_in_time_and_again_until_it_works() {
    swallowed(Swallows::EVERYTHING).await;
}

async fn a_way_that_swallows_answers_shows_in_time_and_again_until_it_works() {
    swallowed(Swallows::ANSWERS).await;
}

async fn a_way_that_swallows_requests_shows_in_time_and_again_until_it_works() {
    swallowed(Swallows::REQUESTS).await;
}

async fn a_source_without_a_group_knows_its_contact_as_well() {
    // An observer of a stream that is there.
    let bench = Bench::start().await;
    drop(bench.redis().source(GROUP).open().await.unwrap());
    let way = Way::start(bench.server.address()).await;
    let mut source = open(&way.url(), true).await;
    is_noticed(&bench, &mut source, || way.swallow(Swallows::EVERYTHING), true, || way.heal()).await;
}

async fn a_black_hole_shows_in_time_and_again_until_it_is_gone() {
    let bench = Bench::start().await;
    let proxy = Proxy::start(bench.server.address()).await.unwrap();
    let mut source = open(&format!("redis://{}", proxy.address()), false).await;
    is_noticed(&bench, &mut source, || proxy.black_hole(), true, || proxy.heal()).await;
}

async fn a_stuck_waiting_connection_shows_in_time_and_is_replaced() {
    let bench = Bench::start().await;
    let way = Way::start(bench.server.address()).await;
    let mut source = open(&way.url(), false).await;
    waits(&mut source).await;
    way.swallow(Swallows::WAITING);
    // Everything else passes.
    source.commit().await.unwrap();
    out_of_contact(&mut source).await;
    way.heal();
    let sent = events(1);
    waits(&mut source).await;
    send(&bench, &sent[0]).await;
    expect(&mut source, &sent).await;
}

async fn a_waiting_connection_that_is_stuck_for_good_loses_nothing() {
    let bench = Bench::start().await;
    let way = Way::start(bench.server.address()).await;
    let mut source = open(&way.url(), false).await;
    waits(&mut source).await;
    way.swallow(Swallows::WAITING);
    for event in events(3) {
        out_of_contact(&mut source).await;
        send(&bench, &event).await;
        reads_again(&mut source, &event).await;
    }
}

/// Returns when the replica has what its primary had when it began.
async fn loaded(replica: &Bench) {
    let loading = async { while replica.ask::<u64>(&["EXISTS", TOPIC]).await == 0 {} };
    tokio::time::timeout(PATIENCE, loading).await.unwrap();
}

async fn a_replica_that_lost_its_primary_is_out_of_contact() {
    let bench = Bench::start_with(&[("repl-diskless-sync-delay", "0")]).await;
    let sent = events(3);
    send(&bench, &sent[0]).await;
    let proxy = Proxy::start(bench.server.address()).await.unwrap();
    let replica = replica_of(&bench, proxy.address()).await;
    loaded(&replica).await;
    let mut source = open(&replica.server.url(), true).await;
    send(&bench, &sent[1]).await;
    expect(&mut source, &sent[1..2]).await;
    waits(&mut source).await;
    // The replica answers as before.
    proxy.cut();
    for _ in 0..4 {
        out_of_contact(&mut source).await;
    }
    send(&bench, &sent[2]).await;
    proxy.heal();
    // The replica itself asks for its primary once a second.
    let again = async { while source.next().await.is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

async fn a_replica_whose_primary_hangs_is_out_of_contact() {
    let bench =
        Bench::start_with(&[("repl-diskless-sync-delay", "0"), ("repl-ping-replica-period", "1")]).await;
    send(&bench, &events(1)[0]).await;
    let replica = replica_of(&bench, bench.server.address()).await;
    loaded(&replica).await;
    let mut source = open(&replica.server.url(), true).await;
    waits(&mut source).await;
    hang(&bench.server);
    // The contact time, and the time between two pings of a primary with other settings.
    let begin = Instant::now();
    let next = tokio::time::timeout(CONTACT * 14, source.next()).await;
    assert_eq!(next.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(begin.elapsed() > CONTACT * 5, "{:?}", begin.elapsed());
    go_on(&bench.server);
    let event = &events(1)[0];
    send(&bench, event).await;
    reads_again(&mut source, event).await;
}

async fn a_way_that_works_again_is_found_soon_also_with_a_long_contact_time() {
    let bench = Bench::start().await;
    let way = Way::start(bench.server.address()).await;
    let redis = Redis::new(way.url(), TOPIC).create_stream();
    let mut source = redis.source(GROUP).contact_time(CONTACT * 8).open().await.unwrap();
    waits(&mut source).await;
    way.swallow(Swallows::EVERYTHING);
    let next = tokio::time::timeout(CONTACT * 8 + MARGIN, source.next()).await;
    assert!(next.unwrap().unwrap_err().is_transient());
    // By now it connects, and that is swallowed too.
    out_of_contact(&mut source).await;
    way.heal();
    let event = &events(1)[0];
    send(&bench, event).await;
    reads_again(&mut source, event).await;
}

async fn a_silent_stream_is_no_outage() {
    let bench = Bench::start().await;
    for observes in [false, true] {
        let mut source = open(&bench.server.url(), observes).await;
        assert!(tokio::time::timeout(CONTACT * 3, source.next()).await.is_err());
    }
}
