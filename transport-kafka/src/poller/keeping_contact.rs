//! Contact with the leaders of the partitions: asking, reporting, and making a new client (S13).

use std::sync::Arc;
use std::time::{Duration, Instant};

use backup_tracker::{Error, ErrorKind};
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{AGAIN, End, Outage, POKE, Poller, READ, is_due, is_refusal};
use crate::blocking::drop_elsewhere;
use crate::error::{KafkaErrors, code_of};
use crate::items::Awaited;
use crate::log_check::Checked;
use crate::positions::{self, Client};
use crate::renewal::{Renewal, State};

impl Poller {
    /// Asks whoever is silent, and reports who stays so (S13).
    pub(super) fn keep_contact(&mut self, client: &Client) -> Result<(), End> {
        let again = if self.outage.is_some() { AGAIN } else { Duration::MAX };
        for partition in self.contact.due(self.now, again) {
            self.look(client, partition);
        }
        let silent = self.contact.silent(self.now);
        match &self.outage {
            None if silent.is_none() => return Ok(()),
            Some(outage) if silent.is_none() && self.contact.all_heard_since(outage.since) => {
                tracing::info!(topic = %self.place.topic, "the leaders of all partitions answer again");
                self.contact_is_back();
                return Ok(());
            }
            _ => {}
        }
        let now = self.now;
        let outage = self.outage.get_or_insert(Outage::begins(now, None));
        if is_due(outage.reported, AGAIN, now) {
            outage.reported = Some(now);
            let error = self.out_of_contact(silent);
            self.report(error)?;
        }
        if let Some(outage) = self.outage.as_mut().filter(|outage| is_due(outage.poked, POKE, now)) {
            outage.poked = Some(now);
            // Returns as soon as a broker is there, so records do not wait for this.
            if let Err(cause) = client.fetch_metadata(Some(&self.place.topic), self.patience()) {
                self.last = Some(cause);
            }
        }
        if silent.is_some() || self.last.as_ref().and_then(code_of).is_some_and(is_refusal) {
            self.renew()?;
        }
        Ok(())
    }

    pub(super) fn contact_is_back(&mut self) {
        (self.outage, self.last) = (None, None);
        self.give_renewal_up();
    }

    pub(super) fn give_renewal_up(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            // It may hold a client.
            drop_elsewhere(renewal);
        }
    }

    fn out_of_contact(&self, silent: Option<(usize, Duration)>) -> Error {
        let last = self.last.clone().unwrap_or(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut));
        let error = self.place.in_session(READ, last);
        let Some((partition, silence)) = silent else { return error };
        let message = format!(
            "partition {partition}: its leader has not answered for {} s: {}",
            silence.as_secs(),
            error.message()
        );
        let told = self.place.error(ErrorKind::Unavailable, READ, message);
        match error.cause() {
            Some(cause) => told.with_cause(cause).with_source(error),
            None => told.with_source(error),
        }
    }

    /// Makes a new client beside this one, or puts it in its place when it is ready.
    fn renew(&mut self) -> Result<(), End> {
        match self.renewal.as_ref().map_or(State::Over, Renewal::state) {
            State::Pending => Ok(()),
            State::Ready(ready) => {
                self.renewal = None;
                let (client, checked) = *ready;
                self.replace(client, checked)
            }
            State::Over => {
                let begun = Renewal::begin(&self.make, &self.place, &self.progress, self.contact.time());
                self.renewal = begun
                    .inspect_err(
                        |error| tracing::warn!(%error, "a thread for a new client could not be started"),
                    )
                    .ok();
                Ok(())
            }
        }
    }

    /// Goes on with a new client, which knows where the session was when it was made.
    fn replace(&mut self, client: Client, mut checked: Checked) -> Result<(), End> {
        if checked.progress.len() != self.progress.len() {
            drop_elsewhere(client);
            return Ok(());
        }
        // The old one may have brought records since.
        for (partition, progress) in checked.progress.iter_mut().enumerate() {
            let is_lost = checked.lost.iter().any(|(lost, _)| *lost == partition);
            if !is_lost {
                *progress = self.progress[partition];
            }
        }
        tracing::info!(topic = %self.place.topic, "a new client takes over, because the old one got no answer");
        let client = Arc::new(client);
        self.link.replace(Arc::clone(&client));
        self.contact_is_back();
        self.contact.begin_anew(checked.progress.len(), Instant::now());
        let went_on = self.go_on(&client, checked);
        drop_elsewhere(client);
        went_on.and(Err(End::Renewed))
    }

    /// Makes librdkafka report the partition's end again, which then is at `end` or behind it.
    pub(super) fn look_again(&mut self, client: &Client, partition: usize, end: i64) {
        // A report is on its way, and looking again would only put it off.
        let awaited = self.ends.get(partition).copied().flatten();
        if awaited.is_some_and(|awaited| awaited.since.elapsed() < self.ask()) {
            return;
        }
        if self.look(client, partition) {
            self.ends[partition] = Some(Awaited::now(end));
        }
    }

    /// Reads the partition again from the last record that was read. So its leader has to answer, and what it answers shows whether
    /// the log is still the same.
    fn look(&mut self, client: &Client, partition: usize) -> bool {
        let Some(progress) = self.progress.get(partition) else {
            return false;
        };
        // What was fetched and not polled yet is outdated from here on, also an end that was reported before.
        let offset = Offset::Offset(progress.behind.map_or(progress.next, |seen| seen.offset));
        match client.seek(&self.place.topic, positions::number(partition), offset, Duration::ZERO) {
            Ok(()) => {
                self.expected[partition] = progress.behind;
                self.contact.asked(partition, Instant::now());
                true
            }
            Err(error) => {
                tracing::debug!(topic = %self.place.topic, partition, %error, "the partition is asked later");
                false
            }
        }
    }
}
