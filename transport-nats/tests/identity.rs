//! A position is a place in a log that has an identity (S12).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use backup_tracker::{ErrorKind, EventSource, StartAt};
use backup_tracker_nats::{Nats, NatsSource};
use backup_tracker_test_servers::Nats as Server;
use support::{SOON, cases, fails, native, next, next_at_last, nothing, pause, send, soon, source, topic};
use uuid::Uuid;

cases! {
    a_tail_that_was_lost_and_written_again_is_lost_to_the_next_session,
    a_tail_that_was_lost_and_written_again_is_lost_to_a_live_session,
    a_commit_after_a_lost_tail_moves_the_position_back_into_the_log,
    a_stream_whose_creation_time_changed_is_the_same_as_long_as_its_record_is_there,
    an_edit_between_restarts_is_no_loss,
    a_slow_replica_moves_nothing_back_though_the_creation_time_changed,
    a_position_of_an_earlier_version_falls_back_on_the_creation_time,
    a_start_at_the_latest_knows_its_record,
    records_that_were_deleted_at_the_position_are_not_missed,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The events of a topic, and a copy of its stream as it was in between.
struct Store {
    server: Server,
    topic: Nats,
}

impl Store {
    fn start() -> Self {
        let server = Server::start().unwrap();
        let topic = topic(&server, "backups");
        Self { server, topic }
    }

    async fn send(&self, count: usize) -> Vec<Uuid> {
        let mut sink = self.topic.sink().open().await.unwrap();
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(send(&mut sink, "shop").await);
        }
        keys
    }

    /// The folder of the stream, and where its copy is.
    fn folders(&self) -> [std::path::PathBuf; 2] {
        let folder = self.server.folder();
        [folder.join("jetstream/jetstream/$G/streams/backups"), folder.join("copy")]
    }

    /// Stops the server, and copies the stream.
    fn save(&mut self) {
        let [stream, saved] = self.folders();
        self.server.stop().unwrap();
        copy(&stream, &saved);
        self.server.restart().unwrap();
    }

    /// Puts the copy back, and writes so many other events behind it before anybody reads.
    async fn restore(&mut self, others: usize) -> Vec<Uuid> {
        let [stream, saved] = self.folders();
        self.server.stop().unwrap();
        std::fs::remove_dir_all(&stream).unwrap();
        copy(&saved, &stream);
        self.server.restart().unwrap();
        self.send(others).await
    }

    async fn read(&self, session: &mut NatsSource, keys: &[Uuid]) {
        for key in keys {
            assert_eq!(next_at_last(session).await.key, Some(*key));
        }
    }
}

/// The next answer that is not trouble must be `Lost`.
async fn is_lost(session: &mut NatsSource) {
    let error = soon(async {
        loop {
            match session.next().await {
                Err(error) if error.is_transient() => pause().await,
                Err(error) => return error,
                Ok(record) => panic!("{record:?}"),
            }
        }
    });
    assert_eq!(error.await.kind(), ErrorKind::Lost);
    assert!(!session.resumed());
}

async fn a_tail_that_was_lost_and_written_again_is_lost_to_the_next_session() {
    for others in [3, 5] {
        let mut store = Store::start();
        let mut all = store.send(2).await;
        store.save();
        let lost = store.send(3).await;
        let mut session = source(&store.topic, "g").await;
        store.read(&mut session, &all).await;
        store.read(&mut session, &lost).await;
        session.commit().await.unwrap();
        drop(session);
        // As long as before, or longer, and created at the same time.
        all.extend(store.restore(others).await);
        let mut session = source(&store.topic, "g").await;
        is_lost(&mut session).await;
        store.read(&mut session, &all).await;
        nothing(&mut session).await;
        session.commit().await.unwrap();
        let mut session = source(&store.topic, "g").await;
        assert!(session.resumed());
        nothing(&mut session).await;
    }
}

async fn a_tail_that_was_lost_and_written_again_is_lost_to_a_live_session() {
    for others in [3, 5] {
        let mut store = Store::start();
        let mut all = store.send(2).await;
        store.save();
        let lost = store.send(3).await;
        let mut session = source(&store.topic, "g").await;
        store.read(&mut session, &all).await;
        store.read(&mut session, &lost).await;
        all.extend(store.restore(others).await);
        is_lost(&mut session).await;
        store.read(&mut session, &all).await;
        nothing(&mut session).await;
    }
}

async fn a_commit_after_a_lost_tail_moves_the_position_back_into_the_log() {
    let mut store = Store::start();
    let kept = store.send(2).await;
    store.save();
    let lost = store.send(5).await;
    let mut session = source(&store.topic, "g").await;
    store.read(&mut session, &kept).await;
    store.read(&mut session, &lost).await;
    session.commit().await.unwrap();
    drop(session);
    let new = store.restore(1).await;
    let mut session = source(&store.topic, "g").await;
    is_lost(&mut session).await;
    store.read(&mut session, &kept).await;
    session.commit().await.unwrap();
    // Said once: the next session resumes.
    let mut session = source(&store.topic, "g").await;
    assert!(session.resumed());
    store.read(&mut session, &new).await;
}

/// As if the server had changed the stream's creation time: the position names another one.
async fn age(store: &Store, group: &str) {
    let bucket = native(&store.server.url()).await.get_key_value("backups_positions").await.unwrap();
    let key = format!("backups.{group}");
    let value = bucket.get(&*key).await.unwrap().unwrap();
    let mut value: serde_json::Value = serde_json::from_slice(&value).unwrap();
    value["stream_created"] = "2020-01-02T03:04:05.678901234Z".into();
    bucket.put(&*key, value.to_string().into()).await.unwrap();
}

async fn a_stream_whose_creation_time_changed_is_the_same_as_long_as_its_record_is_there() {
    let store = Store::start();
    let keys = store.send(3).await;
    let mut session = source(&store.topic, "g").await;
    store.read(&mut session, &keys[..2]).await;
    session.commit().await.unwrap();
    drop(session);
    age(&store, "g").await;
    let position = store.topic.inspect(Some("g")).await.unwrap().group.unwrap().unwrap().unwrap();
    assert_eq!(position.lost, None);
    let mut session = source(&store.topic, "g").await;
    assert!(session.resumed());
    store.read(&mut session, &keys[2..]).await;
    nothing(&mut session).await;
    // The commit moves it, and notes the time that the stream has now.
    session.commit().await.unwrap();
    let found = store.topic.inspect(Some("g")).await.unwrap();
    let position = found.group.unwrap().unwrap().unwrap();
    assert_eq!((position.sequence, position.stream_created), (3, found.stream.unwrap().created));
    // A stream that was really created anew has another record there.
    age(&store, "g").await;
    native(&store.server.url()).await.delete_stream("backups").await.unwrap();
    let keys = store.send(5).await;
    let position = store.topic.inspect(Some("g")).await.unwrap().group.unwrap().unwrap().unwrap();
    assert!(position.lost.unwrap().contains("created anew"));
    let mut session = source(&store.topic, "g").await;
    is_lost(&mut session).await;
    store.read(&mut session, &keys).await;
}

/// Servers 2.10 to 2.12 change the stream's creation time then.
async fn an_edit_between_restarts_is_no_loss() {
    let mut store = Store::start();
    let mut keys = store.send(3).await;
    let (mut live, mut session) = (source(&store.topic, "live").await, source(&store.topic, "g").await);
    store.read(&mut live, &keys).await;
    store.read(&mut session, &keys[..2]).await;
    session.commit().await.unwrap();
    drop(session);
    for hours in 1..3 {
        store.server.stop().unwrap();
        store.server.restart().unwrap();
        let context = native(&store.server.url()).await;
        let mut config = context.get_stream("backups").await.unwrap().cached_info().config.clone();
        config.max_age = Duration::from_secs(hours * 3600);
        context.update_stream(config).await.unwrap();
    }
    store.server.stop().unwrap();
    store.server.restart().unwrap();
    let mut session = source(&store.topic, "g").await;
    assert!(session.resumed());
    store.read(&mut session, &keys[2..]).await;
    keys.extend(store.send(1).await);
    for session in [&mut live, &mut session] {
        store.read(session, &keys[3..]).await;
        session.commit().await.unwrap();
    }
    let found = store.topic.inspect(Some("g")).await.unwrap();
    let position = found.group.unwrap().unwrap().unwrap();
    assert_eq!((position.sequence, position.lost), (4, None));
}

async fn a_slow_replica_moves_nothing_back_though_the_creation_time_changed() {
    let store = Store::start();
    let keys = store.send(3).await;
    let (mut fast, mut slow) = (source(&store.topic, "g").await, source(&store.topic, "g").await);
    store.read(&mut fast, &keys).await;
    fast.commit().await.unwrap();
    age(&store, "g").await;
    store.read(&mut slow, &keys[..1]).await;
    slow.commit().await.unwrap();
    let position = store.topic.inspect(Some("g")).await.unwrap().group.unwrap().unwrap().unwrap();
    assert_eq!(position.sequence, 3);
}

async fn a_position_of_an_earlier_version_falls_back_on_the_creation_time() {
    let store = Store::start();
    let keys = store.send(3).await;
    drop(source(&store.topic, "g").await);
    let created = store.topic.inspect(None).await.unwrap().stream.unwrap().created;
    let bucket = native(&store.server.url()).await.get_key_value("backups_positions").await.unwrap();
    for (created, same) in [(&*created, true), ("2020-01-02T03:04:05Z", false)] {
        let value = format!(r#"{{"stream_created":"{created}","sequence":2,"committed":true}}"#);
        bucket.put("backups.g", value.into()).await.unwrap();
        let mut session = source(&store.topic, "g").await;
        assert_eq!(session.resumed(), same);
        if same {
            store.read(&mut session, &keys[2..]).await;
        } else {
            is_lost(&mut session).await;
            store.read(&mut session, &keys).await;
        }
    }
}

async fn a_start_at_the_latest_knows_its_record() {
    let mut store = Store::start();
    let mut all = store.send(1).await;
    store.save();
    store.send(2).await;
    let builder = store.topic.source("g").start(StartAt::Latest).contact_time(Duration::from_secs(2));
    drop(builder.open().await.unwrap());
    all.extend(store.restore(4).await);
    let mut session = source(&store.topic, "g").await;
    fails(SOON, ErrorKind::Lost, session.next()).await;
    store.read(&mut session, &all).await;
}

async fn records_that_were_deleted_at_the_position_are_not_missed() {
    let store = Store::start();
    let keys = store.send(3).await;
    let mut session = source(&store.topic, "g").await;
    store.read(&mut session, &keys[..2]).await;
    session.commit().await.unwrap();
    drop(session);
    let stream = native(&store.server.url()).await.get_stream("backups").await.unwrap();
    stream.delete_message(2).await.unwrap();
    let mut session = source(&store.topic, "g").await;
    assert!(session.resumed());
    assert_eq!(next(&mut session).await.key, Some(keys[2]));
    // Everything up to the position was trimmed.
    session.commit().await.unwrap();
    stream.purge().await.unwrap();
    let mut session = source(&store.topic, "g").await;
    assert!(session.resumed());
    nothing(&mut session).await;
    let keys = store.send(1).await;
    store.read(&mut session, &keys).await;
}
