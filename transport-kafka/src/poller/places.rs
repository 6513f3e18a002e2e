//! Where to read: what the log holds, and which partitions there are.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;

use super::{AGAIN, ASK, End, KEEP, Poller, READ};
use crate::blocking::{Deadline, spawn};
use crate::error::KafkaErrors;
use crate::group;
use crate::items::{Awaited, Item};
use crate::log_check::{self, Checked};
use crate::positions::{self, Client, Progress};

impl Poller {
    /// How long a question to the cluster may hold up the polling.
    pub(super) fn ask(&self) -> Duration {
        ASK.min(self.contact.time() / 4)
    }

    /// Finds out what the log does not hold of what was read, and goes on at its beginning there (S12).
    pub(super) fn find_place(&mut self, client: &Client) -> Result<(), End> {
        let deadline = Deadline::after(self.ask());
        match log_check::check(client, &self.place.topic, &self.progress, deadline) {
            Ok(checked) => {
                // Every leader has answered.
                self.contact.settle();
                self.contact_is_back();
                self.go_on(client, checked)
            }
            Err(cause) => {
                tracing::debug!(topic = %self.place.topic, error = %cause, "what the log holds is not known yet");
                self.last = Some(cause);
                self.misplaced = Some(Instant::now() + AGAIN);
                self.contact.suspect_all();
                if let Err(cause) = positions::assign(client, &self.place.topic, &self.progress) {
                    self.last = Some(cause);
                }
                Ok(())
            }
        }
    }

    /// Reads on from where the check says.
    pub(super) fn go_on(&mut self, client: &Client, checked: Checked) -> Result<(), End> {
        let Checked { progress, high, lost } = checked;
        if let Err(cause) = positions::assign(client, &self.place.topic, &progress) {
            let error = self.place.in_session(READ, cause);
            self.misplaced = Some(Instant::now() + AGAIN);
            return self.report(error);
        }
        self.misplaced = None;
        self.expected = vec![None; progress.len()];
        self.ends = Awaited::all(high);
        self.progress = progress;
        if lost.is_empty() {
            return Ok(());
        }
        // It looks for what is known to be gone.
        self.give_renewal_up();
        let error = positions::lost_error(&self.place, &lost, &self.progress);
        let moved =
            lost.into_iter().map(|(partition, _)| (partition, self.progress[partition].next)).collect();
        self.send(Item::Lost { moved, error })
    }

    /// Lets the broker keep the group's position, where the source has not stored it for long.
    pub(super) fn keep_position(&mut self) {
        let is_stored = self.place.group.is_none() || self.shared.take_stored();
        self.quiet_refreshes = if is_stored { 0 } else { self.quiet_refreshes + 1 };
        if self.quiet_refreshes < KEEP {
            return;
        }
        self.quiet_refreshes = 0;
        let (client, place, partitions) = (self.link.client(), self.place.clone(), self.progress.len());
        let keeping = move || {
            if let Err(error) = group::keep(&client, &place, partitions, ASK) {
                tracing::debug!(%error, "the position is kept later");
            }
        };
        if let Err(error) = spawn("position", keeping) {
            tracing::warn!(%error, "a thread to keep the group's position could not be started");
        }
    }

    /// Reads partitions that were added to the topic, from their beginning.
    pub(super) fn grow(&mut self, client: &Client) -> Result<(), End> {
        let starts = match self.added(client) {
            Ok(starts) if starts.is_empty() => return Ok(()),
            Ok(starts) => starts,
            Err(error) => {
                tracing::debug!(topic = %self.place.topic, %error, "the number of partitions is looked up later");
                return Ok(());
            }
        };
        tracing::info!(topic = %self.place.topic, added = starts.len(), "partitions were added");
        self.send(Item::Grown { starts })
    }

    fn added(&mut self, client: &Client) -> KafkaResult<Vec<i64>> {
        let (topic, ask) = (&self.place.topic, self.ask());
        let metadata = client.fetch_metadata(Some(topic), ask)?;
        let found = metadata.topics().first().map_or(0, |found| found.partitions().len());
        let known = self.progress.len();
        if found <= known {
            return Ok(Vec::new());
        }
        let mut starts = positions::low(client, topic, found, ask)?;
        let high = positions::high(client, topic, found, ask)?;
        starts.drain(..known);
        let mut all = self.progress.clone();
        all.extend(starts.iter().copied().map(Progress::at));
        positions::assign(client, topic, &all)?;
        self.expected = vec![None; found];
        self.contact.begin_anew(found, Instant::now());
        self.progress = all;
        self.ends = Awaited::all(high);
        Ok(starts)
    }
}
