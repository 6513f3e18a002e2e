//! What opening refuses, how, and how soon.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::time::Duration;

use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use backup_tracker::{ErrorKind, EventSource, Sink, StartAt, WireFormat};
use backup_tracker_conformance::Proxy;
use backup_tracker_nats::{CreateStream, Nats, async_nats};
use backup_tracker_test_servers::Nats as Server;
use support::{SOON, cases, event, fails, native, next, nothing, send, topic};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

cases! {
    wrong_settings_are_named_before_anything_is_connected,
    a_missing_stream_or_bucket_is_not_found_and_the_message_says_how_to_create_it,
    stream_and_bucket_are_created_as_asked_for_and_left_alone_when_they_exist,
    many_may_create_at_once,
    a_stream_that_captures_something_else_is_refused,
    a_stream_that_removes_events_unnoticed_is_refused,
    a_stream_whose_subject_belongs_to_another_is_refused,
    replicas_without_a_cluster_are_refused,
    an_unreachable_server_is_unavailable,
    a_black_hole_is_unavailable_within_the_time_limit,
    a_silent_server_does_not_keep_the_next_one_from_being_asked,
    a_server_that_is_too_old_is_refused_with_both_versions,
    a_server_without_jetstream_is_refused,
    one_reachable_server_of_several_is_enough,
    a_foreign_value_in_the_groups_key_is_corrupt,
    a_deleted_key_makes_the_group_a_new_one,
}

async fn wrong_settings_are_named_before_anything_is_connected() {
    // Nothing listens there.
    let nats = |servers: &str, topic: &str| Nats::new(servers, topic);
    let sound = || nats("127.0.0.1:1", "backups");
    for (nats, setting) in [
        (nats("127.0.0.1:1", "a b"), "topic"),
        (nats("127.0.0.1:1", " "), "topic"),
        (nats("", "backups"), "servers"),
        (nats("http://a", "backups"), "servers"),
        (sound().stream("a.b"), "stream"),
        (sound().open_timeout(Duration::ZERO), "open timeout"),
        (sound().create_stream(CreateStream::new(0)), "replicas"),
        (sound().credentials_file("/nowhere/user.creds"), "credentials file"),
    ] {
        let error = fails(SOON, ErrorKind::Config, nats.sink().open()).await;
        assert!(error.message().starts_with(setting), "{error}");
    }
    let source = || sound().source("g");
    for (builder, setting) in [
        (sound().source(" "), "group"),
        (sound().source("x".repeat(2000)), "group"),
        (sound().positions_bucket("a b").source("g"), "positions bucket"),
        (source().only_application(""), "application"),
        (source().request_timeout(Duration::ZERO), "request timeout"),
        (source().contact_time(Duration::ZERO), "contact time"),
    ] {
        let error = fails(SOON, ErrorKind::Config, builder.open()).await;
        assert!(error.message().starts_with(setting), "{error}");
    }
    let error = fails(SOON, ErrorKind::Config, sound().sink().send_timeout(Duration::ZERO).open()).await;
    assert!(error.message().starts_with("send timeout"), "{error}");
}

async fn a_missing_stream_or_bucket_is_not_found_and_the_message_says_how_to_create_it() {
    let server = Server::start().unwrap();
    let nats = Nats::new(server.url(), "eu.backups");
    let error = fails(SOON, ErrorKind::NotFound, nats.sink().open()).await;
    assert!(error.message().contains("nats stream add eu_backups --subjects 'eu.backups.*'"), "{error}");
    fails(SOON, ErrorKind::NotFound, nats.source("g").open()).await;
    topic(&server, "eu.backups").sink().open().await.unwrap();
    let error = fails(SOON, ErrorKind::NotFound, nats.source("g").open()).await;
    assert!(error.message().contains("nats kv add eu_backups_positions"), "{error}");
    topic(&server, "eu.backups").source("g").open().await.unwrap();
    nats.source("g").open().await.unwrap();
}

async fn stream_and_bucket_are_created_as_asked_for_and_left_alone_when_they_exist() {
    let server = Server::start().unwrap();
    let hour = Duration::from_secs(3600);
    let create = CreateStream::new(1).max_age(hour).max_bytes(1 << 20).max_messages(1000).in_memory();
    let create = create.max_event_bytes(1000).duplicate_window(Duration::from_secs(30));
    let nats = Nats::new(server.url(), "backups").create_stream(create);
    nats.source("g").open().await.unwrap();
    let context = native(&server.url()).await;
    let config = async |name: &str| context.get_stream(name).await.unwrap().cached_info().config.clone();
    let stream = config("backups").await;
    assert_eq!(stream.subjects, ["backups.*"]);
    assert_eq!((stream.max_age, stream.max_bytes, stream.max_messages), (hour, 1 << 20, 1000));
    assert_eq!((stream.max_message_size, stream.storage), (1000, StorageType::Memory));
    assert_eq!(stream.duplicate_window, Duration::from_secs(30));
    let bucket = config("KV_backups_positions").await;
    assert_eq!((bucket.max_messages_per_subject, bucket.storage), (1, StorageType::Memory));
    assert_eq!(nats.sink().open().await.unwrap().wire_format(), WireFormat::Cbor);
    // It is a bucket to everybody else, too.
    context.get_key_value("backups_positions").await.unwrap();

    let nats = Nats::new(server.url(), "backups").create_stream(CreateStream::new(1).max_messages(7));
    nats.source("g").open().await.unwrap();
    assert_eq!(config("backups").await, stream);
}

async fn many_may_create_at_once() {
    let server = Server::start().unwrap();
    let open = |number: i64| {
        let nats =
            Nats::new(server.url(), "backups").create_stream(CreateStream::new(1).max_messages(100 + number));
        async move { nats.source("g").start(StartAt::Latest).open().await }
    };
    let opened = tokio::join!(open(0), open(1), open(2), open(3), open(0), open(0));
    let (one, two, three, four, five, six) = opened;
    for source in [one, two, three, four, five, six] {
        source.unwrap();
    }
}

async fn a_stream_that_captures_something_else_is_refused() {
    let server = Server::start().unwrap();
    let context = native(&server.url()).await;
    for (name, subject) in [("backups", "orders.*"), ("other", "backup.shop")] {
        let config = Config { name: name.into(), subjects: vec![subject.into()], ..Config::default() };
        context.create_stream(config).await.unwrap();
    }
    let nats = topic(&server, "backups");
    let error = fails(SOON, ErrorKind::Config, nats.sink().open()).await;
    assert!(error.message().contains("captures `orders.*` and not `backups.*`"), "{error}");
    fails(SOON, ErrorKind::Config, nats.source("g").open()).await;
    fails(SOON, ErrorKind::Config, topic(&server, "backup").stream("other").sink().open()).await;
}

async fn a_stream_that_removes_events_unnoticed_is_refused() {
    let server = Server::start().unwrap();
    let context = native(&server.url()).await;
    let config = |name: &str| Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.*")],
        ..Config::default()
    };
    for (config, word) in [
        (Config { retention: RetentionPolicy::WorkQueue, ..config("work") }, "WorkQueue"),
        (Config { retention: RetentionPolicy::Interest, ..config("interest") }, "Interest"),
        (Config { max_messages_per_subject: 10, ..config("few") }, "keeps 10 messages"),
        (Config { no_ack: true, ..config("silent") }, "no_ack"),
    ] {
        let name = config.name.clone();
        context.create_stream(config).await.unwrap();
        let error = fails(SOON, ErrorKind::Config, topic(&server, &name).source("g").open()).await;
        assert!(error.message().contains(word), "{error}");
    }
}

async fn a_stream_whose_subject_belongs_to_another_is_refused() {
    let server = Server::start().unwrap();
    topic(&server, "backups").stream("first").sink().open().await.unwrap();
    let error =
        fails(SOON, ErrorKind::Config, topic(&server, "backups").stream("second").sink().open()).await;
    assert!(error.message().contains("overlap"), "{error}");
}

async fn replicas_without_a_cluster_are_refused() {
    let server = Server::start().unwrap();
    let nats = Nats::new(server.url(), "backups").create_stream(CreateStream::new(3));
    let error = fails(SOON, ErrorKind::Config, nats.sink().open()).await;
    assert!(error.message().contains("replicas"), "{error}");
}

async fn an_unreachable_server_is_unavailable() {
    for server in ["127.0.0.1:1", "no-such-host.invalid:4222"] {
        let nats = Nats::new(server, "backups").open_timeout(Duration::from_secs(2));
        for error in [
            fails(SOON, ErrorKind::Unavailable, nats.sink().open()).await,
            fails(SOON, ErrorKind::Unavailable, nats.source("g").open()).await,
        ] {
            assert!(error.message().contains(&format!("(at {server}): ")), "{error}");
        }
    }
}

async fn a_black_hole_is_unavailable_within_the_time_limit() {
    let server = Server::start().unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    proxy.black_hole();
    let nats = Nats::new(proxy.address().to_string(), "backups").open_timeout(Duration::from_millis(500));
    let error = fails(SOON, ErrorKind::Unavailable, nats.sink().open()).await;
    assert!(error.message().contains("no server answered within 500ms"), "{error}");
    fails(SOON, ErrorKind::Unavailable, nats.source("g").open()).await;
}

async fn a_silent_server_does_not_keep_the_next_one_from_being_asked() {
    let server = Server::start().unwrap();
    let hole = Proxy::start(server.address()).await.unwrap();
    hole.black_hole();
    let both = format!("{},{}", hole.address(), server.address());
    let in_order = async_nats::ConnectOptions::new().retain_servers_order();
    let nats = Nats::new(both, "backups").connect_options(in_order).create_stream(CreateStream::new(1));
    let nats = nats.open_timeout(Duration::from_secs(2));
    nats.sink().open().await.unwrap();
    nats.source("g").open().await.unwrap();
}

/// Greets like a server of this version, and answers nothing but pings.
async fn greeter(info: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (reads, mut writes) = stream.into_split();
                let greeting = format!("INFO {info}\r\n");
                let mut ended = writes.write_all(greeting.as_bytes()).await.is_err();
                let mut lines = BufReader::new(reads).lines();
                while let (false, Ok(Some(line))) = (ended, lines.next_line().await) {
                    ended = line == "PING" && writes.write_all(b"PONG\r\n").await.is_err();
                }
            });
        }
    });
    address
}

async fn a_server_that_is_too_old_is_refused_with_both_versions() {
    let address =
        greeter(r#"{"version":"2.9.10","headers":true,"jetstream":true,"max_payload":1048576}"#).await;
    let nats = Nats::new(address, "backups");
    for error in [
        fails(SOON, ErrorKind::Config, nats.sink().open()).await,
        fails(SOON, ErrorKind::Config, nats.source("g").open()).await,
    ] {
        assert!(error.message().contains("2.9.10") && error.message().contains("2.10"), "{error}");
    }
    // One that is new enough and says nothing more is unavailable.
    let address =
        greeter(r#"{"version":"2.10.0","headers":true,"jetstream":true,"max_payload":1048576}"#).await;
    let nats = Nats::new(address, "backups").open_timeout(Duration::from_millis(500));
    fails(SOON, ErrorKind::Unavailable, nats.sink().open()).await;
}

async fn a_server_without_jetstream_is_refused() {
    // The second account has none, on a server that has.
    let server = Server::start_with(
        "accounts { js: { jetstream: enabled, users: [{user: a, password: a}] },
          plain: { users: [{user: b, password: b}] }, SYS: {} }\nsystem_account: SYS",
    )
    .unwrap();
    let nats = Nats::new(server.url(), "backups").create_stream(CreateStream::new(1));
    nats.clone().user_and_password("a", "a").sink().open().await.unwrap();
    let open = nats.user_and_password("b", "b").sink().open();
    let error = fails(SOON, ErrorKind::Config, open).await;
    assert!(error.message().to_lowercase().contains("jetstream not enabled"), "{error}");
}

async fn one_reachable_server_of_several_is_enough() {
    let server = Server::start().unwrap();
    let servers = format!("127.0.0.1:1, {}, nats://127.0.0.1:2", server.url());
    let nats = Nats::new(servers, "backups").create_stream(CreateStream::new(1));
    let mut sink = nats.sink().open().await.unwrap();
    sink.send(&event("shop")).await.unwrap();
}

async fn a_foreign_value_in_the_groups_key_is_corrupt() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    drop(topic.source("g").open().await.unwrap());
    let context = native(&server.url()).await;
    let bucket = context.get_key_value("backups_positions").await.unwrap();
    bucket.put("backups.g", "42".into()).await.unwrap();
    let error = fails(SOON, ErrorKind::Corrupt, topic.source("g").open()).await;
    assert!(error.message().contains("nats kv del backups_positions backups.g"), "{error}");
    topic.source("other").open().await.unwrap();
}

async fn a_deleted_key_makes_the_group_a_new_one() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    let key = send(&mut sink, "shop").await;
    let mut source = topic.source("g").open().await.unwrap();
    next(&mut source).await;
    source.commit().await.unwrap();
    let context = native(&server.url()).await;
    let bucket = context.get_key_value("backups_positions").await.unwrap();
    bucket.delete("backups.g").await.unwrap();
    let mut second = topic.source("g").open().await.unwrap();
    assert!(!second.resumed());
    assert_eq!(next(&mut second).await.key, Some(key));
    nothing(&mut second).await;
    // The session that still lives commits in the end, however often the key changed under it.
    source.commit().await.unwrap();
    assert!(topic.source("g").open().await.unwrap().resumed());
}
