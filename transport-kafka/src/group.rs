//! What a live session does with its group's position: bind it to an application, and move it.
//!
//! Kafka compares nothing. So a session looks at what is stored before it stores anything: whose it is (S16), and whether it is
//! still there. A broker deletes a group's offsets together with the topic, so that a position that has vanished belongs to a log
//! that is gone, and written down again it would make the next session skip records of the new log (S12).

use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::{ErrorKind, Result};

use crate::error::{KafkaErrors, code_of, kind_of};
use crate::mark::{Mark, Owner};
use crate::positions::{self, Client, Progress, Stored};

pub(crate) const CLAIM: &str = "claim";
pub(crate) const COMMIT: &str = "commit";
const KEEP: &str = "keep the position";

/// What a session knows of its group's position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// To whom the session has bound it.
    pub(crate) owner: Option<Owner>,
    /// In which partitions the broker was last known to hold an offset of the log that is read.
    pub(crate) held: Vec<bool>,
    /// Whether it was said that the position is gone.
    warned: bool,
}

impl Group {
    pub(crate) fn holding(held: Vec<bool>) -> Self {
        Self { held, ..Self::default() }
    }

    /// In these partitions a commit was confirmed.
    pub(crate) fn wrote(&mut self, place: &Place, written: &[bool]) {
        for (held, written) in self.held.iter_mut().zip(written) {
            *held |= written;
        }
        if written.contains(&false) && !std::mem::replace(&mut self.warned, true) {
            let (topic, group) = (&place.topic, place.group.as_deref().unwrap_or_default());
            tracing::warn!(
                topic,
                group,
                "the broker has deleted the group's position, as it does with a topic; this session does not store it again"
            );
        }
    }

    /// The log's records were lost, and the broker may hold nothing for what is read now.
    pub(crate) fn begin_anew(&mut self, partition: usize) {
        if let Some(held) = self.held.get_mut(partition) {
            *held = false;
        }
    }
}

/// Binds what is stored to the application (S16).
pub(crate) fn claim(
    client: &Client,
    place: &Place,
    partitions: usize,
    owner: &Owner,
    timeout: Duration,
) -> Result<()> {
    let stored = stored(client, place, CLAIM, partitions, Some(owner), timeout)?;
    let mut unbound = stored
        .into_iter()
        .enumerate()
        .filter_map(|(partition, stored)| Some((partition, stored?)))
        .filter(|(_, stored)| stored.mark.owner.is_none())
        .map(|(partition, Stored { offset, mark })| {
            (partition, Stored { offset, mark: Mark { owner: Some(owner.clone()), ..mark } })
        })
        .peekable();
    if unbound.peek().is_none() {
        return Ok(());
    }
    let stored = positions::store(client, &place.topic, unbound);
    stored.map_err(|cause| place.in_session(CLAIM, cause))
}

/// Moves the position to these offsets, and says in which partitions the broker holds it now.
pub(crate) fn commit(
    client: &Client,
    place: &Place,
    progress: &[Progress],
    group: &Group,
    timeout: Duration,
) -> Result<Vec<bool>> {
    let stored = stored(client, place, COMMIT, progress.len(), group.owner.as_ref(), timeout)?;
    let held = |partition: usize| group.held.get(partition).copied().unwrap_or_default();
    let is_there: Vec<bool> =
        stored.iter().enumerate().map(|(at, stored)| stored.is_some() || !held(at)).collect();
    let moved =
        stored.into_iter().zip(progress).enumerate().filter(|(partition, _)| is_there[*partition]).map(
            |(partition, (stored, &Progress { next, behind }))| {
                // Who has not claimed the position leaves it to whom it belongs.
                let owner = group.owner.clone().or_else(|| stored?.mark.owner);
                (partition, Stored { offset: next, mark: Mark { is_start: false, owner, behind } })
            },
        );
    if is_there.iter().all(|is_there| !is_there) {
        return Ok(is_there);
    }
    let stored = positions::store(client, &place.topic, moved);
    match stored {
        Ok(()) => Ok(is_there),
        // The records are gone, and nothing is left that could be replayed; `next` reports it.
        Err(cause) if code_of(&cause).is_some_and(|code| kind_of(code) == ErrorKind::Lost) => {
            tracing::debug!(error = %cause, "nothing is committed");
            Ok(vec![false; progress.len()])
        }
        Err(cause) => Err(place.in_session(COMMIT, cause)),
    }
}

/// Stores again what is stored, as it is: a broker forgets the offsets of a group that is silent for too long, and a group does not
/// move while it is new or while an operation runs.
pub(crate) fn keep(client: &Client, place: &Place, partitions: usize, timeout: Duration) -> Result<()> {
    let stored = stored(client, place, KEEP, partitions, None, timeout)?;
    let mut stored = stored.into_iter().enumerate().filter_map(|(at, stored)| Some((at, stored?))).peekable();
    if stored.peek().is_none() {
        return Ok(());
    }
    positions::store(client, &place.topic, stored).map_err(|cause| place.in_session(KEEP, cause))
}

/// What is stored, unless it is another application's.
fn stored(
    client: &Client,
    place: &Place,
    operation: &'static str,
    partitions: usize,
    owner: Option<&Owner>,
    timeout: Duration,
) -> Result<Vec<Option<Stored>>> {
    let found = positions::ask_for_stored(client, &place.topic, partitions, timeout);
    let stored = found.map_err(|cause| place.in_session(operation, cause))?;
    let owners = stored.iter().flatten().filter_map(|stored| stored.mark.owner.as_ref());
    match (owner, owners.clone().find(|found| Some(*found) != owner)) {
        (Some(ours), Some(theirs)) => {
            let (group, topic) = (place.group.as_deref().unwrap_or_default(), &place.topic);
            let remedy =
                format!("`kafka-consumer-groups.sh --delete-offsets --group {group} --topic {topic}`");
            Err(place.claimed_by(operation, &theirs.to_string(), &ours.to_string(), Some(&remedy)))
        }
        _ => Ok(stored),
    }
}
