//! Limits of accounts and servers, and settings of streams that will not do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::{Config, ConsumerLimits, PersistenceMode, SubjectTransform};
use backup_tracker::{ErrorKind, EventSource};
use backup_tracker_nats::{CreateStream, DEFAULT_BUCKET_BYTES, Nats, async_nats};
use backup_tracker_test_servers::Nats as Server;
use futures_util::StreamExt;
use support::{Reconfigure, SOON, cases, fails, native, next, nothing, send, soon, source, topic};
use tokio::time::timeout;

cases! {
    a_batch_limit_below_ours_is_kept_with_one_consumer,
    a_limit_of_idle_consumers_is_kept,
    a_consumer_that_ends_at_once_is_not_replaced_at_once,
    a_stream_that_cannot_be_trusted_is_refused,
    a_bucket_is_created_with_a_limit_where_the_account_demands_one,
    a_domain_and_an_api_prefix_lead_to_the_stream,
    the_mark_of_a_limit_is_no_position,
}

async fn a_batch_limit_below_ours_is_kept_with_one_consumer() {
    let mut server = Server::start().unwrap();
    server.stop().unwrap();
    let path = server.folder().join("nats.conf");
    let text = std::fs::read_to_string(&path).unwrap();
    let limited = text.replace("jetstream {", "jetstream { limits { max_request_batch: 3 }, ");
    std::fs::write(&path, limited).unwrap();
    server.restart().unwrap();
    let topic = topic(&server, "backups");
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut created = client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.CREATED.backups.>").await.unwrap();
    client.flush().await.unwrap();
    let mut session = source(&topic, "g").await;
    let mut sink = topic.sink().open().await.unwrap();
    for _ in 0..10 {
        let key = send(&mut sink, "shop").await;
        assert_eq!(next(&mut session).await.key, Some(key));
    }
    nothing(&mut session).await;
    soon(created.next()).await.unwrap();
    assert!(
        timeout(Duration::from_millis(200), created.next()).await.is_err(),
        "there was a second consumer"
    );
}

async fn a_limit_of_idle_consumers_is_kept() {
    let server = Server::start().unwrap();
    let limits = ConsumerLimits { inactive_threshold: Duration::from_secs(5), max_ack_pending: 0 };
    let config = Config { consumer_limits: Some(limits), num_replicas: 1, ..Config::default() };
    let nats = Nats::new(server.url(), "backups").create_stream(CreateStream::native(config));
    let mut session = source(&nats, "g").await;
    let key = send(&mut nats.sink().open().await.unwrap(), "shop").await;
    assert_eq!(next(&mut session).await.key, Some(key));
}

async fn a_consumer_that_ends_at_once_is_not_replaced_at_once() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut session = source(&topic, "g").await;
    let stream = native(&server.url()).await.get_stream("backups").await.unwrap();
    let deleting = async {
        loop {
            let mut names = stream.consumer_names();
            while let Some(Ok(name)) = names.next().await {
                if stream.delete_consumer(&name).await.is_ok() {
                    return;
                }
            }
        }
    };
    let (error, ()) = tokio::join!(soon(session.next()), deleting);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let key = send(&mut topic.sink().open().await.unwrap(), "shop").await;
    assert_eq!(next(&mut session).await.key, Some(key));
}

async fn a_stream_that_cannot_be_trusted_is_refused() {
    let server = Server::start().unwrap();
    let context = native(&server.url()).await;
    let config = |name: &str| Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.*")],
        ..Config::default()
    };
    let transform =
        SubjectTransform { source: "turned.*".into(), destination: "other.{{wildcard(1)}}".into() };
    let mut refused = vec![
        (Config { subject_transform: Some(transform), ..config("turned") }, "subject_transform"),
        (config("closed"), "sealed"),
    ];
    if Server::find().unwrap().version >= (2, 12) {
        refused
            .push((Config { persist_mode: Some(PersistenceMode::Async), ..config("hasty") }, "persist_mode"));
    }
    for (config, word) in refused {
        let name = config.name.clone();
        context.create_stream(config.clone()).await.unwrap();
        if word == "sealed" {
            context.update_stream(Config { sealed: true, ..config }).await.unwrap();
        }
        let topic = topic(&server, &name);
        for error in [
            fails(SOON, ErrorKind::Config, topic.source("g").open()).await,
            fails(SOON, ErrorKind::Config, topic.sink().open()).await,
        ] {
            assert!(error.message().contains(word), "{error}");
        }
        let unfit = topic.inspect(None).await.unwrap().stream.unwrap().unfit;
        assert!(unfit.unwrap().contains(word));
    }
}

async fn a_bucket_is_created_with_a_limit_where_the_account_demands_one() {
    let accounts = "accounts { A: { jetstream: { max_store: 100MB, max_bytes_required: true },
        users: [ { user: u, password: p } ] }, SYS: {} }\nsystem_account: SYS";
    let server = Server::start_with(accounts).unwrap();
    let nats = Nats::new(server.url(), "backups").user_and_password("u", "p");
    let unlimited = nats.clone().create_stream(CreateStream::new(1));
    let error = fails(SOON, ErrorKind::Config, unlimited.source("g").open()).await;
    assert!(error.message().contains("max bytes"), "{error}");
    let limited = nats.clone().create_stream(CreateStream::new(1).max_bytes(1 << 20));
    limited.source("g").open().await.unwrap();
    let bytes =
        async |nats: &Nats| nats.inspect(Some("g")).await.unwrap().bucket.unwrap().unwrap().config.max_bytes;
    assert_eq!(bytes(&limited).await, DEFAULT_BUCKET_BYTES);
    let chosen = limited.positions_bucket("other");
    let chosen = chosen.create_stream(CreateStream::new(1).bucket_bytes(77_000));
    chosen.source("g").open().await.unwrap();
    assert_eq!(bytes(&chosen).await, 77_000);
}

async fn a_domain_and_an_api_prefix_lead_to_the_stream() {
    let server = Server::start().unwrap();
    server.reconfigure("jetstream {", "jetstream { domain: hub, ");
    let mut server = server;
    server.stop().unwrap();
    server.restart().unwrap();
    let nats = topic(&server, "backups");
    for nats in [nats.clone().domain("hub"), nats.clone().api_prefix("$JS.hub.API"), nats.clone()] {
        let mut session = source(&nats, "g").await;
        let key = send(&mut nats.sink().open().await.unwrap(), "shop").await;
        assert_eq!(next(&mut session).await.key, Some(key));
        session.commit().await.unwrap();
        assert_eq!(session.remaining().await.unwrap().total(), 0);
        session.close().await.unwrap();
    }
    let error = fails(SOON, ErrorKind::Unavailable, nats.clone().domain("leaf").sink().open()).await;
    assert_eq!(error.cause(), Some(ErrorKind::Config), "{error}");
    assert!(error.message().contains("$JS.leaf.API") && error.message().contains("domain"), "{error}");
    for wrong in [nats.clone().domain(""), nats.clone().domain("a b"), nats.api_prefix("a.>")] {
        let error = fails(SOON, ErrorKind::Config, wrong.sink().open()).await;
        assert!(error.message().starts_with("domain or API prefix"), "{error}");
    }
}

async fn the_mark_of_a_limit_is_no_position() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let key = send(&mut topic.sink().open().await.unwrap(), "shop").await;
    let mut session = source(&topic, "g").await;
    next(&mut session).await;
    session.commit().await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Marker-Reason", "MaxAge");
    let subject = "$KV.backups_positions.backups.g";
    let context = native(&server.url()).await;
    context.publish_with_headers(subject, headers, "".into()).await.unwrap().await.unwrap();
    assert_eq!(topic.inspect(Some("g")).await.unwrap().group.unwrap().unwrap(), None);
    let mut session = source(&topic, "g").await;
    assert!(!session.resumed());
    assert_eq!(next(&mut session).await.key, Some(key));
    session.commit().await.unwrap();
    assert!(source(&topic, "g").await.resumed());
}
