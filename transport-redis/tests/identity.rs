//! S12: a position is a place in a log with an identity. A log that was restored, or went on without its last entries, is another
//! one, however long it is by now.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use backup_tracker::{ErrorKind, Event, EventSource, Sink, StartAt};
use backup_tracker_conformance::Proxy;
use backup_tracker_redis::{Redis, RedisSource, redis};
use backup_tracker_test_servers::Redis as Server;
use support::way::Way;
use support::{Bench, GROUP, PATIENCE, TOPIC, answer, events, expect, replica_of, tests};

tests![
    a_server_that_was_restored_is_noticed_by_live_sessions_however_long_the_stream_is,
    a_tail_that_was_written_again_under_the_same_identifiers_is_noticed,
    a_stream_that_was_restored_is_noticed_at_opening_however_long_it_is,
    an_entry_that_was_replaced_under_its_identifier_is_noticed_at_opening,
    a_replica_that_was_promoted_without_the_last_entries_is_noticed_by_readers,
    a_replica_that_was_promoted_with_everything_is_no_loss,
    a_commit_on_a_server_without_the_entry_moves_nothing,
    a_sink_says_that_the_server_lost_what_it_acknowledged,
    a_position_whose_entry_was_trimmed_or_deleted_is_no_loss,
    a_restart_is_no_loss,
    what_is_stored_can_be_read_by_earlier_versions_and_from_them,
];

const SIDE: &str = "backups:backup-tracker";

async fn send(bench: &Bench, count: usize) -> Vec<Event> {
    let events = events(count);
    let mut sink = bench.redis().sink().open().await.unwrap();
    for event in &events {
        sink.send(event).await.unwrap();
    }
    sink.close().await.unwrap();
    events
}

async fn source(redis: &Redis) -> RedisSource {
    redis.source(GROUP).open().await.unwrap()
}

async fn observer(redis: &Redis) -> RedisSource {
    redis.observer().start(StartAt::Earliest).open().await.unwrap()
}

async fn nothing(source: &mut RedisSource) {
    let next = tokio::time::timeout(std::time::Duration::from_millis(100), source.next()).await;
    assert!(next.is_err(), "{next:?}");
}

/// After whatever trouble, the loss is said, once.
async fn lost(source: &mut RedisSource) {
    loop {
        let error = answer(source).await.unwrap_err();
        if error.kind() == ErrorKind::Lost {
            return;
        }
        assert!(error.is_transient(), "{error}");
    }
}

async fn read(source: &mut RedisSource) -> Option<uuid::Uuid> {
    loop {
        match answer(source).await {
            Ok(record) => return record.key,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

/// What a server keeps on disk, at a time.
struct Snapshot(tempfile::TempDir);

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

impl Snapshot {
    fn take(server: &mut Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        tokio::task::block_in_place(|| {
            server.stop().unwrap();
            copy(&server.folder().join("appendonlydir"), folder.path());
            server.restart().unwrap();
        });
        Self(folder)
    }

    fn restore(&self, server: &mut Server) {
        tokio::task::block_in_place(|| {
            server.kill().unwrap();
            std::fs::remove_dir_all(server.folder().join("appendonlydir")).unwrap();
            copy(&self.0.path().join("appendonlydir"), server.folder());
            server.restart().unwrap();
        });
    }
}

async fn a_server_that_was_restored_is_noticed_by_live_sessions_however_long_the_stream_is() {
    // Three entries are lost; shorter than before, as long, longer, and longer than what is fetched at once.
    for count in [0, 3, 4, 1100] {
        let mut bench = Bench::start().await;
        let mut kept = send(&bench, 2).await;
        let mut committed = source(&bench.redis()).await;
        expect(&mut committed, &kept).await;
        let snapshot = Snapshot::take(&mut bench.server);
        let way = Way::start(bench.server.address()).await;
        let redis = Redis::new(way.url(), TOPIC);
        let mut live = [source(&redis).await, observer(&redis).await];
        let gone = send(&bench, 3).await;
        for source in &mut live {
            expect(source, &kept).await;
            expect(source, &gone).await;
            nothing(source).await;
        }
        // Before they can see it in between.
        way.lead_to("127.0.0.1:1".parse().unwrap());
        snapshot.restore(&mut bench.server);
        kept.extend(send(&bench, count).await);
        way.lead_to(bench.server.address());
        assert_eq!(settled(&mut live[0]).await, kept.len() as u64, "{count}");
        for source in &mut live {
            lost(source).await;
            expect(source, &kept).await;
            nothing(source).await;
            assert_eq!(source.remaining().await.unwrap().total(), 0);
            source.commit().await.unwrap();
        }
        let mut next = source(&redis).await;
        assert!(next.resumed());
        nothing(&mut next).await;
    }
}

/// What remains, as soon as the server can say.
async fn settled(source: &mut RedisSource) -> u64 {
    let settling = async {
        loop {
            match source.remaining().await {
                Ok(remaining) => return remaining.total(),
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, settling).await.unwrap()
}

/// Appends under an identifier of its own, as a server does whose clock is behind its stream.
async fn append(bench: &Bench, id: &str, payload: &str) {
    let _: String = bench.ask(&["XADD", TOPIC, id, "payload", payload]).await;
}

async fn a_tail_that_was_written_again_under_the_same_identifiers_is_noticed() {
    let mut bench = Bench::start().await;
    append(&bench, "5-1", "one").await;
    let snapshot = Snapshot::take(&mut bench.server);
    let mut live = [source(&bench.redis()).await, observer(&bench.redis()).await];
    append(&bench, "5-2", "two").await;
    append(&bench, "5-3", "three").await;
    for source in &mut live {
        for _ in 0..3 {
            answer(source).await.unwrap();
        }
    }
    snapshot.restore(&mut bench.server);
    for id in ["5-2", "5-3", "5-4"] {
        append(&bench, id, "other").await;
    }
    for source in &mut live {
        assert_eq!(settled(source).await, 4);
        lost(source).await;
        let mut payloads = Vec::new();
        for _ in 0..4 {
            payloads.extend(answer(source).await.unwrap().payload);
        }
        assert_eq!(payloads, ["one", "other", "other", "other"]);
    }
}

async fn dump(bench: &Bench) -> Vec<u8> {
    bench.ask(&["DUMP", TOPIC]).await
}

async fn restore(bench: &Bench, dump: &[u8]) {
    let mut command = redis::cmd("RESTORE");
    bench.run(command.arg(TOPIC).arg(0).arg(dump).arg("REPLACE")).await;
}

async fn a_stream_that_was_restored_is_noticed_at_opening_however_long_it_is() {
    for count in [0, 3, 4, 1100] {
        let bench = Bench::start().await;
        let mut kept = send(&bench, 2).await;
        let mut first = source(&bench.redis()).await;
        expect(&mut first, &kept).await;
        first.commit().await.unwrap();
        let dump = dump(&bench).await;
        let gone = send(&bench, 3).await;
        expect(&mut first, &gone).await;
        first.commit().await.unwrap();
        drop(first);
        // The stream alone, with its groups: what stands beside it stays.
        restore(&bench, &dump).await;
        kept.extend(send(&bench, count).await);
        for _ in 0..2 {
            let mut next = source(&bench.redis()).await;
            assert!(!next.resumed());
            next.commit().await.unwrap();
            lost(&mut next).await;
            expect(&mut next, &kept).await;
            nothing(&mut next).await;
        }
        let mut next = source(&bench.redis()).await;
        lost(&mut next).await;
        expect(&mut next, &kept).await;
        next.commit().await.unwrap();
        drop(next);
        let mut next = source(&bench.redis()).await;
        assert!(next.resumed());
        nothing(&mut next).await;
    }
}

async fn an_entry_that_was_replaced_under_its_identifier_is_noticed_at_opening() {
    let bench = Bench::start().await;
    append(&bench, "5-1", "one").await;
    drop(source(&bench.redis()).await);
    let dump = dump(&bench).await;
    append(&bench, "5-2", "two").await;
    let mut first = source(&bench.redis()).await;
    answer(&mut first).await.unwrap();
    answer(&mut first).await.unwrap();
    first.commit().await.unwrap();
    drop(first);
    restore(&bench, &dump).await;
    append(&bench, "5-2", "other").await;
    append(&bench, "5-3", "other").await;
    // Also where somebody put the group to the place where it was.
    let () = bench.ask(&["XGROUP", "SETID", TOPIC, GROUP, "5-2", "ENTRIESREAD", "2"]).await;
    let mut next = source(&bench.redis()).await;
    assert!(!next.resumed());
    lost(&mut next).await;
    assert_eq!(answer(&mut next).await.unwrap().payload.unwrap(), "one");
}

/// A primary, a replica that loses it before the last entries, and a way to whichever serves.
struct Failover {
    primary: Bench,
    replica: Bench,
    between: Proxy,
    way: Way,
}

impl Failover {
    async fn start() -> Self {
        let primary = Bench::start_with(&[("repl-diskless-sync-delay", "0")]).await;
        let between = Proxy::start(primary.server.address()).await.unwrap();
        let replica = replica_of(&primary, between.address()).await;
        let way = Way::start(primary.server.address()).await;
        Self { primary, replica, between, way }
    }

    fn redis(&self) -> Redis {
        Redis::new(self.way.url(), TOPIC).create_stream()
    }

    /// Returns when the replica has everything.
    async fn replicated(&self) {
        // One connection for all of the questions.
        let offsets = async |bench: &Bench| -> String {
            let info: String = bench.ask(&["INFO", "replication"]).await;
            info.lines().find(|line| line.starts_with("master_repl_offset")).unwrap().to_owned()
        };
        let same = async {
            while offsets(&self.primary).await != offsets(&self.replica).await {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, same).await.unwrap();
    }

    async fn promote(&mut self) {
        tokio::task::block_in_place(|| self.primary.server.kill()).unwrap();
        let () = self.replica.ask(&["REPLICAOF", "NO", "ONE"]).await;
        self.way.lead_to(self.replica.server.address());
    }
}

async fn a_replica_that_was_promoted_without_the_last_entries_is_noticed_by_readers() {
    for count in [0, 2, 5, 1100] {
        let mut failover = Failover::start().await;
        let mut kept = send(&failover.primary, 3).await;
        let redis = failover.redis();
        let mut live = [source(&redis).await, observer(&redis).await];
        for source in &mut live {
            expect(source, &kept).await;
            source.commit().await.unwrap();
        }
        failover.replicated().await;
        failover.between.cut();
        let gone = send(&failover.primary, 2).await;
        for source in &mut live {
            expect(source, &gone).await;
            source.commit().await.unwrap();
        }
        let () = failover.replica.ask(&["REPLICAOF", "NO", "ONE"]).await;
        kept.extend(send(&failover.replica, count).await);
        failover.promote().await;
        for source in &mut live {
            lost(source).await;
            expect(source, &kept).await;
            nothing(source).await;
        }
        live[0].commit().await.unwrap();
        assert!(source(&redis).await.resumed());
    }
}

async fn a_replica_that_was_promoted_with_everything_is_no_loss() {
    let mut failover = Failover::start().await;
    let redis = failover.redis();
    let sent = send(&failover.primary, 3).await;
    let mut live = [source(&redis).await, observer(&redis).await];
    for source in &mut live {
        expect(source, &sent).await;
        source.commit().await.unwrap();
    }
    failover.replicated().await;
    failover.promote().await;
    let later = send(&failover.replica, 1).await;
    for source in &mut live {
        assert_eq!(read(source).await, Some(later[0].key));
        source.commit().await.unwrap();
    }
    assert!(source(&redis).await.resumed());
}

async fn a_commit_on_a_server_without_the_entry_moves_nothing() {
    let mut failover = Failover::start().await;
    let redis = failover.redis();
    let kept = send(&failover.primary, 3).await;
    let mut live = source(&redis).await;
    expect(&mut live, &kept).await;
    live.commit().await.unwrap();
    failover.replicated().await;
    failover.between.cut();
    let gone = send(&failover.primary, 2).await;
    expect(&mut live, &gone).await;
    failover.promote().await;
    let committing = async { while live.commit().await.is_err() {} };
    tokio::time::timeout(PATIENCE, committing).await.unwrap();
    let next = source(&redis).await;
    assert!(next.resumed(), "the position is still the one that the replica knew");
    lost(&mut live).await;
    expect(&mut live, &kept).await;
    live.commit().await.unwrap();
    assert!(source(&redis).await.resumed());
}

/// What is logged, from now on, by the whole program.
fn log() -> Arc<Mutex<Vec<u8>>> {
    struct Writer(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Writer {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let text: Arc<Mutex<Vec<u8>>> = Arc::default();
    let shared = Arc::clone(&text);
    let subscriber = tracing_subscriber::fmt().with_writer(move || Writer(Arc::clone(&shared))).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    text
}

async fn a_sink_says_that_the_server_lost_what_it_acknowledged() {
    let logged = log();
    let warnings = |word: &str| {
        let text = String::from_utf8(logged.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("no longer holds") && line.contains(word)).count()
    };
    for count in [0, 5] {
        let before = warnings("");
        let mut failover = Failover::start().await;
        let redis = failover.redis();
        let mut sink = redis.sink().open().await.unwrap();
        let sent = events(3);
        sink.send(&sent[0]).await.unwrap();
        // A connection that is made anew to the same server is no loss.
        failover.way.cut();
        while sink.send(&sent[1]).await.is_err() {}
        failover.replicated().await;
        failover.between.cut();
        sink.send(&sent[2]).await.unwrap();
        assert_eq!(warnings(""), before);
        let entries: Vec<(String, Vec<String>)> =
            failover.primary.ask(&["XREVRANGE", TOPIC, "+", "-", "COUNT", "1"]).await;
        let () = failover.replica.ask(&["REPLICAOF", "NO", "ONE"]).await;
        send(&failover.replica, count).await;
        failover.promote().await;
        // It sends all the same, as soon as it can, and says once what it found.
        let next = events(2);
        for event in &next {
            let sending = async { while sink.send(event).await.is_err() {} };
            tokio::time::timeout(PATIENCE, sending).await.unwrap();
        }
        assert_eq!(warnings(&entries[0].0), 1);
        assert_eq!(warnings(""), before + 1);
        let mut source = observer(&redis).await;
        let mut keys = Vec::new();
        while source.remaining().await.unwrap().total() > 0 {
            keys.push(answer(&mut source).await.unwrap().key.unwrap());
        }
        let next: Vec<_> = next.iter().map(|event| event.key).collect();
        assert!(keys.ends_with(&next), "{keys:?}");
    }
}

async fn a_position_whose_entry_was_trimmed_or_deleted_is_no_loss() {
    let bench = Bench::start().await;
    let sent = send(&bench, 6).await;
    let mut live = source(&bench.redis()).await;
    expect(&mut live, &sent[..3]).await;
    live.commit().await.unwrap();
    let entries: Vec<(String, Vec<String>)> = bench.ask(&["XRANGE", TOPIC, "-", "+"]).await;
    let _: u64 = bench.ask(&["XDEL", TOPIC, &entries[2].0]).await;
    let mut next = source(&bench.redis()).await;
    assert!(next.resumed());
    // A live session that has fetched nothing since, and one that has.
    live.commit().await.unwrap();
    expect(&mut live, &sent[3..5]).await;
    expect(&mut next, &sent[3..5]).await;
    next.commit().await.unwrap();
    let _: u64 = bench.ask(&["XTRIM", TOPIC, "MAXLEN", "1"]).await;
    let mut next = source(&bench.redis()).await;
    assert!(next.resumed());
    for source in [&mut live, &mut next] {
        expect(source, &sent[5..]).await;
        nothing(source).await;
    }
    let _: u64 = bench.ask(&["XTRIM", TOPIC, "MAXLEN", "0"]).await;
    for source in [&mut live, &mut next] {
        nothing(source).await;
        source.commit().await.unwrap();
    }
}

async fn a_restart_is_no_loss() {
    let mut bench = Bench::start().await;
    let sent = send(&bench, 3).await;
    let mut live = [source(&bench.redis()).await, observer(&bench.redis()).await];
    for source in &mut live {
        expect(source, &sent).await;
        source.commit().await.unwrap();
    }
    for end in [Server::stop, Server::kill] {
        let server = &mut bench.server;
        tokio::task::block_in_place(|| end(server).and_then(|()| server.restart())).unwrap();
        let later = send(&bench, 1).await;
        for source in &mut live {
            assert_eq!(read(source).await, Some(later[0].key));
            source.commit().await.unwrap();
        }
        assert!(source(&bench.redis()).await.resumed());
    }
}

async fn what_is_stored_can_be_read_by_earlier_versions_and_from_them() {
    let bench = Bench::start().await;
    let sent = send(&bench, 5).await;
    let mut first = source(&bench.redis()).await;
    expect(&mut first, &sent[..2]).await;
    first.commit().await.unwrap();
    // Earlier versions know this field, and expect two words.
    let held: String = bench.ask(&["HGET", SIDE, "group:search"]).await;
    assert_eq!(held.split(' ').collect::<Vec<_>>()[1..], ["committed"]);
    let noted: String = bench.ask(&["HGET", SIDE, "entry:search"]).await;
    // Such a version moves on, and leaves the other field as it is.
    let entries: Vec<(String, Vec<String>)> = bench.ask(&["XRANGE", TOPIC, "-", "+"]).await;
    assert!(noted.starts_with(&format!("{} ", entries[1].0)));
    let () = bench.ask(&["XGROUP", "SETID", TOPIC, GROUP, &entries[3].0, "ENTRIESREAD", "4"]).await;
    drop(first);
    let mut next = source(&bench.redis()).await;
    assert!(next.resumed());
    expect(&mut next, &sent[4..]).await;
    // A position without the field is one as well.
    let _: u64 = bench.ask(&["HDEL", SIDE, "entry:search"]).await;
    let mut next = source(&bench.redis()).await;
    assert!(next.resumed());
    expect(&mut next, &sent[4..]).await;
    next.commit().await.unwrap();
    // What is in it and cannot be read counts for nothing.
    let () = bench.ask(&["HSET", SIDE, "entry:search", "5-1 of a later version"]).await;
    assert!(source(&bench.redis()).await.resumed());
}
