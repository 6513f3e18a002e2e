use std::collections::BTreeMap;
use std::time::Duration;

use super::group::{Position, group_members, position};
use super::settings::group_retention;
use super::*;
use crate::commands::doctor::finding::Verdict::{self, Ok, Problem, Unknown, Warning};

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn one_partition_is_wanted_and_several_say_where_the_application_is() {
    assert_eq!(spread(1, Some("shop")).verdict, Ok);
    let several = spread(3, Some("shop"));
    assert_eq!(several.verdict, Warning);
    assert!(
        several.seen.ends_with(&format!("shop is on partition {}", partition_for("shop", 3))),
        "{several:?}"
    );
    assert_eq!(spread(3, None).seen, "3 partitions");
}

#[test]
fn replicas_must_be_several_and_in_sync() {
    for (replicas, in_sync, verdict) in
        [(3, 3, Ok), (2, 2, Ok), (3, 2, Warning), (1, 1, Warning), (1, 0, Warning)]
    {
        assert_eq!(replication(replicas, in_sync).verdict, verdict, "{replicas} {in_sync}");
    }
}

#[test]
fn min_insync_replicas_must_be_more_than_one_less_than_all_and_fulfilled() {
    for (least, replicas, in_sync, verdict) in [
        ("2", 3, 3, Ok),
        ("2", 3, 2, Ok),
        ("2", 3, 1, Problem),
        ("1", 3, 3, Warning),
        ("3", 3, 3, Warning),
        ("2", 1, 1, Warning),
        ("1", 1, 1, Ok),
    ] {
        let finding = durability(&settings(&[("min.insync.replicas", least)]), replicas, in_sync);
        assert_eq!(finding.verdict, verdict, "{finding:?}");
    }
}

#[test]
fn compaction_is_a_problem_in_every_spelling() {
    for (policy, verdict) in
        [("delete", Ok), ("compact", Problem), ("compact,delete", Problem), ("delete, compact", Problem)]
    {
        assert_eq!(cleanup(&settings(&[("cleanup.policy", policy)])).verdict, verdict, "{policy}");
    }
}

#[test]
fn retention_must_be_longer_than_the_longest_absence() {
    let of = |millis: &str, days: u64| {
        retention(&settings(&[("retention.ms", millis)]), Duration::from_secs(days * 86_400))
    };
    assert_eq!(of("-1", 9999).verdict, Ok);
    assert_eq!(of("604800000", 7).verdict, Ok);
    let short = of("604800000", 8);
    assert_eq!(short.verdict, Warning);
    assert!(short.next_step.unwrap().starts_with("set retention.ms=691200000 or more"));
    for (bytes, verdict) in [("-1", Ok), ("1073741824", Ok), ("1048576", Warning)] {
        assert_eq!(retention_size(&settings(&[("retention.bytes", bytes)])).verdict, verdict, "{bytes}");
    }
    let forgets = |minutes: &str| {
        let found = settings(&[("offsets.retention.minutes", minutes)]);
        group_retention(&found, Duration::from_secs(3 * 86_400)).verdict
    };
    assert_eq!((forgets("10080"), forgets("4320"), forgets("4319")), (Ok, Ok, Warning));
}

#[test]
fn what_the_broker_does_not_tell_is_unknown() {
    let nothing = BTreeMap::new();
    let day = Duration::from_secs(86_400);
    let findings = [
        durability(&nothing, 3, 3),
        cleanup(&nothing),
        retention(&nothing, day),
        retention_size(&nothing),
        timestamps(&nothing),
        event_size(&nothing),
        group_retention(&nothing, day),
        retention(&settings(&[("retention.ms", "soon")]), day),
    ];
    assert!(findings.iter().all(|finding| finding.verdict == Unknown), "{findings:?}");
}

#[test]
fn an_event_needs_room_and_either_kind_of_timestamp_will_do() {
    let of = |bytes: &str| event_size(&settings(&[("max.message.bytes", bytes)])).verdict;
    assert_eq!((of("1048588"), of("1024")), (Ok, Warning));
    let kind = |word: &str| timestamps(&settings(&[("message.timestamp.type", word)]));
    assert!(kind("LogAppendTime").seen.contains("broker's clock"));
    assert!(kind("CreateTime").seen.contains("primaries"));
}

fn stands(offsets: &[Option<(i64, bool)>], bounds: &[(i64, i64)]) -> (Verdict, Option<u64>) {
    let Position { finding, lag } = position(offsets, bounds);
    (finding.verdict, lag)
}

#[test]
fn a_position_is_within_the_topic_or_lost() {
    assert_eq!(stands(&[None, None], &[(0, 5), (0, 5)]), (Warning, None));
    assert_eq!(stands(&[Some((5, false))], &[(0, 5)]), (Ok, Some(0)));
    assert_eq!(stands(&[Some((0, true))], &[(0, 5)]), (Ok, Some(5)));
    assert_eq!(stands(&[Some((2, false))], &[(2, 5)]), (Ok, Some(3)));
    assert_eq!(stands(&[Some((1, false))], &[(2, 5)]), (Problem, Some(3)), "it was trimmed away");
    assert_eq!(stands(&[Some((6, false))], &[(0, 5)]), (Problem, Some(5)), "the topic was made anew");
    assert_eq!(stands(&[Some((3, false)), None], &[(0, 3), (0, 2)]), (Ok, Some(2)), "a partition was added");
}

#[test]
fn a_group_that_another_program_subscribes_with_is_a_problem_by_either_protocol() {
    let error = |kind| Err(backup_tracker::Error::new(kind, "inspect", "seen"));
    for (members, verdict) in [
        (std::result::Result::Ok(0), Ok),
        (std::result::Result::Ok(2), Problem),
        (error(ErrorKind::Config), Problem),
        (error(ErrorKind::Denied), Unknown),
    ] {
        assert_eq!(group_members(&members).verdict, verdict, "{members:?}");
    }
}
