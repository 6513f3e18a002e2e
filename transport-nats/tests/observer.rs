//! A source without a group sees everything, and nobody sees that it was there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use async_nats::jetstream::Context;
use backup_tracker::{ErrorKind, EventSource, StartAt};
use backup_tracker_nats::{Nats, NatsSource, async_nats};
use backup_tracker_test_servers::Nats as Server;
use futures_util::TryStreamExt;
use support::{SOON, cases, fails, native, next, next_at_last, nothing, pause, send, soon, topic};
use uuid::Uuid;

cases! {
    an_observer_reads_everything_and_follows_and_leaves_nothing_behind,
    an_observer_at_the_latest_begins_behind_the_end,
    an_observer_of_one_application_gets_nothing_else,
    an_observer_creates_neither_stream_nor_bucket,
    an_observer_and_a_group_do_not_notice_each_other,
    a_purge_before_an_observer_is_lost_once,
    a_stream_that_is_recreated_under_an_observer_is_lost_once_however_long_it_is,
    an_observer_goes_on_after_a_restart_of_the_server,
}

async fn observer(topic: &Nats, start: StartAt) -> NatsSource {
    topic.observer().start(start).open().await.unwrap()
}

async fn reads(source: &mut NatsSource, keys: &[Uuid]) {
    for key in keys {
        assert_eq!(next(source).await.key, Some(*key));
    }
}

/// Sends so many events, and leaves nothing but them.
async fn append(topic: &Nats, count: usize) -> Vec<Uuid> {
    let mut sink = topic.sink().open().await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(send(&mut sink, "shop").await);
    }
    keys
}

/// The server holds the topic's stream and nothing else: no bucket, and so no position.
async fn untouched(context: &Context) {
    let streams: Vec<String> = context.stream_names().try_collect().await.unwrap();
    assert_eq!(streams, ["backups"]);
}

/// The stream has no consumer, at the latest when the server has got round to a farewell.
async fn without_consumers(context: &Context) {
    let stream = context.get_stream("backups").await.unwrap();
    soon(async {
        while stream.get_info().await.unwrap().state.consumer_count > 0 {
            pause().await;
        }
    })
    .await;
}

async fn an_observer_reads_everything_and_follows_and_leaves_nothing_behind() {
    let server = Server::start().unwrap();
    let (topic, context) = (topic(&server, "backups"), native(&server.url()).await);
    let first = append(&topic, 5).await;
    let mut source = observer(&topic, StartAt::Earliest).await;
    assert_eq!(source.remaining().await.unwrap().total(), 5);
    reads(&mut source, &first).await;
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    nothing(&mut source).await;
    let later = append(&topic, 3).await;
    assert_eq!(source.remaining().await.unwrap().total(), 3);
    reads(&mut source, &later).await;
    source.commit().await.unwrap();
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    untouched(&context).await;
    source.close().await.unwrap();
    untouched(&context).await;
    without_consumers(&context).await;

    // What was committed is forgotten with the session.
    let mut source = observer(&topic, StartAt::Earliest).await;
    assert!(!source.resumed());
    reads(&mut source, &first).await;
}

async fn an_observer_at_the_latest_begins_behind_the_end() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    append(&topic, 3).await;
    let mut source = observer(&topic, StartAt::Latest).await;
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    let later = append(&topic, 2).await;
    reads(&mut source, &later).await;
    nothing(&mut source).await;
}

async fn an_observer_of_one_application_gets_nothing_else() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut sink = topic.sink().open().await.unwrap();
    send(&mut sink, "other").await;
    let ours = send(&mut sink, "shop").await;
    send(&mut sink, "other").await;
    let mut source = topic.observer().only_application("shop").open().await.unwrap();
    reads(&mut source, &[ours]).await;
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    nothing(&mut source).await;
}

async fn an_observer_creates_neither_stream_nor_bucket() {
    let server = Server::start().unwrap();
    // The topic is one to be created when it is missing.
    fails(SOON, ErrorKind::NotFound, topic(&server, "backups").observer().open()).await;
    let streams: Vec<String> = native(&server.url()).await.stream_names().try_collect().await.unwrap();
    assert!(streams.is_empty(), "{streams:?}");
}

async fn an_observer_and_a_group_do_not_notice_each_other() {
    let server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let mut group = topic.source("g").open().await.unwrap();
    let sent = append(&topic, 4).await;
    reads(&mut group, &sent[..2]).await;
    group.commit().await.unwrap();
    let context = native(&server.url()).await;
    let entries = || async {
        let bucket = context.get_stream("KV_backups_positions").await.unwrap();
        bucket.get_info().await.unwrap().state.last_sequence
    };
    let before = entries().await;
    for _ in 0..2 {
        let mut source = observer(&topic, StartAt::Earliest).await;
        reads(&mut source, &sent).await;
        source.commit().await.unwrap();
    }
    assert_eq!(entries().await, before, "nothing was written to the bucket");
    drop(group);
    let mut group = topic.source("g").open().await.unwrap();
    assert!(group.resumed());
    reads(&mut group, &sent[2..]).await;
}

async fn a_purge_before_an_observer_is_lost_once() {
    let server = Server::start().unwrap();
    let (topic, context) = (topic(&server, "backups"), native(&server.url()).await);
    append(&topic, 3).await;
    let mut source = observer(&topic, StartAt::Latest).await;
    append(&topic, 2).await;
    let stream = context.get_stream("backups").await.unwrap();
    stream.purge().await.unwrap();
    let later = append(&topic, 2).await;
    let error = fails(SOON, ErrorKind::Lost, source.next()).await;
    assert_eq!((error.topic(), error.group()), (Some("backups"), None));
    reads(&mut source, &later).await;
    nothing(&mut source).await;
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    untouched(&context).await;
}

async fn a_stream_that_is_recreated_under_an_observer_is_lost_once_however_long_it_is() {
    for count in [1, 3, 7] {
        let server = Server::start().unwrap();
        let (topic, context) = (topic(&server, "backups"), native(&server.url()).await);
        let first = append(&topic, 3).await;
        let mut source = observer(&topic, StartAt::Earliest).await;
        reads(&mut source, &first).await;
        context.delete_stream("backups").await.unwrap();
        let new = append(&topic, count).await;
        fails(SOON, ErrorKind::Lost, source.next()).await;
        source.commit().await.unwrap();
        reads(&mut source, &new).await;
        nothing(&mut source).await;
        assert_eq!(source.remaining().await.unwrap().total(), 0);
        untouched(&context).await;
    }
}

async fn an_observer_goes_on_after_a_restart_of_the_server() {
    let mut server = Server::start().unwrap();
    let topic = topic(&server, "backups");
    let first = append(&topic, 3).await;
    let mut source = observer(&topic, StartAt::Earliest).await;
    reads(&mut source, &first).await;
    server.kill().unwrap();
    assert!(soon(source.next()).await.unwrap_err().is_transient());
    source.commit().await.unwrap();
    server.restart().unwrap();
    let later = append(&topic, 1).await;
    assert_eq!(next_at_last(&mut source).await.key, Some(later[0]));
    nothing(&mut source).await;
    untouched(&native(&server.url()).await).await;
}
