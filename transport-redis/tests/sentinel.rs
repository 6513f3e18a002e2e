//! Sentinels are asked for the primary with every connection, so that a failover is followed.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use backup_tracker::{ErrorKind, EventSource, Sink};
use backup_tracker_redis::Redis;
use backup_tracker_test_servers::Redis as Server;
use support::{Bench, GROUP, PATIENCE, TOPIC, ask, events, replica_of, tests};

tests![
    a_failover_is_followed_by_readers_and_by_the_writer,
    a_sentinel_that_is_away_or_hangs_is_passed_over,
    a_primary_that_no_sentinel_knows_is_named,
];

/// It ends with the test.
struct Sentinel {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Sentinel {
    async fn start(primary: &Bench) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n",
            folder.path().display(),
            primary.server.port()
        );
        std::fs::write(&config, text).unwrap();
        let process = Command::new(Server::find().unwrap().path)
            .arg(&config)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        let listens = async {
            while tokio::net::TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listens).await.unwrap();
        Self { process, address, _folder: folder }
    }

    /// Returns when it knows of a replica.
    async fn knows_a_replica(&self) {
        let url = format!("redis://{}", self.address);
        let knows = async {
            loop {
                let info: String = ask(&url, &["INFO", "sentinel"]).await;
                if info.contains("slaves=1") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE * 2, knows).await.unwrap();
    }
}

async fn a_failover_is_followed_by_readers_and_by_the_writer() {
    let mut primary = Bench::start_with(&[("repl-diskless-sync-delay", "0")]).await;
    let replica = replica_of(&primary, primary.server.address()).await;
    let sentinel = Sentinel::start(&primary).await;
    let redis = Redis::new(format!("redis+sentinel://{}/main", sentinel.address), TOPIC).create_stream();
    let mut sink = redis.sink().wait_for_replicas(1, PATIENCE).open().await.unwrap();
    let mut source = redis.source(GROUP).open().await.unwrap();
    let mut observer = redis.observer().open().await.unwrap();
    let sent = events(2);
    sink.send(&sent[0]).await.unwrap();
    for source in [&mut source, &mut observer] {
        support::expect(source, &sent[..1]).await;
    }
    source.commit().await.unwrap();
    sentinel.knows_a_replica().await;
    tokio::task::block_in_place(|| primary.server.kill()).unwrap();
    let mut sink = {
        drop(sink);
        let opening = async {
            loop {
                match redis.sink().open().await {
                    Ok(sink) => return sink,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE * 3, opening).await.unwrap()
    };
    sink.send(&sent[1]).await.unwrap();
    for source in [&mut source, &mut observer] {
        let reading = async {
            loop {
                match source.next().await {
                    Ok(record) => return record.unwrap(),
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
        };
        let record = tokio::time::timeout(PATIENCE * 2, reading).await.unwrap();
        assert_eq!(record.key, Some(sent[1].key));
    }
    source.commit().await.unwrap();
    let length: u64 = replica.ask(&["XLEN", TOPIC]).await;
    assert_eq!(length, 2);
}

async fn a_sentinel_that_is_away_or_hangs_is_passed_over() {
    let primary = Bench::start().await;
    let sentinel = Sentinel::start(&primary).await;
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let others = ["127.0.0.1:1".to_owned(), hangs.local_addr().unwrap().to_string()];
    for other in others {
        let url = format!("redis+sentinel://{other},{}/main/2", sentinel.address);
        let mut sink = Redis::new(url, TOPIC).create_stream().sink().open().await.unwrap();
        sink.send(&events(1)[0]).await.unwrap();
    }
    let length: u64 = ask(&format!("{}/2", primary.server.url()), &["XLEN", TOPIC]).await;
    assert_eq!(length, 2);
}

async fn a_primary_that_no_sentinel_knows_is_named() {
    let primary = Bench::start().await;
    let sentinel = Sentinel::start(&primary).await;
    let url = format!("redis+sentinel://{}/other", sentinel.address);
    let error = Redis::new(url, TOPIC).sink().open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.message().contains("`other`"), "{error}");
    let error = Redis::new("redis+sentinel://host", TOPIC).sink().open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}
