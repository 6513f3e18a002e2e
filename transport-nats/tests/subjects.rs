//! Applications, topics and groups of any name; and what else may be in a stream.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use async_nats::jetstream::stream::Config;
use backup_tracker::{EventSource, Sink};
use backup_tracker_nats::{async_nats, token_of};
use backup_tracker_test_servers::Nats as Server;
use support::{cases, event, native, next, nothing, send, topic};

cases! {
    every_application_has_a_subject_of_its_own,
    every_group_has_a_position_of_its_own,
    a_source_of_one_application_gets_nothing_else,
    a_source_of_one_application_is_not_disturbed_when_others_events_are_trimmed,
    topics_of_several_parts_live_side_by_side,
    what_else_the_stream_captures_is_left_alone,
    deleted_messages_leave_gaps_that_nobody_minds,
    several_topics_may_share_a_bucket,
}

const NAMES: [&str; 10] =
    ["shop", "a.b", "*", ">", "a.*.>", " blanks ", "Bücherei", "倉庫", "=2E", "line\r\nbreak"];

async fn every_application_has_a_subject_of_its_own() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    let mut sent = Vec::new();
    for name in NAMES {
        sent.push(send(&mut sink, name).await);
    }
    let mut source = topic.source("g").open().await.unwrap();
    for key in sent {
        assert_eq!(next(&mut source).await.key, Some(key));
    }
    let stream = native(&server.url()).await.get_stream("backups").await.unwrap();
    for name in NAMES {
        let subject = format!("backups.{}", token_of(name));
        let message = stream.get_last_raw_message_by_subject(&subject).await.unwrap();
        assert_eq!(message.subject.as_str(), subject);
    }
    // Too long for a subject: refused, and the connection lives on.
    let error = sink.send(&event(&"ü".repeat(1000))).await.unwrap_err();
    assert_eq!(error.kind(), backup_tracker::ErrorKind::Rejected);
    send(&mut sink, "shop").await;
}

async fn every_group_has_a_position_of_its_own() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    for _ in NAMES {
        send(&mut sink, "shop").await;
    }
    for (number, name) in NAMES.iter().enumerate() {
        let mut source = topic.source(*name).open().await.unwrap();
        for _ in 0..=number {
            next(&mut source).await;
        }
        source.commit().await.unwrap();
    }
    for (number, name) in NAMES.iter().enumerate() {
        let mut source = topic.source(*name).open().await.unwrap();
        assert!(source.resumed(), "{name}");
        assert_eq!(source.remaining().await.unwrap().total(), (NAMES.len() - number - 1) as u64, "{name}");
    }
}

async fn a_source_of_one_application_gets_nothing_else() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    let open = || topic.source("only").only_application("a.b").open();
    let mut source = open().await.unwrap();
    for _ in 0..3 {
        send(&mut sink, "a").await;
        let ours = send(&mut sink, "a.b").await;
        send(&mut sink, "b").await;
        assert!(source.remaining().await.unwrap().total() >= 1);
        assert_eq!(next(&mut source).await.key, Some(ours));
        // Events of others come after it, and still nothing remains.
        assert_eq!(source.remaining().await.unwrap().total(), 0);
        nothing(&mut source).await;
        source.commit().await.unwrap();
        source = open().await.unwrap();
        assert!(source.resumed());
        assert_eq!(source.remaining().await.unwrap().total(), 0);
    }
}

async fn a_source_of_one_application_is_not_disturbed_when_others_events_are_trimmed() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    send(&mut sink, "ours").await;
    let mut source = topic.source("only").only_application("ours").open().await.unwrap();
    next(&mut source).await;
    for _ in 0..5 {
        send(&mut sink, "other").await;
    }
    // Everything that the commit covers, and others' events that came since, may be trimmed.
    source.commit().await.unwrap();
    drop(source);
    let stream = native(&server.url()).await.get_stream("backups").await.unwrap();
    stream.purge().await.unwrap();
    let ours = send(&mut sink, "ours").await;
    let mut source = topic.source("only").only_application("ours").open().await.unwrap();
    assert!(source.resumed());
    assert_eq!(next(&mut source).await.key, Some(ours));
}

async fn topics_of_several_parts_live_side_by_side() {
    let server = Server::start().unwrap();
    let (outer, inner) = (topic(&server, "backups"), topic(&server, "backups.eu"));
    let (mut one, mut other) = (outer.sink().open().await.unwrap(), inner.sink().open().await.unwrap());
    let (in_outer, in_inner) = (send(&mut one, "eu").await, send(&mut other, "shop").await);
    for (topic, key) in [(outer, in_outer), (inner, in_inner)] {
        let mut source = topic.source("g").open().await.unwrap();
        assert_eq!(next(&mut source).await.key, Some(key));
        nothing(&mut source).await;
    }
}

async fn what_else_the_stream_captures_is_left_alone() {
    let server = Server::start().unwrap();
    let context = native(&server.url()).await;
    let subjects = vec!["backups.>".to_owned(), "orders".to_owned()];
    let config = Config { name: "everything".to_owned(), subjects, ..Config::default() };
    context.create_stream(config).await.unwrap();
    let publish = async |subject: &'static str| {
        context.publish(subject, "foreign".into()).await.unwrap().await.unwrap();
    };
    let topic = topic(&server, "backups").stream("everything");
    let mut sink = topic.sink().open().await.unwrap();
    publish("orders").await;
    let first = send(&mut sink, "shop").await;
    publish("backups.shop.deeper").await;
    // Under an application's subject, so it is a record, if a foreign one.
    publish("backups.shop").await;
    let second = send(&mut sink, "shop").await;
    publish("orders").await;

    let mut source = topic.source("g").open().await.unwrap();
    assert_eq!(next(&mut source).await.key, Some(first));
    let foreign = next(&mut source).await;
    assert_eq!((foreign.key, foreign.payload.as_deref()), (None, Some(&b"foreign"[..])));
    assert_eq!(next(&mut source).await.key, Some(second));
    nothing(&mut source).await;
    assert_eq!(source.remaining().await.unwrap().total(), 0);
}

async fn deleted_messages_leave_gaps_that_nobody_minds() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..6 {
        keys.push(send(&mut sink, "shop").await);
    }
    let stream = native(&server.url()).await.get_stream("backups").await.unwrap();
    for sequence in [3, 4, 6] {
        stream.delete_message(sequence).await.unwrap();
    }
    let mut source = topic.source("g").open().await.unwrap();
    for number in [0, 1, 4] {
        assert_eq!(next(&mut source).await.key, Some(keys[number]));
    }
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    nothing(&mut source).await;
    source.commit().await.unwrap();
    let source = topic.source("g").open().await.unwrap();
    assert!(source.resumed());
}

async fn several_topics_may_share_a_bucket() {
    let server = Server::start().unwrap();
    let mut topics = Vec::new();
    // The default names of the streams are the same, so they must be named.
    for (number, name) in ["a.b", "a_b"].into_iter().enumerate() {
        let topic = topic(&server, name).stream(format!("stream-{number}")).positions_bucket("positions");
        let mut sink = topic.sink().open().await.unwrap();
        send(&mut sink, "shop").await;
        topics.push(topic);
    }
    let mut source = topics[0].source("g").open().await.unwrap();
    next(&mut source).await;
    source.commit().await.unwrap();
    assert!(topics[0].source("g").open().await.unwrap().resumed());
    assert!(!topics[1].source("g").open().await.unwrap().resumed());
}
