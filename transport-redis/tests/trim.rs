//! Trimming is safe: what a position lost is said, and what it did not need goes unnoticed.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use backup_tracker::{ErrorKind, Event, EventSource, Sink};
use backup_tracker_redis::RedisSource;
use support::{Bench, GROUP, TOPIC, answer, events, expect, tests};

tests![
    a_sink_trims_by_length,
    a_position_that_a_sink_trimmed_away_is_lost_at_opening,
    a_position_that_a_sink_trimmed_away_is_lost_in_a_live_session,
    a_reader_that_keeps_up_never_notices,
    a_loss_is_said_again_until_it_is_committed,
    a_deletion_in_the_middle_is_no_loss,
    a_deletion_of_everything_that_was_unread_is_a_loss,
    a_stream_that_is_deleted_under_a_live_session_is_lost_and_then_followed_again,
    a_stream_that_is_recreated_is_lost_for_every_replica,
    a_group_that_is_destroyed_is_lost,
    a_trim_before_a_positions_start_is_a_loss_although_nobody_committed,
];

const KEPT: u64 = 10;

/// Small blocks, so that `MAXLEN ~` takes effect with few entries.
async fn bench() -> Bench {
    Bench::start_with(&[("stream-node-max-entries", "5")]).await
}

async fn send(bench: &Bench, count: usize) -> Vec<Event> {
    let mut sink = bench.redis().sink().max_length(KEPT).open().await.unwrap();
    let events = events(count);
    for event in &events {
        sink.send(event).await.unwrap();
    }
    events
}

async fn source(bench: &Bench) -> RedisSource {
    bench.redis().source(GROUP).open().await.unwrap()
}

async fn lost(source: &mut RedisSource) {
    let error = answer(source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    assert!(!source.resumed());
}

async fn nothing(source: &mut RedisSource) {
    let next = tokio::time::timeout(std::time::Duration::from_millis(100), source.next()).await;
    assert!(next.is_err(), "{next:?}");
}

/// What the stream holds of these events: the last of them.
async fn held<'a>(bench: &Bench, events: &'a [Event]) -> &'a [Event] {
    let length: usize = bench.ask(&["XLEN", TOPIC]).await;
    &events[events.len() - length..]
}

async fn a_sink_trims_by_length() {
    let bench = bench().await;
    send(&bench, 100).await;
    let length: u64 = bench.ask(&["XLEN", TOPIC]).await;
    assert!((KEPT..KEPT + 5).contains(&length), "{length}");
}

async fn a_position_that_a_sink_trimmed_away_is_lost_at_opening() {
    let bench = bench().await;
    let first = send(&bench, 4).await;
    let mut reader = source(&bench).await;
    expect(&mut reader, &first[..2]).await;
    reader.commit().await.unwrap();
    drop(reader);
    let later = send(&bench, 40).await;
    let mut reader = source(&bench).await;
    assert!(!reader.resumed());
    let length: u64 = bench.ask(&["XLEN", TOPIC]).await;
    assert_eq!(reader.remaining().await.unwrap().total(), length);
    lost(&mut reader).await;
    assert_eq!(reader.remaining().await.unwrap().total(), length);
    expect(&mut reader, held(&bench, &later).await).await;
    reader.commit().await.unwrap();
    assert!(source(&bench).await.resumed());
}

async fn a_position_that_a_sink_trimmed_away_is_lost_in_a_live_session() {
    let bench = bench().await;
    let first = send(&bench, 4).await;
    let mut reader = source(&bench).await;
    expect(&mut reader, &first).await;
    let later = send(&bench, 40).await;
    lost(&mut reader).await;
    expect(&mut reader, held(&bench, &later).await).await;
    nothing(&mut reader).await;
}

async fn a_reader_that_keeps_up_never_notices() {
    let bench = bench().await;
    let mut live = source(&bench).await;
    let mut sink = bench.redis().sink().max_length(KEPT).open().await.unwrap();
    for event in events(200) {
        sink.send(&event).await.unwrap();
        expect(&mut live, std::slice::from_ref(&event)).await;
        live.commit().await.unwrap();
    }
    assert_eq!(live.remaining().await.unwrap().total(), 0);
    let mut reader = source(&bench).await;
    assert!(reader.resumed());
    nothing(&mut reader).await;
}

async fn a_loss_is_said_again_until_it_is_committed() {
    let bench = bench().await;
    let first = send(&bench, 4).await;
    let mut reader = source(&bench).await;
    expect(&mut reader, &first[..2]).await;
    reader.commit().await.unwrap();
    let later = send(&bench, 40).await;
    for _ in 0..2 {
        let mut reader = source(&bench).await;
        // Before it is said, a commit does not hide it.
        reader.commit().await.unwrap();
        lost(&mut reader).await;
        expect(&mut reader, &held(&bench, &later).await[..1]).await;
    }
    let mut reader = source(&bench).await;
    lost(&mut reader).await;
    reader.commit().await.unwrap();
    let mut reader = source(&bench).await;
    assert!(reader.resumed());
    expect(&mut reader, held(&bench, &later).await).await;
}

async fn delete(bench: &Bench, events: &[Event]) {
    let entries: Vec<(String, Vec<String>)> = bench.ask(&["XRANGE", TOPIC, "-", "+"]).await;
    for event in events {
        let key = event.key.to_string();
        let (id, _) = entries.iter().find(|(_, fields)| fields.contains(&key)).unwrap();
        let count: u64 = bench.ask(&["XDEL", TOPIC, id]).await;
        assert_eq!(count, 1);
    }
}

async fn a_deletion_in_the_middle_is_no_loss() {
    let bench = bench().await;
    let sent = send(&bench, 9).await;
    let mut reader = source(&bench).await;
    expect(&mut reader, &sent[..2]).await;
    reader.commit().await.unwrap();
    delete(&bench, &sent[4..6]).await;
    let mut reader = source(&bench).await;
    assert!(reader.resumed());
    assert!(reader.remaining().await.unwrap().total() >= 5);
    expect(&mut reader, &[&sent[2..4], &sent[6..]].concat()).await;
    assert_eq!(reader.remaining().await.unwrap().total(), 0);
    reader.commit().await.unwrap();
    // Nor when what was read is trimmed later.
    let _: u64 = bench.ask(&["XTRIM", TOPIC, "MAXLEN", "0"]).await;
    let mut reader = source(&bench).await;
    assert!(reader.resumed());
    nothing(&mut reader).await;
}

async fn a_deletion_of_everything_that_was_unread_is_a_loss() {
    let bench = bench().await;
    let sent = send(&bench, 4).await;
    let mut reader = source(&bench).await;
    expect(&mut reader, &sent[..2]).await;
    reader.commit().await.unwrap();
    delete(&bench, &sent).await;
    let mut reader = source(&bench).await;
    lost(&mut reader).await;
    nothing(&mut reader).await;
}

async fn a_stream_that_is_deleted_under_a_live_session_is_lost_and_then_followed_again() {
    let bench = bench().await;
    let sent = send(&bench, 4).await;
    let redis = backup_tracker_redis::Redis::new(bench.server.url(), TOPIC);
    let mut reader = redis.source(GROUP).open().await.unwrap();
    expect(&mut reader, &sent).await;
    let _: u64 = bench.ask(&["DEL", TOPIC]).await;
    lost(&mut reader).await;
    // Without a stream there is nothing to read, nothing to count and nothing to be replayed.
    for _ in 0..2 {
        assert_eq!(answer(&mut reader).await.unwrap_err().cause(), Some(ErrorKind::NotFound));
        assert_eq!(reader.remaining().await.unwrap_err().cause(), Some(ErrorKind::NotFound));
    }
    reader.commit().await.unwrap();
    let exists: u64 = bench.ask(&["EXISTS", TOPIC]).await;
    assert_eq!(exists, 0, "it was not asked to create one");
    let newer = send(&bench, 3).await;
    expect(&mut reader, &newer).await;
    reader.commit().await.unwrap();
    drop(reader);
    let mut reader = source(&bench).await;
    assert!(reader.resumed());
    nothing(&mut reader).await;
}

async fn a_stream_that_is_recreated_is_lost_for_every_replica() {
    let bench = bench().await;
    let sent = send(&bench, 4).await;
    let mut readers = [source(&bench).await, source(&bench).await];
    for reader in &mut readers {
        expect(reader, &sent).await;
    }
    let _: u64 = bench.ask(&["DEL", TOPIC]).await;
    // More than is fetched at once, so that no number gives it away.
    let newer = events(100);
    let mut sink = bench.redis().sink().open().await.unwrap();
    for event in &newer {
        sink.send(event).await.unwrap();
    }
    // The first one makes the group anew and moves it on; the others still see that the stream is another one.
    for reader in &mut readers {
        lost(reader).await;
        expect(reader, &newer).await;
        reader.commit().await.unwrap();
    }
}

async fn a_group_that_is_destroyed_is_lost() {
    let bench = bench().await;
    let sent = send(&bench, 4).await;
    let mut reader = source(&bench).await;
    expect(&mut reader, &sent).await;
    reader.commit().await.unwrap();
    drop(reader);
    let _: u64 = bench.ask(&["XGROUP", "DESTROY", TOPIC, GROUP]).await;
    // A session that dies before it has said so takes nothing with it, not even by a commit.
    let mut reader = source(&bench).await;
    reader.commit().await.unwrap();
    drop(reader);
    let mut reader = source(&bench).await;
    lost(&mut reader).await;
    expect(&mut reader, &sent).await;
    reader.commit().await.unwrap();
    let mut reader = source(&bench).await;
    assert!(reader.resumed());
    nothing(&mut reader).await;
}

async fn a_trim_before_a_positions_start_is_a_loss_although_nobody_committed() {
    let bench = bench().await;
    send(&bench, 4).await;
    // Its start is fixed, and with it what it has to see.
    drop(source(&bench).await);
    let _: u64 = bench.ask(&["XTRIM", TOPIC, "MAXLEN", "1"]).await;
    let mut reader = source(&bench).await;
    lost(&mut reader).await;
    answer(&mut reader).await.unwrap();
    nothing(&mut reader).await;
}
