//! What happens to a session whose stream, bucket, permissions or connection change under it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::time::Duration;

use backup_tracker::{Delivery, ErrorKind, Event, EventSource, Sink};
use backup_tracker_conformance::Proxy;
use backup_tracker_nats::{CreateStream, Nats, async_nats};
use backup_tracker_test_servers::Nats as Server;
use support::{
    SOON, cases, event, fails, native, next, next_at_last, nothing, pause, send, soon, source, topic,
};
use uuid::Uuid;

cases! {
    uncommitted_events_come_before_new_ones_after_a_restart_of_the_server,
    a_purge_under_a_waiting_session_is_lost_once,
    a_stream_deleted_under_a_session_is_trouble_until_another_one_is_there_and_then_lost_once,
    a_stream_recreated_under_a_session_is_lost_once_and_read_from_its_beginning,
    a_stream_that_is_gone_is_not_found_to_a_sink,
    a_bucket_that_is_gone_is_trouble_to_a_commit_and_comes_back,
    a_full_stream_refuses_and_the_event_may_be_sent_again_later,
    an_event_sent_twice_is_stored_once,
    an_earlier_send_without_an_answer_never_comes_after_a_later_one,
    a_retry_knows_no_more_than_the_attempt_before_it,
    a_consumer_that_the_server_let_go_is_replaced_unnoticed,
    a_server_that_stops_answering_is_unavailable_in_bounded_time,
    a_delay_only_delays,
    a_message_that_the_client_cannot_read_is_no_dead_end,
}

async fn uncommitted_events_come_before_new_ones_after_a_restart_of_the_server() {
    let mut server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..30 {
        keys.push(send(&mut sink, "shop").await);
    }
    let mut session = source(&topic, "g").await;
    for key in &keys[..10] {
        assert_eq!(next(&mut session).await.key, Some(*key));
    }
    session.commit().await.unwrap();
    for key in &keys[10..20] {
        assert_eq!(next(&mut session).await.key, Some(*key));
    }
    drop(session);
    server.kill().unwrap();
    server.restart().unwrap();
    let mut sink = topic.sink().open().await.unwrap();
    keys.push(send(&mut sink, "shop").await);
    let mut session = source(&topic, "g").await;
    assert!(session.resumed());
    for key in &keys[10..] {
        assert_eq!(next(&mut session).await.key, Some(*key));
    }
}

async fn a_purge_under_a_waiting_session_is_lost_once() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    // More than is fetched at once, so that the rest can only come from the stream.
    for _ in 0..600 {
        send(&mut sink, "shop").await;
    }
    let mut session = source(&topic, "g").await;
    next(&mut session).await;
    session.commit().await.unwrap();
    let context = native(&server.url()).await;
    context.get_stream("backups").await.unwrap().purge().await.unwrap();
    let key = send(&mut sink, "shop").await;
    let lost = loop {
        match soon(session.next()).await {
            Ok(record) => assert_ne!(record.unwrap().key, Some(key)),
            Err(error) => break error,
        }
    };
    assert_eq!(lost.kind(), ErrorKind::Lost, "{lost}");
    assert!(!session.resumed());
    assert_eq!(next(&mut session).await.key, Some(key));
    nothing(&mut session).await;
    session.commit().await.unwrap();
    assert!(source(&topic, "g").await.resumed());
}

async fn a_stream_deleted_under_a_session_is_trouble_until_another_one_is_there_and_then_lost_once() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    send(&mut sink, "shop").await;
    let mut session = source(&topic, "g").await;
    next(&mut session).await;
    native(&server.url()).await.delete_stream("backups").await.unwrap();
    // The server may be about to find it again, as it is after a restart.
    for _ in 0..2 {
        let error = fails(SOON, ErrorKind::Unavailable, session.next()).await;
        assert_eq!(error.cause(), Some(ErrorKind::NotFound), "{error}");
        let error = fails(SOON, ErrorKind::Unavailable, session.remaining()).await;
        assert_eq!(error.cause(), Some(ErrorKind::NotFound), "{error}");
    }
    session.commit().await.unwrap();
    let mut sink = topic.sink().open().await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(send(&mut sink, "shop").await);
    }
    fails(SOON, ErrorKind::Lost, session.next()).await;
    assert!(!session.resumed());
    session.commit().await.unwrap();
    // Read from its beginning, and nothing more is said.
    for key in keys {
        assert_eq!(next(&mut session).await.key, Some(key));
    }
    session.commit().await.unwrap();
    let mut session = source(&topic, "g").await;
    assert!(session.resumed());
    nothing(&mut session).await;
}

async fn a_stream_recreated_under_a_session_is_lost_once_and_read_from_its_beginning() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    for _ in 0..3 {
        send(&mut sink, "shop").await;
    }
    let mut session = source(&topic, "g").await;
    next(&mut session).await;
    native(&server.url()).await.delete_stream("backups").await.unwrap();
    let mut sink = topic.sink().open().await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(send(&mut sink, "shop").await);
    }
    // What was fetched may still come; then the loss, then the new stream from its beginning.
    let lost = loop {
        match soon(session.next()).await {
            Ok(record) => assert!(!keys.contains(&record.unwrap().key.unwrap())),
            Err(error) => break error,
        }
    };
    assert_eq!(lost.kind(), ErrorKind::Lost, "{lost}");
    for key in keys {
        assert_eq!(next(&mut session).await.key, Some(key));
    }
    nothing(&mut session).await;
}

async fn a_stream_that_is_gone_is_not_found_to_a_sink() {
    let server = Server::start().unwrap();
    let mut sink = topic(&server, "backups").sink().open().await.unwrap();
    native(&server.url()).await.delete_stream("backups").await.unwrap();
    let error = fails(SOON, ErrorKind::NotFound, sink.send(&event("shop"))).await;
    assert_eq!(error.delivery(), Delivery::NotSent);
}

async fn a_bucket_that_is_gone_is_trouble_to_a_commit_and_comes_back() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    send(&mut topic.sink().open().await.unwrap(), "shop").await;
    let mut session = source(&topic, "g").await;
    next(&mut session).await;
    native(&server.url()).await.delete_key_value("backups_positions").await.unwrap();
    for attempt in 0..2 {
        let error = match attempt {
            0 => fails(SOON, ErrorKind::Unavailable, session.commit()).await,
            _ => fails(SOON, ErrorKind::Unavailable, session.claim("shop")).await,
        };
        assert_eq!(error.cause(), Some(ErrorKind::NotFound), "{error}");
    }
    drop(source(&topic, "other").await);
    soon(session.commit()).await.unwrap();
    assert!(source(&topic, "g").await.resumed());
}

async fn a_full_stream_refuses_and_the_event_may_be_sent_again_later() {
    use async_nats::jetstream::stream::{Config, DiscardPolicy};
    let server = Server::start().unwrap();
    let config =
        Config { max_messages: 2, discard: DiscardPolicy::New, num_replicas: 1, ..Config::default() };
    let nats = Nats::new(server.url(), "backups").create_stream(CreateStream::native(config));
    let mut sink = nats.sink().open().await.unwrap();
    for _ in 0..2 {
        send(&mut sink, "shop").await;
    }
    let late = event("shop");
    let error = fails(SOON, ErrorKind::Unavailable, sink.send(&late)).await;
    assert!(error.message().contains("maximum messages exceeded"), "{error}");
    native(&server.url()).await.get_stream("backups").await.unwrap().purge().await.unwrap();
    soon(sink.send(&late)).await.unwrap();
    let mut session = source(&nats, "g").await;
    assert_eq!(next(&mut session).await.key, Some(late.key));
    nothing(&mut session).await;
}

async fn an_event_sent_twice_is_stored_once() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let event = event("shop");
    for _ in 0..2 {
        let mut sink = topic.sink().open().await.unwrap();
        soon(sink.send(&event)).await.unwrap();
        soon(sink.send(&event)).await.unwrap();
    }
    let mut session = source(&topic, "g").await;
    assert_eq!(next(&mut session).await.key, Some(event.key));
    nothing(&mut session).await;
}

async fn an_earlier_send_without_an_answer_never_comes_after_a_later_one() {
    let server = Server::start().unwrap();
    let (hole, other) =
        (Proxy::start(server.address()).await.unwrap(), Proxy::start(server.address()).await.unwrap());
    let both = format!("{},{}", hole.address(), other.address());
    let options =
        async_nats::ConnectOptions::new().retain_servers_order().ping_interval(Duration::from_millis(100));
    let nats = Nats::new(both, "backups").connect_options(options).create_stream(CreateStream::new(1));
    let nats = nats.open_timeout(Duration::from_secs(1));
    let mut sink = nats.sink().send_timeout(Duration::from_millis(500)).open().await.unwrap();
    let first = send(&mut sink, "shop").await;
    hole.black_hole();
    // It stays in the hole, on a connection that the client soon gives up for one past it.
    let early = event("shop");
    let error = fails(SOON, ErrorKind::Unavailable, sink.send(&early)).await;
    assert_eq!(error.delivery(), Delivery::Unknown);
    let late = event("shop");
    soon(async {
        while let Err(error) = sink.send(&late).await {
            assert!(error.is_transient(), "{error}");
            pause().await;
        }
    })
    .await;
    // Now it comes out.
    hole.heal();
    let mut session = source(&topic(&server, "backups"), "g").await;
    for key in [first, early.key, late.key] {
        assert_eq!(next(&mut session).await.key, Some(key));
    }
    nothing(&mut session).await;
}

async fn a_retry_knows_no_more_than_the_attempt_before_it() {
    let server = Server::start().unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let nats = Nats::new(proxy.address().to_string(), "backups").create_stream(CreateStream::new(1));
    let mut sink = nats.sink().send_timeout(Duration::from_millis(500)).open().await.unwrap();
    proxy.black_hole();
    let event = event("shop");
    let error = fails(SOON, ErrorKind::Unavailable, sink.send(&event)).await;
    assert_eq!(error.delivery(), Delivery::Unknown);
    proxy.cut();
    // This attempt is certain to have sent nothing, and that says nothing of the first one.
    let retried = soon(async {
        loop {
            let error = sink.send(&event).await.unwrap_err();
            if error.message().contains("no connection") {
                return error;
            }
            pause().await;
        }
    });
    assert_eq!(retried.await.delivery(), Delivery::Unknown);
    // Another event is not sent at all before the first one is settled.
    let error = fails(SOON, ErrorKind::Unavailable, sink.send(&support::event("shop"))).await;
    assert_eq!(error.delivery(), Delivery::NotSent);
}

async fn a_consumer_that_the_server_let_go_is_replaced_unnoticed() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    let mut session = source(&topic, "g").await;
    let stream = native(&server.url()).await.get_stream("backups").await.unwrap();
    for _ in 0..3 {
        let key = send(&mut sink, "shop").await;
        assert_eq!(next(&mut session).await.key, Some(key));
        let mut names = stream.consumer_names();
        let mut deleted = 0;
        while let Some(name) = futures_util::StreamExt::next(&mut names).await {
            stream.delete_consumer(&name.unwrap()).await.unwrap();
            deleted += 1;
        }
        assert_eq!(deleted, 1);
    }
    let key = send(&mut sink, "shop").await;
    assert_eq!(next(&mut session).await.key, Some(key));
    // A session that is closed leaves none behind.
    session.close().await.unwrap();
    let info = soon(async {
        loop {
            let info = stream.get_info().await.unwrap();
            if info.state.consumer_count == 0 {
                return info;
            }
        }
    });
    info.await;
}

async fn a_server_that_stops_answering_is_unavailable_in_bounded_time() {
    let server = Server::start().unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let topic = Nats::new(proxy.address().to_string(), "backups").create_stream(CreateStream::new(1));
    let mut sink = topic.sink().send_timeout(Duration::from_secs(1)).open().await.unwrap();
    let key = send(&mut sink, "shop").await;
    let mut session = source(&topic, "g").await;
    assert_eq!(next(&mut session).await.key, Some(key));
    proxy.black_hole();
    fails(SOON, ErrorKind::Unavailable, session.next()).await;
    fails(SOON, ErrorKind::Unavailable, session.next()).await;
    fails(SOON, ErrorKind::Unavailable, session.commit()).await;
    fails(SOON, ErrorKind::Unavailable, session.remaining()).await;
    let unanswered = event("shop");
    let error = fails(SOON, ErrorKind::Unavailable, sink.send(&unanswered)).await;
    assert_eq!(error.delivery(), Delivery::Unknown);
    proxy.cut();
    // The client notices the cut by itself, and from then on every answer comes at once.
    let disconnected = soon(async {
        loop {
            let error = sink.send(&event("shop")).await.unwrap_err();
            if error.delivery() == Delivery::NotSent && error.message().contains("no connection") {
                return;
            }
            pause().await;
        }
    });
    disconnected.await;
    fails(Duration::from_millis(500), ErrorKind::Unavailable, session.next()).await;
    proxy.heal();
    let last = event("shop");
    soon(async {
        while sink.send(&last).await.is_err() {
            pause().await;
        }
    })
    .await;
    let mut keys: Vec<Uuid> = Vec::new();
    while keys.last() != Some(&last.key) {
        keys.push(next_at_last(&mut session).await.key.unwrap());
    }
    // The event without an answer once at most; those of which it was certain, never.
    keys.retain(|key| *key != unanswered.key);
    assert_eq!(keys, [last.key]);
}

async fn a_delay_only_delays() {
    let server = Server::start().unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let topic = Nats::new(proxy.address().to_string(), "backups").create_stream(CreateStream::new(1));
    proxy.delay(Duration::from_millis(50));
    let mut sink = topic.sink().open().await.unwrap();
    let mut session = source(&topic, "g").await;
    for _ in 0..5 {
        let key = send(&mut sink, "shop").await;
        assert_eq!(next(&mut session).await.key, Some(key));
        session.commit().await.unwrap();
    }
    proxy.heal();
    assert!(source(&topic, "g").await.resumed());
}

/// The client library ends the connection over a header line without a colon, each time that it comes.
async fn a_message_that_the_client_cannot_read_is_no_dead_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    let first = send(&mut sink, "shop").await;
    let mut raw = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let headers = "NATS/1.0\r\nno colon\r\n\r\n";
    let text = format!(
        "CONNECT {{\"verbose\":false,\"headers\":true}}\r\nHPUB backups.shop {} {}\r\n{headers}poison\r\nPING\r\n",
        headers.len(),
        headers.len() + 6
    );
    raw.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("PONG") {
        let mut bytes = [0; 1024];
        let length = raw.read(&mut bytes).await.unwrap();
        answer += &String::from_utf8_lossy(&bytes[..length]);
    }
    let last = Event::new(Uuid::new_v4(), "shop", "after");
    soon(sink.send(&last)).await.unwrap();
    let mut session = source(&topic, "g").await;
    assert_eq!(next_at_last(&mut session).await.key, Some(first));
    let poison = next_at_last(&mut session).await;
    assert_eq!((poison.key, poison.payload.as_deref()), (None, Some(&b"poison"[..])));
    assert_eq!(next_at_last(&mut session).await.key, Some(last.key));
}
