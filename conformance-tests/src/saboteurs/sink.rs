//! A sink that is broken.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use backup_tracker::{Delivery, Error, ErrorKind, Event, Header, Result, Sink};
use bytes::Bytes;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::Sabotage;
use super::lane::Notes;
use crate::harness::Lane;

/// The sink of a [`SabotagedLane`](super::SabotagedLane).
pub struct SabotagedSink<L: Lane> {
    inner: L::Sink,
    sabotage: Sabotage,
    notes: Arc<Notes>,
    held: VecDeque<Event>,
    sending: bool,
    /// A send that failed, to be repeated.
    late: Option<Event>,
    /// A send failed.
    failed: bool,
    /// How often credentials had been renewed when it was opened.
    renewals: usize,
}

impl<L: Lane> SabotagedSink<L> {
    pub(super) fn new(inner: L::Sink, sabotage: Sabotage, notes: Arc<Notes>) -> Self {
        let renewals = notes.renewals();
        let held = VecDeque::new();
        Self { inner, sabotage, notes, held, sending: false, late: None, failed: false, renewals }
    }

    fn broken(&self, event: &Event) -> Event {
        let mut event = event.clone();
        match self.sabotage {
            Sabotage::TruncatesPayloads => {
                let end = event.payload.iter().position(|byte| *byte == 0);
                event.payload.truncate(end.unwrap_or(usize::MAX));
            }
            Sabotage::LosesHeaders => event.headers.clear(),
            Sabotage::MergesHeaders => {
                let mut merged: Vec<Header> = Vec::new();
                for header in event.headers.drain(..) {
                    merged.retain(|earlier| earlier.name != header.name);
                    merged.push(header);
                }
                event.headers = merged;
            }
            Sabotage::HeadersAreText => {
                for header in &mut event.headers {
                    header.value = Bytes::from(String::from_utf8_lossy(&header.value).into_owned());
                }
            }
            Sabotage::RenewsIds if self.held.contains(&event) => event.key = Uuid::new_v4(),
            _ => {}
        }
        event
    }

    fn is_too_large(&self, event: &Event) -> bool {
        event.payload.len() > self.notes.max_event_bytes
    }

    async fn send_held(&mut self, but: usize) -> Result<()> {
        while self.held.len() > but {
            if let Some(event) = self.held.pop_front() {
                self.inner.send(&event).await?;
            }
        }
        Ok(())
    }

    async fn pass_on(&mut self, event: &Event) -> Result<()> {
        match self.sabotage {
            // One behind: each send brings the one before into the log.
            Sabotage::AcknowledgesBeforeDurable | Sabotage::AppearsLate => {
                self.held.push_back(event.clone());
                self.send_held(1).await
            }
            Sabotage::ReordersSends => {
                self.held.push_front(event.clone());
                if self.held.len() == 2 { self.send_held(0).await } else { Ok(()) }
            }
            Sabotage::ForgetsOnClose => {
                self.held.push_back(event.clone());
                self.send_held(1).await
            }
            Sabotage::MixesSinks => self.swap(event).await,
            Sabotage::RenewsIds => {
                let sent = self.inner.send(&self.broken(event)).await;
                self.held.push_back(event.clone());
                sent
            }
            _ => self.inner.send(&self.broken(event)).await,
        }
    }

    /// Leaves the event to whoever sends next, and sends what was left before, in an order of its own.
    async fn swap(&mut self, event: &Event) -> Result<()> {
        let left = {
            let mut limbo = self.notes.limbo();
            limbo.push(event.clone());
            if limbo.len() < 4 { Vec::new() } else { std::mem::take(&mut *limbo) }
        };
        for event in left.iter().rev() {
            self.inner.send(event).await?;
        }
        Ok(())
    }
}

impl<L: Lane> Sink for SabotagedSink<L> {
    async fn send(&mut self, event: &Event) -> Result<()> {
        match self.sabotage {
            Sabotage::SwallowsOversize if self.is_too_large(event) => return Ok(()),
            Sabotage::RefusesTooMuch if event.payload.len() > self.notes.max_event_bytes / 4 => {
                let error = Error::new(ErrorKind::Rejected, "send", "it is too large");
                return Err(error.with_delivery(Delivery::NotSent));
            }
            Sabotage::AsksTheBrokerAboutSize if self.is_too_large(event) && self.notes.is_gone() => {
                return Err(Error::new(ErrorKind::Unavailable, "send", "the broker is gone"));
            }
            Sabotage::AcknowledgesWithoutABroker if self.notes.is_gone() => {
                self.notes.limbo().push(event.clone());
                return Ok(());
            }
            Sabotage::NeverHeals if self.failed => {
                let error = Error::new(ErrorKind::Unavailable, "send", "the client does not work");
                return Err(error.with_delivery(Delivery::NotSent));
            }
            Sabotage::SinkKeepsOldCredentials if self.renewals < self.notes.renewals() => {
                let error = Error::new(ErrorKind::Denied, "send", "the password is wrong");
                return Err(error.with_delivery(Delivery::NotSent).into_transient());
            }
            Sabotage::BreaksOnACancelledSend => {
                if std::mem::replace(&mut self.sending, true) {
                    return Err(Error::new(ErrorKind::Internal, "send", "a send is still under way"));
                }
                tokio::task::yield_now().await;
            }
            _ => {}
        }
        self.notes.wrote(event);
        let sent = self.pass_on(event).await;
        self.sending = false;
        if sent.is_ok() && self.sabotage == Sabotage::FailsOnceMore && std::mem::take(&mut self.failed) {
            return Err(Error::new(ErrorKind::Unavailable, "send", "the client is not there yet"));
        }
        self.failed |= sent.is_err();
        if self.sabotage == Sabotage::BringsUnknownLate {
            match &sent {
                Ok(()) => {
                    if let Some(late) = self.late.take() {
                        self.inner.send(&late).await?;
                    }
                }
                Err(error) if error.delivery() == Delivery::Unknown => self.late = Some(event.clone()),
                Err(_) => {}
            }
        }
        match sent {
            Err(error) if error.is_transient() && self.sabotage == Sabotage::LiesAboutNotSent => {
                self.notes.limbo().push(event.clone());
                Err(error.with_delivery(Delivery::NotSent))
            }
            Err(error) if self.sabotage == Sabotage::TakesUnknownForNotSent => {
                Err(error.with_delivery(Delivery::NotSent))
            }
            sent => sent,
        }
    }

    async fn close(mut self) -> Result<()> {
        if self.sabotage == Sabotage::ForgetsOnClose {
            self.held.clear();
        }
        Ok(())
    }
}

impl<L: Lane> Drop for SabotagedSink<L> {
    fn drop(&mut self) {
        if matches!(self.sabotage, Sabotage::AppearsLate | Sabotage::ForgetsOnClose) {
            while let Some(event) = self.held.pop_front() {
                // What does not get through at once is lost: this is a saboteur.
                let _lost = self.inner.send(&event).now_or_never();
            }
        }
    }
}

impl<L: Lane> fmt::Debug for SabotagedSink<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SabotagedSink").field("sabotage", &self.sabotage).finish_non_exhaustive()
    }
}
