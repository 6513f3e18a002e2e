//! What is good and bad about a secondary's consumer group.

use std::collections::BTreeSet;

use backup_tracker::{ErrorKind, Result};
use backup_tracker_kafka::{GroupInspection, Inspection};

use super::settings;
use crate::commands::doctor::finding::{Checkup, Finding};
use crate::commands::doctor::need::Need;

pub(super) fn group(found: &Inspection, need: &Need<'_>, checkup: &mut Checkup) -> Option<u64> {
    let Some(GroupInspection { offsets, members, .. }) = &found.group else {
        for check in ["group", "group_members", "group_retention"] {
            checkup.push(Finding::unknown(
                check,
                "no group is named",
                "give --group to have a secondary's looked at",
            ));
        }
        return None;
    };
    let position = match (offsets, &found.bounds) {
        (Ok(offsets), Ok(bounds)) => {
            let offsets: Vec<_> =
                offsets.iter().map(|stored| stored.map(|stored| (stored.offset, stored.is_start))).collect();
            position(&offsets, bounds)
        }
        (Err(error), _) if error.kind() == ErrorKind::Denied => Position {
            finding: Finding::problem(
                "group",
                error.message(),
                "let the secondary's user have the ACL `Read` on the group, which brings `Describe` along",
            ),
            lag: None,
        },
        (Err(error), _) | (_, Err(error)) => Position {
            finding: Finding::untold("group", error, "the ACL `Describe` on the topic"),
            lag: None,
        },
    };
    checkup.push(position.finding);
    checkup.push(group_members(members));
    checkup.push(match &found.broker_settings {
        Ok(settings) => settings::group_retention(settings, need.absence),
        Err(error) => Finding::untold("group_retention", error, "the ACL `DescribeConfigs` on the cluster"),
    });
    position.lag
}

pub(super) fn group_members(members: &Result<usize>) -> Finding {
    const CHECK: &str = "group_members";
    const NEXT: &str =
        "give the secondary a group of its own: with members in it the broker refuses its commits";
    match members {
        Ok(0) => Finding::ok(CHECK, "nobody has joined the group, as it should be"),
        Ok(count) => {
            let seen = format!("{count} members have joined the group: another program subscribes with it");
            Finding::problem(CHECK, seen, NEXT)
        }
        // A group of the newer protocol: it exists because somebody subscribed.
        Err(error) if error.kind() == ErrorKind::Config => Finding::problem(CHECK, error.message(), NEXT),
        Err(error) => Finding::untold(CHECK, error, "the ACL `Describe` on the group"),
    }
}

/// A finding about a position, and how far it is from the end of the topic.
pub(super) struct Position {
    pub(super) finding: Finding,
    pub(super) lag: Option<u64>,
}

/// Offsets, each with whether it is only a start, and each partition's first and last.
pub(super) fn position(offsets: &[Option<(i64, bool)>], bounds: &[(i64, i64)]) -> Position {
    const CHECK: &str = "group";
    if offsets.iter().all(Option::is_none) {
        let finding = Finding::warning(
            CHECK,
            "it has no position: nobody has opened it yet, or it was away for so long that the broker forgot it",
            "correct --group, or start the secondary; it begins where --read-policy says",
        );
        return Position { finding, lag: None };
    }
    let lost: BTreeSet<_> = offsets
        .iter()
        .zip(bounds)
        .enumerate()
        .filter(|(_, (stored, (low, high)))| {
            stored.is_some_and(|(offset, _)| !(*low..=*high).contains(&offset))
        })
        .map(|(partition, _)| partition.to_string())
        .collect();
    // Where none is stored the partition is new, and read from its beginning.
    let lag = offsets
        .iter()
        .zip(bounds)
        .map(|(stored, &(low, high))| {
            let offset = stored.map_or(low, |(offset, _)| offset);
            u64::try_from(high - if (low..=high).contains(&offset) { offset } else { low })
                .unwrap_or_default()
        })
        .sum();
    let finding = if !lost.is_empty() {
        let partitions = lost.into_iter().collect::<Vec<_>>().join(", ");
        Finding::problem(
            CHECK,
            format!("the topic does not hold its position any more (partition {partitions})"),
            "raise the retention; the secondary's next start says `Lost` once and goes on at the earliest event",
        )
    } else if offsets.iter().flatten().all(|(_, is_start)| *is_start) {
        Finding::ok(CHECK, "its start is fixed; it has not committed yet")
    } else {
        let offsets: Vec<_> = offsets
            .iter()
            .map(|stored| stored.map_or_else(|| "-".to_owned(), |(offset, _)| offset.to_string()))
            .collect();
        Finding::ok(CHECK, format!("its position is at offset {}", offsets.join(", ")))
    };
    Position { finding, lag: Some(lag) }
}
