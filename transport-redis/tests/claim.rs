//! A group belongs to one application (S16).

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::time::Duration;

use backup_tracker::{Error, ErrorKind, Event, EventSource, Sink};
use backup_tracker_conformance::Proxy;
use backup_tracker_redis::{Redis, RedisSource};
use support::{Bench, GROUP, TOPIC, answer, events, expect, tests};

tests![
    a_group_of_another_application_is_refused_and_the_error_names_both_and_the_way_out,
    a_live_session_whose_group_was_given_away_cannot_commit,
    replicas_of_one_application_share_a_group,
    of_claims_at_the_same_time_exactly_one_application_wins,
    a_position_without_an_application_takes_the_first,
    an_application_that_somebody_dropped_is_noted_again_by_a_commit,
    what_is_bound_stays_bound_through_a_commit_and_a_restart,
    what_is_bound_stays_bound_when_the_stream_is_lost,
    a_claim_in_an_outage_may_be_repeated,
    an_observer_claims_nothing,
    a_commit_into_a_stream_that_was_recreated_moves_nothing_and_succeeds,
];

const SIDE: &str = "backups:backup-tracker";
const WORD: &str = "application:search";

async fn send(bench: &Bench, count: usize) -> Vec<Event> {
    let mut sink = bench.redis().sink().open().await.unwrap();
    let events = events(count);
    for event in &events {
        sink.send(event).await.unwrap();
    }
    sink.close().await.unwrap();
    events
}

async fn source(bench: &Bench) -> RedisSource {
    bench.redis().source(GROUP).open().await.unwrap()
}

async fn claimed(bench: &Bench, application: &str) -> RedisSource {
    let mut session = source(bench).await;
    session.claim(application).await.unwrap();
    session
}

fn config(result: backup_tracker::Result<()>) -> Error {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.group()), (ErrorKind::Config, Some(GROUP)), "{error}");
    error
}

async fn refused(bench: &Bench, application: &str) -> Error {
    config(source(bench).await.claim(application).await)
}

async fn bound_to(bench: &Bench) -> Option<String> {
    bench.ask(&["HGET", SIDE, WORD]).await
}

/// What the group's own field says, without the token.
async fn state(bench: &Bench) -> String {
    let held: String = bench.ask(&["HGET", SIDE, "group:search"]).await;
    held.split(' ').nth(1).unwrap().to_owned()
}

/// The group's last delivered identifier.
async fn position(bench: &Bench) -> String {
    let script = "return redis.call('XINFO', 'GROUPS', KEYS[1])[1][8]";
    bench.ask(&["EVAL", script, "1", TOPIC]).await
}

async fn lost(session: &mut RedisSource) {
    assert_eq!(answer(session).await.unwrap_err().kind(), ErrorKind::Lost);
}

async fn a_group_of_another_application_is_refused_and_the_error_names_both_and_the_way_out() {
    let bench = Bench::start().await;
    let sent = send(&bench, 2).await;
    let mut shop = claimed(&bench, "the shop").await;
    assert_eq!(bound_to(&bench).await.as_deref(), Some("the shop"), "at once, before any commit");
    expect(&mut shop, &sent[..1]).await;
    shop.commit().await.unwrap();
    drop(shop);

    let error = refused(&bench, "maps").await;
    let commands =
        ["XGROUP DESTROY backups search", "HDEL backups:backup-tracker group:search application:search"];
    for words in ["`search`", "`the shop`", "`maps`", "choose another group"].iter().chain(&commands) {
        assert!(error.message().contains(words), "{error}");
    }
    bench.redis().source("tiles").open().await.unwrap().claim("maps").await.unwrap();
    assert_eq!((bound_to(&bench).await.as_deref(), &*state(&bench).await), (Some("the shop"), "committed"));

    for command in commands {
        let _: u64 = bench.ask(&command.split(' ').collect::<Vec<_>>()).await;
    }
    let mut maps = claimed(&bench, "maps").await;
    assert!(!maps.resumed());
    expect(&mut maps, &sent).await;
    maps.commit().await.unwrap();
    refused(&bench, "the shop").await;
}

async fn a_live_session_whose_group_was_given_away_cannot_commit() {
    let bench = Bench::start().await;
    let sent = send(&bench, 3).await;
    let mut shop = claimed(&bench, "shop").await;
    expect(&mut shop, &sent[..1]).await;
    shop.commit().await.unwrap();
    let before = position(&bench).await;
    expect(&mut shop, &sent[1..2]).await;
    // Only the binding.
    let () = bench.ask(&["HSET", SIDE, WORD, "maps"]).await;
    for _ in 0..2 {
        let error = config(shop.commit().await);
        assert!(error.message().contains("belongs to application `maps`, not to `shop`"), "{error}");
    }
    assert_eq!(position(&bench).await, before);

    // The group as well: its session hears of the loss, and commits nothing after it either.
    let () = bench.ask(&["XGROUP", "DESTROY", TOPIC, GROUP]).await;
    let () = bench.ask(&["HDEL", SIDE, "group:search", WORD]).await;
    let mut maps = claimed(&bench, "maps").await;
    shop.commit().await.unwrap();
    while answer(&mut shop).await.is_ok() {}
    expect(&mut shop, &sent).await;
    config(shop.commit().await);
    assert_eq!(state(&bench).await, "started");
    expect(&mut maps, &sent).await;
    maps.commit().await.unwrap();
}

async fn replicas_of_one_application_share_a_group() {
    let bench = Bench::start().await;
    let sent = send(&bench, 2).await;
    let (mut one, mut two) = (claimed(&bench, "shop").await, claimed(&bench, "shop").await);
    expect(&mut one, &sent[..1]).await;
    expect(&mut two, &sent).await;
    for session in [&mut one, &mut two] {
        session.commit().await.unwrap();
    }
    let last = position(&bench).await;
    one.commit().await.unwrap();
    assert_eq!((position(&bench).await, bound_to(&bench).await.as_deref()), (last, Some("shop")));
}

async fn of_claims_at_the_same_time_exactly_one_application_wins() {
    let bench = Bench::start().await;
    for round in 0..10 {
        let group = format!("group {round}");
        let mut claims = Vec::new();
        for application in ["a", "b", "c", "d"] {
            let mut session = bench.redis().source(&*group).open().await.unwrap();
            claims.push(tokio::spawn(async move { (application, session.claim(application).await) }));
        }
        let mut winners = Vec::new();
        for claim in claims {
            match claim.await.unwrap() {
                (application, Ok(())) => winners.push(application.to_owned()),
                (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::Config, "{error}"),
            }
        }
        let bound: String = bench.ask(&["HGET", SIDE, &format!("application:{group}")]).await;
        assert_eq!(winners, [bound]);
    }
}

async fn a_position_without_an_application_takes_the_first() {
    let bench = Bench::start().await;
    let sent = send(&bench, 2).await;
    let mut session = source(&bench).await;
    expect(&mut session, &sent[..1]).await;
    session.commit().await.unwrap();
    assert_eq!(bound_to(&bench).await, None);
    let before = position(&bench).await;
    let mut session = claimed(&bench, "shop").await;
    assert!(session.resumed());
    assert_eq!((bound_to(&bench).await.as_deref(), position(&bench).await), (Some("shop"), before));
    refused(&bench, "maps").await;
    expect(&mut session, &sent[1..]).await;
}

async fn an_application_that_somebody_dropped_is_noted_again_by_a_commit() {
    let bench = Bench::start().await;
    let sent = send(&bench, 2).await;
    let mut session = claimed(&bench, "shop").await;
    let mut ahead = source(&bench).await;
    expect(&mut session, &sent[..1]).await;
    expect(&mut ahead, &sent).await;
    let () = bench.ask(&["HDEL", SIDE, WORD]).await;
    session.commit().await.unwrap();
    assert_eq!(bound_to(&bench).await.as_deref(), Some("shop"));
    // Also by one that is behind.
    ahead.commit().await.unwrap();
    let () = bench.ask(&["HDEL", SIDE, WORD]).await;
    session.commit().await.unwrap();
    assert_eq!(bound_to(&bench).await.as_deref(), Some("shop"));
}

async fn what_is_bound_stays_bound_through_a_commit_and_a_restart() {
    let mut bench = Bench::start().await;
    let sent = send(&bench, 2).await;
    let mut session = claimed(&bench, "shop").await;
    expect(&mut session, &sent[..1]).await;
    session.commit().await.unwrap();
    assert_eq!(bound_to(&bench).await.as_deref(), Some("shop"));
    drop(session);
    tokio::task::block_in_place(|| bench.server.kill().and_then(|()| bench.server.restart())).unwrap();
    refused(&bench, "maps").await;
    // A session that claims nothing keeps what is noted.
    let mut session = source(&bench).await;
    assert!(session.resumed());
    expect(&mut session, &sent[1..]).await;
    session.commit().await.unwrap();
    assert_eq!(bound_to(&bench).await.as_deref(), Some("shop"));
}

async fn what_is_bound_stays_bound_when_the_stream_is_lost() {
    let bench = Bench::start().await;
    for command in
        [&["XTRIM", TOPIC, "MAXLEN", "0"][..], &["DEL", TOPIC], &["XGROUP", "DESTROY", TOPIC, GROUP]]
    {
        send(&bench, 2).await;
        let mut live = claimed(&bench, "shop").await;
        let _: u64 = bench.ask(command).await;
        let sent = send(&bench, 1).await;
        refused(&bench, "maps").await;
        let mut second = claimed(&bench, "shop").await;
        for session in [&mut live, &mut second] {
            lost(session).await;
            while answer(session).await.unwrap().key != Some(sent[0].key) {}
            session.commit().await.unwrap();
            assert_eq!(bound_to(&bench).await.as_deref(), Some("shop"));
        }
        refused(&bench, "maps").await;
    }
}

async fn a_claim_in_an_outage_may_be_repeated() {
    let bench = Bench::start().await;
    let proxy = Proxy::start(bench.server.address()).await.unwrap();
    let far = Redis::new(format!("redis://{}", proxy.address()), TOPIC).create_stream();
    let builder = far.source(GROUP).request_timeout(Duration::from_millis(300));
    let mut session = builder.open().await.unwrap();
    for trouble in [Proxy::black_hole, Proxy::cut] {
        trouble(&proxy);
        let error = session.claim("shop").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    proxy.heal();
    session.claim("shop").await.unwrap();
    assert_eq!(bound_to(&bench).await.as_deref(), Some("shop"));
}

async fn an_observer_claims_nothing() {
    let bench = Bench::start().await;
    send(&bench, 1).await;
    let mut observer = bench.redis().observer().open().await.unwrap();
    observer.claim("maps").await.unwrap();
    let exists: u64 = bench.ask(&["EXISTS", SIDE]).await;
    assert_eq!(exists, 0);
    claimed(&bench, "shop").await;
    observer.claim("maps").await.unwrap();
    observer.commit().await.unwrap();
    assert_eq!(bound_to(&bench).await.as_deref(), Some("shop"));
}

async fn a_commit_into_a_stream_that_was_recreated_moves_nothing_and_succeeds() {
    let bench = Bench::start().await;
    for with_replica in [false, true] {
        let mut old = claimed(&bench, "shop").await;
        let sent = send(&bench, 3).await;
        expect(&mut old, &sent).await;
        // Beyond everything that the next stream will hold.
        let _: String = bench.ask(&["XADD", TOPIC, "99999999999999-0", "payload", "x"]).await;
        answer(&mut old).await.unwrap();
        let _: u64 = bench.ask(&["DEL", TOPIC]).await;
        // There is no stream, and then there is another one.
        old.commit().await.unwrap();
        assert_eq!(old.remaining().await.unwrap_err().cause(), Some(ErrorKind::NotFound));
        let exists: u64 = bench.ask(&["EXISTS", TOPIC]).await;
        assert_eq!(exists, 0);
        let sent = send(&bench, 5).await;
        if with_replica {
            let mut replica = source(&bench).await;
            lost(&mut replica).await;
            expect(&mut replica, &sent[..1]).await;
            replica.commit().await.unwrap();
            let before = position(&bench).await;
            old.commit().await.unwrap();
            assert_eq!(position(&bench).await, before);
        } else {
            old.commit().await.unwrap();
        }
        assert_eq!(old.remaining().await.unwrap().total(), 5);
        let mut session = source(&bench).await;
        assert_eq!(session.resumed(), with_replica);
        if with_replica {
            expect(&mut session, &sent[1..]).await;
        } else {
            lost(&mut session).await;
            expect(&mut session, &sent).await;
            session.commit().await.unwrap();
        }
    }
}
