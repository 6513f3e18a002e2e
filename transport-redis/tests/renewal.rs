//! K7: secrets are read again for every connection.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backup_tracker::{ErrorKind, EventSource, Secret, Sink};
use backup_tracker_redis::{Redis, RedisSink, RedisSource};
use support::{Bench, GROUP, PATIENCE, TOPIC, answer, events, expect, tests};

tests![
    a_url_in_a_file_is_read_again_for_every_connection,
    a_password_in_a_file_is_read_again_for_every_connection,
    a_user_and_a_password_from_the_program_are_asked_for_with_every_connection,
    a_permission_that_only_the_new_user_has_is_found_without_a_cut,
    a_file_that_is_missing_for_a_while_is_trouble_in_a_session,
];

async fn user(bench: &Bench, name: &str, password: &str) {
    let password = format!(">{password}");
    let () = bench.ask(&["ACL", "SETUSER", name, "reset", "on", &password, "~*", "+@all"]).await;
}

async fn kick(bench: &Bench, name: &str) {
    let _: u64 = bench.ask(&["CLIENT", "KILL", "USER", name]).await;
}

/// Sends and reads one event, after whatever trouble.
async fn works(sink: &mut RedisSink, source: &mut RedisSource) {
    let event = &events(1)[0];
    let working = async {
        while let Err(error) = sink.send(event).await {
            assert_ne!(error.kind(), ErrorKind::Config, "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        loop {
            match source.next().await {
                Ok(record) => return record.unwrap(),
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    };
    let record = tokio::time::timeout(PATIENCE, working).await.unwrap();
    assert_eq!(record.key, Some(event.key));
    source.commit().await.unwrap();
}

async fn opened(redis: &Redis) -> (RedisSink, RedisSource) {
    (redis.sink().open().await.unwrap(), redis.source(GROUP).open().await.unwrap())
}

fn write(path: &Path, text: &str) {
    // As whoever renews a secret does, so that nobody reads half of it.
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(fresh, path).unwrap();
}

async fn a_url_in_a_file_is_read_again_for_every_connection() {
    let bench = Bench::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    let url = |password: &str| format!("redis://service:{password}@{}\n", bench.server.address());
    user(&bench, "service", "one").await;
    write(&path, &url("one"));
    let (mut sink, mut source) = opened(&Redis::new(Secret::file(&path), TOPIC).create_stream()).await;
    works(&mut sink, &mut source).await;
    for password in ["two", "three"] {
        user(&bench, "service", password).await;
        write(&path, &url(password));
        kick(&bench, "service").await;
        works(&mut sink, &mut source).await;
    }
}

async fn a_password_in_a_file_is_read_again_for_every_connection() {
    let bench = Bench::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    user(&bench, "service", "one").await;
    write(&path, "one");
    let redis = bench.redis().user("service").password(Secret::file(&path));
    let (mut sink, mut source) = opened(&redis).await;
    works(&mut sink, &mut source).await;
    user(&bench, "service", "two").await;
    kick(&bench, "service").await;
    // Before the file is renewed, nothing works.
    while answer(&mut source).await.unwrap_err().cause() != Some(ErrorKind::Denied) {}
    write(&path, "two");
    works(&mut sink, &mut source).await;
}

async fn a_user_and_a_password_from_the_program_are_asked_for_with_every_connection() {
    let bench = Bench::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    for name in ["service-0", "service-1"] {
        user(&bench, name, name).await;
    }
    let name = {
        let asked = Arc::clone(&asked);
        Secret::from_fn(move || Ok(format!("service-{}", asked.load(Ordering::Relaxed))))
    };
    let redis = bench.redis().user(name.clone()).password(name);
    let (mut sink, mut source) = opened(&redis).await;
    works(&mut sink, &mut source).await;
    asked.store(1, Ordering::Relaxed);
    let _: u64 = bench.ask(&["ACL", "DELUSER", "service-0"]).await;
    works(&mut sink, &mut source).await;
}

async fn a_permission_that_only_the_new_user_has_is_found_without_a_cut() {
    let bench = Bench::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    let url = |user: &str| format!("redis://{user}:secret@{}", bench.server.address());
    user(&bench, "old", "secret").await;
    user(&bench, "new", "secret").await;
    write(&path, &url("old"));
    let (mut sink, mut source) = opened(&Redis::new(Secret::file(&path), TOPIC).create_stream()).await;
    works(&mut sink, &mut source).await;
    let () = bench.ask(&["ACL", "SETUSER", "old", "-@all"]).await;
    while answer(&mut source).await.unwrap_err().cause() != Some(ErrorKind::Denied) {}
    write(&path, &url("new"));
    works(&mut sink, &mut source).await;
}

async fn a_file_that_is_missing_for_a_while_is_trouble_in_a_session() {
    let bench = Bench::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    let redis = Redis::new(Secret::file(&path), TOPIC).create_stream();
    let error = redis.source(GROUP).open().await.unwrap_err();
    assert!(error.message().contains("url` cannot be read"), "{error}");
    write(&path, &bench.server.url());
    let (mut sink, mut source) = opened(&redis).await;
    works(&mut sink, &mut source).await;
    std::fs::write(&path, "nonsense").unwrap();
    kick(&bench, "default").await;
    while answer(&mut source).await.unwrap_err().cause() != Some(ErrorKind::Config) {}
    std::fs::remove_file(&path).unwrap();
    assert!(answer(&mut source).await.unwrap_err().is_transient());
    write(&path, &bench.server.url());
    works(&mut sink, &mut source).await;
    let sent = events(1);
    sink.send(&sent[0]).await.unwrap();
    expect(&mut source, &sent).await;
}
