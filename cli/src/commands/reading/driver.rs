//! Reads a log into a ledger, through outages.

use std::time::Duration;

use backup_tracker::{Backlog, BoxSource, Error, ErrorKind, EventSource, Record, Result, RetryPolicy, Waits};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use crate::ledger::Ledger;

/// A log on the way into a ledger.
#[derive(Debug)]
pub(in crate::commands) struct Reading {
    source: BoxSource,
    ledger: Ledger,
    backlog: Backlog,
    started: Instant,
    /// Whether what remains is to be counted before the next record.
    to_count: bool,
    /// When to go on after trouble.
    resume_at: Option<Instant>,
    waits: Waits,
    lost_before: bool,
}

/// What came of reading on.
#[derive(Debug)]
pub(in crate::commands) enum Progress {
    /// A record was read.
    Record,
    /// The source has said how much remains.
    Counted,
    /// Records were lost; the reading begins again at the earliest that there is.
    Lost(Error),
    /// It cannot be read now. Reading on waits a little first.
    Trouble(Error),
}

impl Reading {
    pub(in crate::commands) fn new(source: BoxSource) -> Self {
        Self {
            source,
            ledger: Ledger::default(),
            backlog: Backlog::new(),
            started: Instant::now(),
            to_count: true,
            resume_at: None,
            waits: patience().waits(),
            lost_before: false,
        }
    }

    pub(in crate::commands) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether all is read that the log held when it was opened (T10): only then does the ledger say how things are.
    pub(in crate::commands) const fn is_caught_up(&self) -> bool {
        self.backlog.is_read()
    }

    /// Reads on until something is worth telling. Cancel safe. An error is permanent.
    pub(in crate::commands) async fn advance(&mut self) -> Result<Progress> {
        if let Some(resume_at) = self.resume_at {
            sleep_until(resume_at).await;
            self.resume_at = None;
        }
        loop {
            if self.to_count {
                return match self.source.remaining().await {
                    Ok(remaining) => {
                        debug!(remaining = remaining.total(), "counted what the log holds");
                        self.backlog.count(remaining);
                        self.to_count = false;
                        Ok(Progress::Counted)
                    }
                    Err(error) => self.troubled(error),
                };
            }
            let due = self.backlog.recount_due().map(|due| self.started + due);
            let next = tokio::select! {
                biased;
                next = self.source.next() => next,
                () = sleep_until(due.unwrap_or(self.started)), if due.is_some() => {
                    self.to_count = self.backlog.recount(self.started.elapsed());
                    continue;
                }
            };
            return match next {
                Ok(Some(record)) => {
                    self.record(&record);
                    Ok(Progress::Record)
                }
                Ok(None) => Err(Error::new(ErrorKind::Lost, "read the log", "it has ended for good")),
                Err(error) => self.troubled(error),
            };
        }
    }

    fn record(&mut self, record: &Record) {
        self.lost_before = false;
        self.waits = patience().waits();
        let position = record.position;
        self.backlog.record(position, self.started.elapsed());
        match self.ledger.record(record) {
            Ok(step) => debug!(%position, id = %step.transition.id, "applied: {}", step.transition),
            Err(reason) => warn!(%position, "skipped: {reason}"),
        }
    }

    fn troubled(&mut self, error: Error) -> Result<Progress> {
        if error.kind() == ErrorKind::Lost {
            // A source that says nothing else is not asked in a hot loop.
            if std::mem::replace(&mut self.lost_before, true) {
                self.back_off();
            }
            self.ledger.lose();
            self.backlog.lose();
            self.to_count = true;
            return Ok(Progress::Lost(error));
        }
        if !error.is_transient() {
            return Err(error);
        }
        self.back_off();
        self.to_count = true;
        Ok(Progress::Trouble(error))
    }

    fn back_off(&mut self) {
        let wait = self.waits.next().unwrap_or(RetryPolicy::DEFAULT_LONGEST);
        self.resume_at = Some(Instant::now() + wait);
    }

    /// Ends the reading; the ledger remains.
    pub(in crate::commands) async fn close(self) -> Ledger {
        if let Err(error) = self.source.close().await {
            // All that was to be read is read.
            warn!(%error, "closing the source failed");
        }
        self.ledger
    }
}

/// How a log is tried again that cannot be read.
pub(in crate::commands) const fn patience() -> RetryPolicy {
    RetryPolicy::new().for_ever().longest(Duration::from_secs(2))
}

#[cfg(test)]
mod tests;
