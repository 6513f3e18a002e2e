//! What opening refuses, and what a stream may hold besides our entries: a clear answer in time, and never a panic.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::time::{Duration, Instant};

use backup_tracker::{
    BackupState, BackupTracker, BoxError, ErrorKind, EventSource, Result, SecondaryBackupTracker, Sink,
    StartAt, WireFormat,
};
use backup_tracker_redis::{Redis, redis};
use support::{Bench, GROUP, PATIENCE, TOPIC, answer, ask, events, expect, tests};

tests![
    a_missing_stream_is_not_found_and_the_error_says_how_to_create_it,
    a_stream_that_goes_missing_under_a_sink_is_not_found,
    a_missing_stream_is_created_if_asked,
    a_key_that_is_no_stream_is_a_wrong_setting,
    a_host_that_refuses_is_unavailable,
    a_host_that_does_not_answer_is_unavailable_within_the_timeout,
    a_host_that_does_not_exist_is_unavailable_within_the_timeout,
    a_server_that_speaks_something_else_is_refused,
    a_server_that_is_too_old_is_refused,
    wrong_settings_are_named,
    foreign_entries_are_skipped_and_counted,
    native_settings_are_taken_as_they_are,
    any_time_limit_may_be_set,
];

const SHORT: Duration = Duration::from_millis(500);

async fn refused(redis: &Redis, kind: ErrorKind, word: &str) {
    let results: [Result<()>; 2] =
        [redis.sink().open().await.map(drop), redis.source(GROUP).open().await.map(drop)];
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

async fn a_missing_stream_is_not_found_and_the_error_says_how_to_create_it() {
    let bench = Bench::start().await;
    let redis = Redis::new(bench.server.url(), TOPIC);
    refused(&redis, ErrorKind::NotFound, "MKSTREAM").await;
    let keys: u64 = bench.ask(&["EXISTS", TOPIC]).await;
    assert_eq!(keys, 0);
}

async fn a_stream_that_goes_missing_under_a_sink_is_not_found() {
    let bench = Bench::start().await;
    let () = bench.ask(&["XGROUP", "CREATE", TOPIC, "g", "$", "MKSTREAM"]).await;
    let mut sink = Redis::new(bench.server.url(), TOPIC).sink().open().await.unwrap();
    let sent = events(2);
    sink.send(&sent[0]).await.unwrap();
    let _: u64 = bench.ask(&["DEL", TOPIC]).await;
    let error = sink.send(&sent[1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.delivery(), backup_tracker::Delivery::NotSent);
}

async fn a_missing_stream_is_created_if_asked() {
    let bench = Bench::start().await;
    let mut source = bench.redis().source(GROUP).start(StartAt::Latest).open().await.unwrap();
    let mut sink = bench.redis().sink().open().await.unwrap();
    assert_eq!(sink.wire_format(), WireFormat::Cbor);
    let sent = events(1);
    sink.send(&sent[0]).await.unwrap();
    expect(&mut source, &sent).await;
}

async fn a_key_that_is_no_stream_is_a_wrong_setting() {
    let bench = Bench::start().await;
    let () = bench.ask(&["SET", TOPIC, "a string"]).await;
    refused(&bench.redis(), ErrorKind::Config, "WRONGTYPE").await;
    refused(&Redis::new(bench.server.url(), TOPIC), ErrorKind::Config, "WRONGTYPE").await;
    // The stream is one, and what is to stand beside it is not ours.
    let () = bench.ask(&["DEL", TOPIC]).await;
    let () = bench.ask(&["SET", "backups:backup-tracker", "a string"]).await;
    refused(&bench.redis(), ErrorKind::Config, "WRONGTYPE").await;
}

async fn a_host_that_refuses_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    refused(
        &Redis::new(format!("redis://{address}"), TOPIC),
        ErrorKind::Unavailable,
        &format!("(at {address}): Connection refused"),
    )
    .await;
}

async fn a_host_that_does_not_answer_is_unavailable_within_the_timeout() {
    // It takes connections, and that is all.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for scheme in ["redis", "rediss"] {
        let begin = Instant::now();
        let redis = Redis::new(format!("{scheme}://{address}"), TOPIC).open_timeout(SHORT);
        refused(&redis, ErrorKind::Unavailable, "500ms").await;
        assert!(begin.elapsed() < SHORT * 2 + PATIENCE / 4, "{:?}", begin.elapsed());
    }
}

async fn a_host_that_does_not_exist_is_unavailable_within_the_timeout() {
    let redis = Redis::new("redis://no-such-host.invalid", TOPIC).open_timeout(SHORT);
    refused(&redis, ErrorKind::Unavailable, "(at no-such-host.invalid:6379)").await;
}

async fn a_server_that_speaks_something_else_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            std::mem::forget(stream);
        }
    });
    let redis = Redis::new(format!("redis://{address}"), TOPIC).open_timeout(PATIENCE);
    refused(&redis, ErrorKind::Config, "").await;
}

/// A server that is new, and does not tell scripts its version, as an old one does not: on the way to it the name under which
/// they ask is changed to another one of the same length.
async fn a_server_that_is_too_old_is_refused() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};

    let bench = Bench::start().await;
    let (target, listener) =
        (bench.server.address(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(target).await.unwrap();
            let ((mut asks, mut hears), (mut answers, mut takes)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { copy(&mut answers, &mut hears).await });
            tokio::spawn(async move {
                let mut text = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = asks.read(&mut text).await {
                    let text = String::from_utf8_lossy(&text[..length]);
                    let text = text.replace("REDIS_VERSION_NUM", "REDIS_VERSION_OLD");
                    takes.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let redis = Redis::new(format!("redis://{address}"), TOPIC).open_timeout(PATIENCE).create_stream();
    refused(&redis, ErrorKind::Config, "older than Redis 7.0").await;
    let keys: Vec<String> = bench.ask(&["KEYS", "*"]).await;
    assert!(keys.is_empty(), "{keys:?}");
}

async fn wrong_settings_are_named() {
    let redis = |topic: &str| Redis::new("redis://127.0.0.1:1", topic);
    refused(&redis(" "), ErrorKind::Config, "topic").await;
    refused(&redis("t").open_timeout(Duration::ZERO), ErrorKind::Config, "open timeout").await;
    refused(&redis("t").user("somebody"), ErrorKind::Config, "password").await;
    refused(&Redis::new("127.0.0.1:6379", "t"), ErrorKind::Config, "url").await;
    let redis = redis("t");
    let sinks = [
        (redis.sink().send_timeout(Duration::ZERO), "send timeout"),
        (redis.sink().max_length(0), "max length"),
        (redis.sink().wait_for_replicas(0, SHORT), "replicas"),
        (redis.sink().wait_for_replicas(1, Duration::ZERO), "replicas"),
    ];
    for (sink, word) in sinks {
        let error = sink.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(word), "{error}");
    }
    for (source, word) in
        [(redis.source(""), "group"), (redis.source("g").request_timeout(Duration::ZERO), "request timeout")]
    {
        let error = source.open().await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

async fn foreign_entries_are_skipped_and_counted() {
    let bench = Bench::start().await;
    let source = bench.redis().source(GROUP).open().await.unwrap();
    let tracker = SecondaryBackupTracker::builder("shop", source).build().unwrap();
    let ready = async |url: String| -> std::result::Result<(), BoxError> {
        let sink = Redis::new(url, TOPIC).sink().open().await?;
        let primary = backup_tracker::PrimaryBackupTracker::builder("shop", sink).build()?;
        primary.startup_complete().await?;
        Ok(())
    };
    let foreign: [&[&str]; 4] = [
        &["temperature", "21"],
        &["key", "no UUID", "payload", "garbage"],
        &["payload", "\u{0}"],
        &["header:content-type", "application/json"],
    ];
    for fields in foreign {
        let _: String = bench.ask(&[&["XADD", TOPIC, "*"], fields].concat()).await;
    }
    ready(bench.server.url()).await.unwrap();
    let waiting = async {
        while tracker.state() != BackupState::Ready {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert_eq!(tracker.stats().received, 5);
    assert_eq!(tracker.stats().undecodable, 4);
    tracker.close().await.unwrap();
}

async fn native_settings_are_taken_as_they_are() {
    use redis::IntoConnectionInfo;

    let bench = Bench::start().await;
    // Another database, and either protocol.
    for (number, protocol) in [(3, "resp2"), (4, "resp3")] {
        let url = format!("{}/{number}?protocol={protocol}", bench.server.url());
        let settings = url.as_str().into_connection_info().unwrap();
        let redis = Redis::with_connection(settings, TOPIC).create_stream();
        let mut source = redis.source(GROUP).open().await.unwrap();
        let mut sink = redis.sink().open().await.unwrap();
        let sent = events(2);
        for event in &sent {
            sink.send(event).await.unwrap();
            expect(&mut source, std::slice::from_ref(event)).await;
            source.commit().await.unwrap();
        }
        sink.close().await.unwrap();
        let length: u64 = ask(&url, &["XLEN", TOPIC]).await;
        assert_eq!(length, 2);
    }
    let length: u64 = bench.ask(&["XLEN", TOPIC]).await;
    assert_eq!(length, 0, "in database 0");
}

async fn any_time_limit_may_be_set() {
    let bench = Bench::start().await;
    let redis = bench.redis().open_timeout(Duration::MAX);
    let mut sink = redis.sink().send_timeout(Duration::MAX).open().await.unwrap();
    let mut source = redis.source(GROUP).request_timeout(Duration::MAX).open().await.unwrap();
    let sent = events(1);
    let (read, sending) = tokio::join!(answer(&mut source), sink.send(&sent[0]));
    sending.unwrap();
    assert_eq!(read.unwrap().key, Some(sent[0].key));
    source.commit().await.unwrap();
    let mut sink = redis.sink().wait_for_replicas(1, Duration::MAX).open().await.unwrap();
    // There is none, and the time is not over.
    assert!(tokio::time::timeout(SHORT, sink.send(&sent[0])).await.is_err());
}
