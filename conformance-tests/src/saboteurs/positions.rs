//! Positions that can be set at will, made of groups of a sound transport that each commit once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use backup_tracker::{EventSource, Result, StartAt};
use uuid::Uuid;

use crate::harness::Lane;

/// For each group, the group of the sound transport that stands for its position, and how many records lie before it.
#[derive(Default)]
pub(super) struct Positions(Mutex<HashMap<String, (String, u64)>>);

impl Positions {
    fn map(&self) -> MutexGuard<'_, HashMap<String, (String, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The group that stands for this one; itself, when nothing was set.
    pub(super) fn get(&self, group: &str) -> (String, u64) {
        let found = self.map().get(group).cloned();
        found.unwrap_or_else(|| (group.to_owned(), 0))
    }

    pub(super) fn forget(&self, group: &str) {
        self.map().remove(group);
    }

    /// Lets another group stand for this one.
    pub(super) fn rename(&self, group: &str, stand_in: String, before: u64) {
        self.map().insert(group.to_owned(), (stand_in, before));
    }

    /// Sets the group's position behind so many records of the log, or at its end.
    pub(super) async fn set<L: Lane>(&self, lane: &L, group: &str, before: u64) -> Result<()> {
        let stand_in = format!("{group}-{}", Uuid::new_v4());
        let mut source = lane.source(&stand_in, StartAt::Earliest).await?;
        let mut read = 0;
        while read < before && source.remaining().await?.total() > 0 {
            source.next().await?;
            read += 1;
        }
        if read > 0 {
            source.commit().await?;
        }
        self.rename(group, stand_in, read);
        Ok(())
    }
}
