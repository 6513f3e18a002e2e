//! The group's position as the server shows it, and what an operator may do to it.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::collections::HashMap;

use backup_tracker::{Event, EventSource, Position, Sink, StartAt};
use backup_tracker_redis::{RedisSource, redis};
use support::{Bench, GROUP, TOPIC, answer, events, expect, tests};

tests![
    xinfo_groups_shows_position_and_lag,
    the_position_moves_with_commits_alone,
    a_position_that_was_set_by_hand_is_a_start,
    a_group_that_was_made_by_hand_is_a_start,
    identifiers_of_64_bits_are_compared_as_numbers,
    a_slower_replica_does_not_even_touch_the_count,
    a_start_at_the_earliest_entry_is_fixed_at_opening,
    a_sink_that_is_closed_leaves_nothing_behind,
];

/// Identifier, `entries-read` and `lag` of the group, as `XINFO GROUPS` shows them.
async fn group(bench: &Bench) -> (String, Option<u64>, Option<u64>) {
    let groups: Vec<HashMap<String, redis::Value>> = bench.ask(&["XINFO", "GROUPS", TOPIC]).await;
    let name = redis::Value::BulkString(GROUP.into());
    let group = groups.into_iter().find(|group| group["name"] == name).unwrap();
    let field = |name: &str| group[name].clone();
    (
        redis::from_redis_value(field("last-delivered-id")).unwrap(),
        redis::from_redis_value(field("entries-read")).unwrap(),
        redis::from_redis_value(field("lag")).unwrap(),
    )
}

async fn sent(bench: &Bench, count: usize) -> Vec<Event> {
    let mut sink = bench.redis().sink().open().await.unwrap();
    let events = events(count);
    for event in &events {
        sink.send(event).await.unwrap();
    }
    sink.close().await.unwrap();
    events
}

async fn source(bench: &Bench) -> RedisSource {
    bench.redis().source(GROUP).open().await.unwrap()
}

async fn xinfo_groups_shows_position_and_lag() {
    let bench = Bench::start().await;
    let events = sent(&bench, 5).await;
    let mut source = source(&bench).await;
    assert_eq!(group(&bench).await.1, Some(0));
    for (number, event) in (1_u64..).zip(&events) {
        let record = answer(&mut source).await.unwrap();
        assert_eq!(record.key, Some(event.key));
        source.commit().await.unwrap();
        let (id, read, lag) = group(&bench).await;
        assert_eq!(record.position.to_string(), format!("entry {id}"));
        assert_eq!((read, lag), (Some(number), Some(5 - number)));
        assert_eq!(source.remaining().await.unwrap().total(), 5 - number);
    }
}

async fn the_position_moves_with_commits_alone() {
    let bench = Bench::start().await;
    let events = sent(&bench, 5).await;
    let before = {
        let mut source = source(&bench).await;
        let before = group(&bench).await;
        expect(&mut source, &events).await;
        assert_eq!(source.remaining().await.unwrap().total(), 0);
        before
    };
    assert_eq!(group(&bench).await, before);
    source(&bench).await.close().await.unwrap();
    assert_eq!(group(&bench).await, before);
}

async fn a_position_that_was_set_by_hand_is_a_start() {
    let bench = Bench::start().await;
    let events = sent(&bench, 5).await;
    let third = {
        let mut source = source(&bench).await;
        expect(&mut source, &events[..2]).await;
        let third = answer(&mut source).await.unwrap().position.to_string();
        expect(&mut source, &events[3..]).await;
        source.commit().await.unwrap();
        third.replace("entry ", "")
    };
    let () = bench.ask(&["XGROUP", "SETID", TOPIC, GROUP, &third]).await;
    assert_eq!(group(&bench).await.1, None);
    let mut source = source(&bench).await;
    assert!(!source.resumed());
    assert_eq!(source.remaining().await.unwrap().total(), 2);
    // A commit there makes it a position like any other.
    source.commit().await.unwrap();
    assert_eq!(group(&bench).await, (third, Some(3), Some(2)));
    expect(&mut source, &events[3..]).await;
    source.commit().await.unwrap();
    assert_eq!(group(&bench).await.1, Some(5));
    drop(source);
    let source = bench.redis().source(GROUP).open().await.unwrap();
    assert!(source.resumed());
}

async fn a_group_that_was_made_by_hand_is_a_start() {
    let bench = Bench::start().await;
    let old = sent(&bench, 2).await;
    let () = bench.ask(&["XGROUP", "CREATE", TOPIC, GROUP, "0"]).await;
    // Its start counts, and not the setting.
    let mut source = bench.redis().source(GROUP).start(StartAt::Latest).open().await.unwrap();
    assert!(!source.resumed());
    expect(&mut source, &old).await;
}

async fn identifiers_of_64_bits_are_compared_as_numbers() {
    let bench = Bench::start().await;
    let ids =
        ["9-9", "9-10", "10-0", "10-18446744073709551615", "99999999999999999-0", "100000000000000000-1"];
    for id in ids {
        let _: String = bench.ask(&["XADD", TOPIC, id, "payload", "x"]).await;
    }
    for (number, id) in ids.into_iter().enumerate() {
        // Each position is reached from the one before it, and none is left for an earlier one.
        let mut slow = source(&bench).await;
        let mut fast = source(&bench).await;
        assert_eq!(fast.resumed(), number > 0);
        let record = answer(&mut fast).await.unwrap();
        let (millis, sequence) = id.split_once('-').unwrap();
        let expected =
            Position::Entry { millis: millis.parse().unwrap(), sequence: sequence.parse().unwrap() };
        assert_eq!(record.position, expected);
        fast.commit().await.unwrap();
        slow.commit().await.unwrap();
        assert_eq!(group(&bench).await.0, id);
    }
    assert_eq!(source(&bench).await.remaining().await.unwrap().total(), 0);
}

async fn a_slower_replica_does_not_even_touch_the_count() {
    let bench = Bench::start().await;
    let events = sent(&bench, 5).await;
    let (mut fast, mut slow) = (source(&bench).await, source(&bench).await);
    expect(&mut fast, &events).await;
    expect(&mut slow, &events[..1]).await;
    fast.commit().await.unwrap();
    let before = group(&bench).await;
    slow.commit().await.unwrap();
    assert_eq!(group(&bench).await, before);
    expect(&mut slow, &events[1..]).await;
}

async fn a_start_at_the_earliest_entry_is_fixed_at_opening() {
    let bench = Bench::start().await;
    // Entries under the smallest identifiers there are.
    for id in ["0-1", "0-2"] {
        let _: String = bench.ask(&["XADD", TOPIC, id, "payload", id]).await;
    }
    drop(source(&bench).await);
    assert_eq!(group(&bench).await.0, "0-0");
    let mut source = source(&bench).await;
    assert!(!source.resumed());
    assert_eq!(answer(&mut source).await.unwrap().payload.unwrap(), "0-1");
    assert_eq!(answer(&mut source).await.unwrap().payload.unwrap(), "0-2");
}

async fn a_sink_that_is_closed_leaves_nothing_behind() {
    let bench = Bench::start().await;
    sent(&bench, 1).await;
    let exists: u64 = bench.ask(&["EXISTS", "backups:backup-tracker"]).await;
    assert_eq!(exists, 0);
    // One that is dropped leaves a note of some bytes, which goes in time.
    drop(bench.redis().sink().open().await.unwrap());
    let fields: Vec<String> = bench.ask(&["HKEYS", "backups:backup-tracker"]).await;
    assert_eq!(fields.len(), 1);
    let () = bench.ask(&["HSET", "backups:backup-tracker", &fields[0], "1 0"]).await;
    let other = bench.redis().sink().open().await.unwrap();
    let exists: u64 = bench.ask(&["HEXISTS", "backups:backup-tracker", &fields[0]]).await;
    assert_eq!(exists, 0, "it was silent since 1970");
    other.close().await.unwrap();
}
