//! A source without a group sees everything, and nobody sees that it was there.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::time::Duration;

use backup_tracker::{ErrorKind, Event, EventSource, Sink, StartAt};
use backup_tracker_redis::{RedisSource, redis};
use support::{Bench, GROUP, PATIENCE, TOPIC, answer, events, expect, tests};

tests![
    an_observer_reads_everything_and_follows_and_leaves_nothing_behind,
    an_observer_at_the_latest_begins_behind_the_end,
    an_observer_creates_no_stream,
    an_observer_and_a_group_do_not_notice_each_other,
    a_trim_before_an_observer_is_lost_once,
    a_stream_that_is_recreated_under_an_observer_is_lost_once_however_long_it_is,
    a_stream_that_is_deleted_under_an_observer_is_lost_once_and_then_waited_for,
    an_observer_goes_on_after_a_restart_of_the_server,
    an_observer_reads_from_a_replica,
];

/// Appends as a foreign program does, so that nothing of ours is on the server but what an observer brings.
async fn append(bench: &Bench, count: usize) -> Vec<Event> {
    let events = events(count);
    for event in &events {
        let (key, payload) = (event.key.to_string(), String::from_utf8(event.payload.to_vec()).unwrap());
        let _: String = bench.ask(&["XADD", TOPIC, "*", "key", &key, "payload", &payload]).await;
    }
    events
}

async fn observer(bench: &Bench, start: StartAt) -> RedisSource {
    bench.redis().observer().start(start).open().await.unwrap()
}

async fn nothing(source: &mut RedisSource) {
    let next = tokio::time::timeout(Duration::from_millis(100), source.next()).await;
    assert!(next.is_err(), "{next:?}");
}

async fn lost(source: &mut RedisSource) {
    let error = answer(source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    assert_eq!((error.topic(), error.group()), (Some(TOPIC), None));
}

/// The server holds the stream and nothing else, and the stream has no group.
async fn untouched(bench: &Bench) {
    let keys: Vec<String> = bench.ask(&["KEYS", "*"]).await;
    assert_eq!(keys, [TOPIC]);
    let groups: Vec<redis::Value> = bench.ask(&["XINFO", "GROUPS", TOPIC]).await;
    assert!(groups.is_empty(), "{groups:?}");
}

async fn an_observer_reads_everything_and_follows_and_leaves_nothing_behind() {
    let bench = Bench::start().await;
    // More than is fetched at once.
    let first = append(&bench, 150).await;
    let mut source = observer(&bench, StartAt::Earliest).await;
    assert_eq!(source.remaining().await.unwrap().total(), 150);
    expect(&mut source, &first).await;
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    nothing(&mut source).await;
    let later = append(&bench, 3).await;
    assert_eq!(source.remaining().await.unwrap().total(), 3);
    expect(&mut source, &later).await;
    source.commit().await.unwrap();
    untouched(&bench).await;
    source.close().await.unwrap();
    untouched(&bench).await;

    // What was committed is forgotten with the session.
    let mut source = observer(&bench, StartAt::Earliest).await;
    assert!(!source.resumed());
    expect(&mut source, &first).await;
    drop(source);
    untouched(&bench).await;
}

async fn an_observer_at_the_latest_begins_behind_the_end() {
    let bench = Bench::start().await;
    append(&bench, 3).await;
    let mut source = observer(&bench, StartAt::Latest).await;
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    let later = append(&bench, 2).await;
    expect(&mut source, &later).await;
    nothing(&mut source).await;
    untouched(&bench).await;
}

async fn an_observer_creates_no_stream() {
    let bench = Bench::start().await;
    // The topic is one to be created when it is missing.
    let error = bench.redis().observer().open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let keys: Vec<String> = bench.ask(&["KEYS", "*"]).await;
    assert!(keys.is_empty(), "{keys:?}");
}

async fn an_observer_and_a_group_do_not_notice_each_other() {
    let bench = Bench::start().await;
    let mut sink = bench.redis().sink().open().await.unwrap();
    let mut group = bench.redis().source(GROUP).open().await.unwrap();
    let sent = events(4);
    for event in &sent {
        sink.send(event).await.unwrap();
    }
    expect(&mut group, &sent[..2]).await;
    group.commit().await.unwrap();
    let mut observers =
        [observer(&bench, StartAt::Earliest).await, observer(&bench, StartAt::Earliest).await];
    for source in &mut observers {
        expect(source, &sent).await;
        source.commit().await.unwrap();
    }
    drop(group);
    let mut group = bench.redis().source(GROUP).open().await.unwrap();
    assert!(group.resumed());
    expect(&mut group, &sent[2..]).await;
}

async fn a_trim_before_an_observer_is_lost_once() {
    let bench = Bench::start().await;
    let first = append(&bench, 4).await;
    let mut source = observer(&bench, StartAt::Earliest).await;
    expect(&mut source, &first[..1]).await;
    drop(source);
    let mut source = observer(&bench, StartAt::Latest).await;
    let later = append(&bench, 4).await;
    // Nothing that it has still to read.
    let _: u64 = bench.ask(&["XTRIM", TOPIC, "MAXLEN", "4"]).await;
    expect(&mut source, &later).await;
    let later = append(&bench, 4).await;
    let _: u64 = bench.ask(&["XTRIM", TOPIC, "MAXLEN", "2"]).await;
    assert_eq!(source.remaining().await.unwrap().total(), 2);
    lost(&mut source).await;
    expect(&mut source, &later[2..]).await;
    nothing(&mut source).await;
    untouched(&bench).await;
}

async fn a_stream_that_is_recreated_under_an_observer_is_lost_once_however_long_it_is() {
    // Shorter than what was read, as long, longer, and longer than what is fetched at once.
    for count in [1, 3, 4, 7, 150] {
        let bench = Bench::start().await;
        let first = append(&bench, 3).await;
        let mut source = observer(&bench, StartAt::Earliest).await;
        expect(&mut source, &first).await;
        assert_eq!(source.remaining().await.unwrap().total(), 0);
        // In one step, so that the observer never sees that there is none.
        let new = events(count);
        let mut script = redis::cmd("EVAL");
        let text = "redis.call('DEL', KEYS[1]) for i = 1, #ARGV, 2 do \
                    redis.call('XADD', KEYS[1], '*', 'key', ARGV[i], 'payload', ARGV[i + 1]) end";
        script.arg(text).arg(1).arg(TOPIC);
        for event in &new {
            script.arg(event.key.to_string()).arg(&event.payload[..]);
        }
        // Time has passed since the old stream's last entry.
        bench.another_millisecond(TOPIC).await;
        bench.run(&script).await;
        assert_eq!(source.remaining().await.unwrap().total(), count as u64);
        lost(&mut source).await;
        expect(&mut source, &new).await;
        nothing(&mut source).await;
        assert_eq!(source.remaining().await.unwrap().total(), 0);
        untouched(&bench).await;
    }
}

async fn a_stream_that_is_deleted_under_an_observer_is_lost_once_and_then_waited_for() {
    let bench = Bench::start().await;
    let first = append(&bench, 3).await;
    let mut source = observer(&bench, StartAt::Latest).await;
    let _: u64 = bench.ask(&["DEL", TOPIC]).await;
    lost(&mut source).await;
    source.commit().await.unwrap();
    for _ in 0..2 {
        assert_eq!(source.remaining().await.unwrap_err().cause(), Some(ErrorKind::NotFound));
        assert_eq!(answer(&mut source).await.unwrap_err().cause(), Some(ErrorKind::NotFound));
    }
    let keys: Vec<String> = bench.ask(&["KEYS", "*"]).await;
    assert!(keys.is_empty(), "{keys:?}");
    let later = append(&bench, first.len()).await;
    expect(&mut source, &later).await;
    nothing(&mut source).await;
    untouched(&bench).await;
}

async fn an_observer_goes_on_after_a_restart_of_the_server() {
    let mut bench = Bench::start().await;
    let first = append(&bench, 3).await;
    let mut source = observer(&bench, StartAt::Earliest).await;
    expect(&mut source, &first[..2]).await;
    bench.server.kill().unwrap();
    // What was fetched before needs no server.
    expect(&mut source, &first[2..]).await;
    assert!(answer(&mut source).await.unwrap_err().is_transient());
    source.commit().await.unwrap();
    bench.server.restart().unwrap();
    let later = append(&bench, 2).await;
    expect(&mut source, &later).await;
    nothing(&mut source).await;
    untouched(&bench).await;
}

async fn an_observer_reads_from_a_replica() {
    let master = Bench::start().await;
    let first = append(&master, 3).await;
    let of = format!("127.0.0.1 {}", master.server.port());
    let replica = Bench::start_with(&[("replicaof", &of)]).await;
    // The replica has nothing until it has copied the master.
    let opening = async {
        loop {
            match replica.redis().observer().open().await {
                Ok(source) => return source,
                Err(error) => {
                    assert!(error.is_transient() || error.kind() == ErrorKind::NotFound, "{error}");
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut source = tokio::time::timeout(PATIENCE, opening).await.unwrap();
    expect(&mut source, &first).await;
    let later = append(&master, 2).await;
    expect(&mut source, &later).await;
    nothing(&mut source).await;
    untouched(&replica).await;
}
