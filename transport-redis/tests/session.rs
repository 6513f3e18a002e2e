//! S14: what passes does not end an open session. Whatever the server refuses is trouble with a cause, and heals by itself.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::time::Duration;

use backup_tracker::{Error, ErrorKind, Event, EventSource, Sink};
use backup_tracker_redis::{Redis, RedisSource};
use support::{Bench, GROUP, PATIENCE, TOPIC, answer, events, tests};

tests![
    permissions_that_are_away_for_a_while_are_trouble,
    a_user_who_is_away_for_a_while_is_trouble,
    a_password_that_is_changed_for_a_while_is_trouble,
    a_key_that_holds_something_else_for_a_while_is_trouble,
    a_stream_that_is_gone_is_lost_once_and_then_trouble_until_it_is_there_again,
    a_server_without_memory_is_trouble_for_a_claim_and_not_for_reading,
    a_primary_that_becomes_a_replica_is_trouble,
    a_claim_by_another_application_is_no_trouble_but_final,
];

/// So that nobody waits long.
const CONTACT: Duration = Duration::from_secs(2);

async fn open(redis: &Redis) -> RedisSource {
    redis.source(GROUP).contact_time(CONTACT).open().await.unwrap()
}

async fn send(bench: &Bench, event: &Event) {
    bench.redis().sink().open().await.unwrap().send(event).await.unwrap();
}

fn trouble(error: &Error, cause: Option<ErrorKind>) {
    assert_eq!((error.kind(), error.cause()), (ErrorKind::Unavailable, cause), "{error}");
}

/// Everything that a session asks fails because of this, again and again.
async fn all_in_trouble(source: &mut RedisSource, cause: ErrorKind) {
    for _ in 0..2 {
        trouble(&answer(source).await.unwrap_err(), Some(cause));
        trouble(&source.commit().await.unwrap_err(), Some(cause));
        trouble(&source.remaining().await.unwrap_err(), Some(cause));
        trouble(&source.claim("shop").await.unwrap_err(), Some(cause));
    }
}

async fn heals(source: &mut RedisSource, event: &Event) {
    let reading = async {
        loop {
            match source.next().await {
                Ok(record) => return record.unwrap(),
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    };
    let record = tokio::time::timeout(CONTACT, reading).await.unwrap();
    assert_eq!(record.key, Some(event.key));
    source.claim("shop").await.unwrap();
    source.commit().await.unwrap();
    assert_eq!(source.remaining().await.unwrap().total(), 0);
}

async fn waits(source: &mut RedisSource) {
    let next = tokio::time::timeout(Duration::from_millis(100), source.next()).await;
    assert!(next.is_err(), "{next:?}");
}

async fn permissions_that_are_away_for_a_while_are_trouble() {
    let bench = Bench::start().await;
    let () = bench.ask(&["ACL", "SETUSER", "service", "on", ">secret", "~*", "+@all"]).await;
    let redis = bench.redis().user("service").password("secret");
    for away in
        [&["-@all"][..], &["resetkeys"], &["-eval", "-xrange", "-xread"], &["-xinfo", "-exists", "-hget"]]
    {
        let mut source = open(&redis).await;
        waits(&mut source).await;
        let () = bench.ask(&[&["ACL", "SETUSER", "service"], away].concat()).await;
        all_in_trouble(&mut source, ErrorKind::Denied).await;
        let event = &events(1)[0];
        send(&bench, event).await;
        let () = bench.ask(&["ACL", "SETUSER", "service", "~*", "+@all"]).await;
        heals(&mut source, event).await;
    }
}

async fn a_user_who_is_away_for_a_while_is_trouble() {
    let bench = Bench::start().await;
    let create = ["ACL", "SETUSER", "service", "on", ">secret", "~*", "+@all"];
    let () = bench.ask(&create).await;
    let mut source = open(&bench.redis().user("service").password("secret")).await;
    waits(&mut source).await;
    let _: u64 = bench.ask(&["ACL", "DELUSER", "service"]).await;
    // The server closes the connections first.
    while answer(&mut source).await.unwrap_err().cause().is_none() {}
    all_in_trouble(&mut source, ErrorKind::Denied).await;
    let () = bench.ask(&create).await;
    let event = &events(1)[0];
    send(&bench, event).await;
    heals(&mut source, event).await;
}

async fn a_password_that_is_changed_for_a_while_is_trouble() {
    let bench = Bench::start().await;
    let () = bench.ask(&["ACL", "SETUSER", "service", "on", ">secret", "~*", "+@all"]).await;
    let redis = bench.redis().user("service").password("secret");
    let mut source = open(&redis).await;
    let mut sink = redis.sink().open().await.unwrap();
    waits(&mut source).await;
    let () = bench.ask(&["ACL", "SETUSER", "service", "resetpass", ">other"]).await;
    let kicked: u64 = bench.ask(&["CLIENT", "KILL", "USER", "service"]).await;
    assert_eq!(kicked, 3);
    while answer(&mut source).await.unwrap_err().cause().is_none() {}
    all_in_trouble(&mut source, ErrorKind::Denied).await;
    let event = &events(1)[0];
    // A primary is told what it is, and tries again as soon as it is asked.
    while sink.send(event).await.unwrap_err().kind() != ErrorKind::Denied {}
    let () = bench.ask(&["ACL", "SETUSER", "service", ">secret"]).await;
    sink.send(event).await.unwrap();
    heals(&mut source, event).await;
}

async fn a_key_that_holds_something_else_for_a_while_is_trouble() {
    let bench = Bench::start().await;
    let mut source = open(&bench.redis()).await;
    let sent = events(2);
    send(&bench, &sent[0]).await;
    heals(&mut source, &sent[0]).await;
    // In one step, so that it never sees that there is none.
    let script = "redis.call('RENAME', KEYS[1], 'aside') redis.call('SET', KEYS[1], 'a string')";
    let () = bench.ask(&["EVAL", script, "1", TOPIC]).await;
    for _ in 0..2 {
        trouble(&answer(&mut source).await.unwrap_err(), Some(ErrorKind::Config));
        trouble(&source.commit().await.unwrap_err(), Some(ErrorKind::Config));
        trouble(&source.remaining().await.unwrap_err(), Some(ErrorKind::Config));
    }
    let () = bench.ask(&["RENAME", "aside", TOPIC]).await;
    send(&bench, &sent[1]).await;
    heals(&mut source, &sent[1]).await;
}

async fn a_stream_that_is_gone_is_lost_once_and_then_trouble_until_it_is_there_again() {
    let bench = Bench::start().await;
    for observes in [false, true] {
        let sent = events(2);
        send(&bench, &sent[0]).await;
        let redis = Redis::new(bench.server.url(), TOPIC);
        let builder = if observes { redis.observer() } else { redis.source(GROUP) };
        let mut source = builder.contact_time(CONTACT).open().await.unwrap();
        if answer(&mut source).await.is_err() {
            // The group of the round before.
            answer(&mut source).await.unwrap();
        }
        waits(&mut source).await;
        let _: u64 = bench.ask(&["DEL", TOPIC]).await;
        assert_eq!(answer(&mut source).await.unwrap_err().kind(), ErrorKind::Lost);
        for _ in 0..3 {
            let error = answer(&mut source).await.unwrap_err();
            trouble(&error, Some(ErrorKind::NotFound));
            trouble(&source.remaining().await.unwrap_err(), Some(ErrorKind::NotFound));
            // Nothing is left that could come twice.
            source.commit().await.unwrap();
        }
        // What the message names works.
        let error = answer(&mut source).await.unwrap_err();
        let (_, command) = error.message().split_once("`redis-cli ").unwrap();
        let words: Vec<_> = command.trim_end_matches('`').split(' ').collect();
        let () = bench.ask(&words).await;
        waits(&mut source).await;
        waits(&mut source).await;
        assert_eq!(source.remaining().await.unwrap().total(), 0);
        let mut sink = redis.sink().open().await.unwrap();
        sink.send(&sent[1]).await.unwrap();
        let record = answer(&mut source).await.unwrap();
        assert_eq!(record.key, Some(sent[1].key));
        source.commit().await.unwrap();
        let _: u64 = bench.ask(&["DEL", TOPIC]).await;
    }
}

async fn a_server_without_memory_is_trouble_for_a_claim_and_not_for_reading() {
    let bench = Bench::start().await;
    let mut source = open(&bench.redis()).await;
    let sent = events(2);
    send(&bench, &sent[0]).await;
    let () = bench.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(answer(&mut source).await.unwrap().key, Some(sent[0].key));
    waits(&mut source).await;
    for _ in 0..2 {
        trouble(&source.claim("shop").await.unwrap_err(), None);
    }
    let () = bench.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    send(&bench, &sent[1]).await;
    heals(&mut source, &sent[1]).await;
}

async fn a_primary_that_becomes_a_replica_is_trouble() {
    let bench = Bench::start().await;
    let mut source = open(&bench.redis()).await;
    let sent = events(2);
    send(&bench, &sent[0]).await;
    heals(&mut source, &sent[0]).await;
    waits(&mut source).await;
    // Of a primary that is not there: what it has it goes on to show, and nothing comes.
    let () = bench.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    for _ in 0..2 {
        trouble(&answer(&mut source).await.unwrap_err(), None);
        trouble(&source.commit().await.unwrap_err(), None);
    }
    let () = bench.ask(&["REPLICAOF", "NO", "ONE"]).await;
    send(&bench, &sent[1]).await;
    heals(&mut source, &sent[1]).await;
}

async fn a_claim_by_another_application_is_no_trouble_but_final() {
    let bench = Bench::start().await;
    let mut source = open(&bench.redis()).await;
    source.claim("maps").await.unwrap();
    let mut other = open(&bench.redis()).await;
    for _ in 0..2 {
        assert_eq!(other.claim("shop").await.unwrap_err().kind(), ErrorKind::Config);
    }
    let patient = tokio::time::timeout(PATIENCE, other.commit()).await.unwrap();
    assert_eq!(patient.unwrap_err().kind(), ErrorKind::Config);
}
