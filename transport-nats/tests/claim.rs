//! A group belongs to one application (S16).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use async_nats::jetstream::kv::Store;
use backup_tracker::{ErrorKind, EventSource};
use backup_tracker_conformance::Proxy;
use backup_tracker_nats::{CreateStream, GroupPosition, Nats, NatsSource, async_nats};
use backup_tracker_test_servers::Nats as Server;
use futures_util::future::join_all;
use support::{SOON, cases, fails, native, next, pause, send, soon, source, topic};

cases! {
    a_group_of_another_application_is_refused_and_the_error_names_both_and_the_way_out,
    replicas_of_one_application_share_a_group,
    of_claims_at_the_same_time_exactly_one_application_wins,
    a_position_without_an_application_takes_the_first,
    an_application_that_an_older_replica_dropped_is_noted_again_by_a_commit,
    what_is_bound_stays_bound_through_a_commit_and_a_restart,
    what_is_bound_stays_bound_when_the_stream_is_lost,
    a_claim_in_an_outage_may_be_repeated,
    an_observer_claims_nothing_and_needs_no_bucket,
    a_commit_into_a_stream_that_was_recreated_moves_nothing_and_succeeds,
    a_commit_for_a_stream_that_was_deleted_moves_nothing_and_succeeds,
}

async fn bucket(server: &Server) -> Store {
    native(&server.url()).await.get_key_value("backups_positions").await.unwrap()
}

/// The value of the key of group `g`.
async fn held(bucket: &Store) -> serde_json::Value {
    let value = bucket.get("backups.g").await.unwrap().unwrap();
    serde_json::from_slice(&value).unwrap()
}

async fn position(topic: &Nats) -> GroupPosition {
    topic.inspect(Some("g")).await.unwrap().group.unwrap().unwrap().unwrap()
}

async fn bound_to(topic: &Nats) -> Option<String> {
    position(topic).await.application
}

async fn claimed(topic: &Nats, application: &str) -> NatsSource {
    let mut session = source(topic, "g").await;
    session.claim(application).await.unwrap();
    session
}

async fn refused(topic: &Nats, application: &str) {
    let mut session = source(topic, "g").await;
    fails(SOON, ErrorKind::Config, session.claim(application)).await;
}

async fn a_group_of_another_application_is_refused_and_the_error_names_both_and_the_way_out() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    send(&mut topic.sink().open().await.unwrap(), "shop").await;
    let mut shop = claimed(&topic, "shop").await;
    assert_eq!(bound_to(&topic).await.as_deref(), Some("shop"), "at once, before any commit");
    next(&mut shop).await;
    shop.commit().await.unwrap();

    let mut maps = source(&topic, "g").await;
    let error = fails(SOON, ErrorKind::Config, maps.claim("maps")).await;
    assert_eq!(error.group(), Some("g"));
    for words in
        ["`g`", "`shop`", "`maps`", "choose another group", "`nats kv del backups_positions backups.g`"]
    {
        assert!(error.message().contains(words), "{error}");
    }
    topic.source("other").open().await.unwrap().claim("maps").await.unwrap();
    assert_eq!(bound_to(&topic).await.as_deref(), Some("shop"));

    bucket(&server).await.delete("backups.g").await.unwrap();
    let mut maps = claimed(&topic, "maps").await;
    assert!(!maps.resumed());
    next(&mut maps).await;
    maps.commit().await.unwrap();
    // The first one's session still lives, and would commit past the other's operation.
    for _ in 0..2 {
        let error = fails(SOON, ErrorKind::Config, shop.commit()).await;
        assert!(error.message().contains("belongs to application `maps`, not to `shop`"), "{error}");
    }
    assert_eq!(bound_to(&topic).await.as_deref(), Some("maps"));
    maps.commit().await.unwrap();
}

async fn replicas_of_one_application_share_a_group() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    for _ in 0..2 {
        send(&mut sink, "shop").await;
    }
    let (mut one, mut two) = (claimed(&topic, "shop").await, claimed(&topic, "shop").await);
    // A claim that is there already is no write, so that the replicas do not disturb one another.
    let revision = bucket(&server).await.entry("backups.g").await.unwrap().unwrap().revision;
    one.claim("shop").await.unwrap();
    assert_eq!(bucket(&server).await.entry("backups.g").await.unwrap().unwrap().revision, revision);
    next(&mut one).await;
    next(&mut two).await;
    next(&mut two).await;
    one.commit().await.unwrap();
    two.commit().await.unwrap();
    one.commit().await.unwrap();
    let position = position(&topic).await;
    assert_eq!((position.sequence, position.application.as_deref()), (2, Some("shop")));
}

async fn of_claims_at_the_same_time_exactly_one_application_wins() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    for round in 0..10 {
        let group = format!("g{round}");
        let mut sessions = Vec::new();
        for application in ["a", "b", "c", "d"] {
            sessions.push((application, source(&topic, &group).await));
        }
        let claims = sessions
            .iter_mut()
            .map(async |(application, session)| (*application, session.claim(application).await));
        let claims = soon(join_all(claims)).await;
        let winners: Vec<&str> = claims
            .iter()
            .filter_map(|(application, claim)| match claim {
                Ok(()) => Some(*application),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
                    None
                }
            })
            .collect();
        let group = topic.inspect(Some(&group)).await.unwrap().group.unwrap().unwrap().unwrap();
        assert_eq!(winners, [group.application.unwrap()], "{claims:?}");
    }
}

async fn a_position_without_an_application_takes_the_first() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    send(&mut topic.sink().open().await.unwrap(), "shop").await;
    let mut session = source(&topic, "g").await;
    next(&mut session).await;
    session.commit().await.unwrap();
    let bucket = bucket(&server).await;
    let before = held(&bucket).await;
    assert_eq!(before.get("application"), None, "as an earlier version writes it");
    let session = claimed(&topic, "shop").await;
    assert!(session.resumed());
    let mut after = held(&bucket).await;
    assert_eq!(after.as_object_mut().unwrap().remove("application").unwrap(), "shop");
    assert_eq!(after, before);
    refused(&topic, "maps").await;
}

async fn an_application_that_an_older_replica_dropped_is_noted_again_by_a_commit() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    for _ in 0..9 {
        send(&mut sink, "shop").await;
    }
    let mut session = claimed(&topic, "shop").await;
    let bucket = bucket(&server).await;
    let created = position(&topic).await.stream_created;
    // It committed less than this session, as much, and more.
    for (sequence, expected) in [(0, 1), (2, 2), (9, 9)] {
        let value = format!(r#"{{"stream_created":"{created}","sequence":{sequence},"committed":true}}"#);
        bucket.put("backups.g", value.into()).await.unwrap();
        next(&mut session).await;
        session.commit().await.unwrap();
        let position = position(&topic).await;
        assert_eq!((position.sequence, position.application.as_deref()), (expected, Some("shop")));
    }
}

async fn what_is_bound_stays_bound_through_a_commit_and_a_restart() {
    let mut server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    send(&mut sink, "shop").await;
    send(&mut sink, "shop").await;
    let mut session = claimed(&topic, "shop").await;
    next(&mut session).await;
    session.commit().await.unwrap();
    assert_eq!(bound_to(&topic).await.as_deref(), Some("shop"));
    drop(session);
    server.kill().unwrap();
    server.restart().unwrap();
    refused(&topic, "maps").await;
    // A session that claims nothing keeps what is noted.
    let mut session = source(&topic, "g").await;
    assert!(session.resumed());
    next(&mut session).await;
    session.commit().await.unwrap();
    let position = position(&topic).await;
    assert_eq!((position.sequence, position.application.as_deref()), (2, Some("shop")));
}

async fn what_is_bound_stays_bound_when_the_stream_is_lost() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let context = native(&server.url()).await;
    for recreates in [false, true] {
        send(&mut topic.sink().open().await.unwrap(), "shop").await;
        let mut live = claimed(&topic, "shop").await;
        if recreates {
            context.delete_stream("backups").await.unwrap();
        } else {
            context.get_stream("backups").await.unwrap().purge().await.unwrap();
        }
        send(&mut topic.sink().open().await.unwrap(), "shop").await;
        refused(&topic, "maps").await;
        let mut next_session = claimed(&topic, "shop").await;
        for session in [&mut live, &mut next_session] {
            // What was fetched before may still come, and that nothing answers any more may show first.
            let error = loop {
                match soon(session.next()).await {
                    Err(error) if !error.is_transient() => break error,
                    _ => {}
                }
            };
            assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
            next(session).await;
            session.commit().await.unwrap();
            assert_eq!(bound_to(&topic).await.as_deref(), Some("shop"));
        }
        refused(&topic, "maps").await;
    }
}

async fn a_claim_in_an_outage_may_be_repeated() {
    let server = Server::start().unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let far = Nats::new(proxy.address().to_string(), "backups").create_stream(CreateStream::new(1));
    let mut session = source(&far, "g").await;
    proxy.black_hole();
    fails(SOON, ErrorKind::Unavailable, session.claim("shop")).await;
    proxy.cut();
    proxy.heal();
    let claiming = async {
        while let Err(error) = session.claim("shop").await {
            assert!(error.is_transient(), "{error}");
            pause().await;
        }
    };
    soon(claiming).await;
    assert_eq!(bound_to(&topic(&server, "backups")).await.as_deref(), Some("shop"));
}

async fn an_observer_claims_nothing_and_needs_no_bucket() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    topic.sink().open().await.unwrap();
    let mut observer = topic.observer().open().await.unwrap();
    observer.claim("maps").await.unwrap();
    assert!(native(&server.url()).await.get_key_value("backups_positions").await.is_err());
    claimed(&topic, "shop").await;
    observer.claim("maps").await.unwrap();
    observer.commit().await.unwrap();
    assert_eq!(bound_to(&topic).await.as_deref(), Some("shop"));
}

async fn a_commit_into_a_stream_that_was_recreated_moves_nothing_and_succeeds() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    for with_replica in [false, true] {
        let mut sink = topic.sink().open().await.unwrap();
        for _ in 0..3 {
            send(&mut sink, "shop").await;
        }
        let mut old = claimed(&topic, "shop").await;
        while old.remaining().await.unwrap().total() > 0 {
            next(&mut old).await;
        }
        native(&server.url()).await.delete_stream("backups").await.unwrap();
        let mut sink = topic.sink().open().await.unwrap();
        for _ in 0..5 {
            send(&mut sink, "shop").await;
        }
        if with_replica {
            // Another one is in the new stream already.
            let mut replica = source(&topic, "g").await;
            fails(SOON, ErrorKind::Lost, replica.next()).await;
            next(&mut replica).await;
            replica.commit().await.unwrap();
        }
        let before = position(&topic).await;
        old.commit().await.unwrap();
        let after = position(&topic).await;
        assert_eq!(after.stream_created, before.stream_created);
        assert_eq!(old.remaining().await.unwrap().total(), 5);
        let mut session = source(&topic, "g").await;
        assert_eq!(session.resumed(), with_replica);
        if with_replica {
            assert_eq!(after, before);
            assert_eq!(session.remaining().await.unwrap().total(), 4);
        } else {
            fails(SOON, ErrorKind::Lost, session.next()).await;
            next(&mut session).await;
            session.commit().await.unwrap();
        }
    }
}

async fn a_commit_for_a_stream_that_was_deleted_moves_nothing_and_succeeds() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    send(&mut topic.sink().open().await.unwrap(), "shop").await;
    let mut all = source(&topic, "g").await;
    // Its commit looks at the stream first.
    let mut only = topic.source("only").only_application("shop").open().await.unwrap();
    let mut other = source(&topic, "other").await;
    for session in [&mut all, &mut only, &mut other] {
        next(session).await;
    }
    native(&server.url()).await.delete_stream("backups").await.unwrap();
    for session in [&mut all, &mut only] {
        session.commit().await.unwrap();
        let error = fails(SOON, ErrorKind::Unavailable, session.remaining()).await;
        assert_eq!(error.cause(), Some(ErrorKind::NotFound), "{error}");
    }
    // Where the position was found to be of another stream, too.
    let bucket = bucket(&server).await;
    let foreign = r#"{"stream_created":"2026-01-02T03:04:05Z","sequence":7,"committed":true}"#;
    bucket.put("backups.other", foreign.into()).await.unwrap();
    other.commit().await.unwrap();
    assert_eq!(bucket.get("backups.other").await.unwrap().unwrap(), foreign);
}
