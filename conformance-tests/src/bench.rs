//! What a case has in hand: its lane, and waits that are bounded.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backup_tracker::{Error, Event, EventSource, StartAt};
use tokio::time::timeout;
use uuid::Uuid;

use crate::harness::{Fault, Lane, RawRecord};
use crate::profile::{Ability, Profile};
use crate::reader::Reader;
use crate::report::Failure;
use crate::writer::Writer;

/// How a case ends, and every step of it.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// How long that may take which has to be prompt: closing, dropping, and a refusal that needs no I/O.
pub(crate) const PROMPT: Duration = Duration::from_secs(3);

/// How long it may take to restart every broker, one after the other.
const RESTARTS: Duration = Duration::from_secs(90);

/// Between two attempts, where the clause says that one may ask again.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// A failure of the check at the caller's line. The lane's name is added when the case ends.
#[track_caller]
pub(crate) fn failure(expected: impl fmt::Display, seen: impl fmt::Display) -> Failure {
    let place = Location::caller();
    Failure {
        expected: expected.to_string(),
        seen: seen.to_string(),
        lane: String::new(),
        check: format!("{}:{}", place.file(), place.line()),
    }
}

/// Fails unless the two are equal.
#[track_caller]
pub(crate) fn equal<T: PartialEq + fmt::Debug>(what: &str, expected: &T, seen: &T) -> Outcome {
    if expected == seen {
        Ok(())
    } else {
        Err(failure(format_args!("{what}: {expected:?}"), format_args!("{seen:?}")))
    }
}

/// Fails unless the condition holds.
#[track_caller]
pub(crate) fn ensure(holds: bool, expected: impl fmt::Display, seen: impl fmt::Display) -> Outcome {
    if holds { Ok(()) } else { Err(failure(expected, seen)) }
}

/// Fails unless the error is one that passes.
#[track_caller]
pub(crate) fn transient(error: &Error) -> Outcome {
    ensure(error.is_transient(), "an error of kind Unavailable while the broker is gone", describe(error))
}

/// Bounded waits, and a note of the one that is going on.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    pub(crate) patience: Duration,
    pub(crate) quiet: Duration,
    /// Within which time a source must have noticed that it is out of contact.
    pub(crate) contact: Duration,
    doing: Arc<Mutex<String>>,
}

impl Clock {
    pub(crate) fn new(profile: &Profile) -> Self {
        Self {
            patience: profile.patience(),
            quiet: profile.quiet(),
            contact: profile.contact_time() + profile.patience(),
            doing: Arc::new(Mutex::new("nothing yet".to_owned())),
        }
    }

    /// What the case was doing last.
    pub(crate) fn doing(&self) -> String {
        let doing = self.doing.lock();
        doing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, what: &str) {
        let mut doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        what.clone_into(&mut doing);
    }

    /// Waits for what must come.
    #[track_caller]
    pub(crate) fn within<'a, T: Send>(
        &'a self,
        what: impl Into<String>,
        bound: Duration,
        future: impl Future<Output = T> + Send + 'a,
    ) -> impl Future<Output = Outcome<T>> + Send + 'a {
        let what = what.into();
        let missing = failure(format_args!("{what} within {bound:?}"), "it did not end in that time");
        async move {
            self.note(&what);
            timeout(bound, future).await.map_err(|_| missing)
        }
    }

    /// Waits for what must come, and must be `Ok`.
    #[track_caller]
    pub(crate) fn succeeds<'a, T: Send>(
        &'a self,
        what: impl Into<String>,
        future: impl Future<Output = Result<T, Error>> + Send + 'a,
    ) -> impl Future<Output = Outcome<T>> + Send + 'a {
        let what = what.into();
        let mut unlike = failure(format_args!("{what} succeeds"), "");
        let waiting = self.within(what, self.patience, future);
        async move {
            waiting.await?.map_err(|error| {
                unlike.seen = describe(&error);
                unlike
            })
        }
    }

    /// Nothing must come: the only wait whose end is good news. `Some` is what came all the same.
    pub(crate) async fn nothing<T: Send>(
        &self,
        what: &str,
        future: impl Future<Output = T> + Send,
    ) -> Option<T> {
        self.note(what);
        timeout(self.quiet, future).await.ok()
    }
}

/// An error with what `Display` leaves out.
pub(crate) fn describe(error: &Error) -> String {
    format!("{error} [{:?}]", error.delivery())
}

/// A lane, and the means to work with it.
pub(crate) struct Bench<L: Lane> {
    pub(crate) lane: Arc<L>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) clock: Clock,
}

impl<L: Lane> Bench<L> {
    /// Opens a sink.
    #[track_caller]
    pub(crate) fn writer(&self) -> impl Future<Output = Outcome<Writer<L::Sink>>> + Send {
        let opened = self.clock.succeeds("opening a sink", self.lane.sink());
        async { Ok(Writer::new(opened.await?, self.clock.clone())) }
    }

    /// Opens a source; a new group starts at the earliest record.
    #[track_caller]
    pub(crate) fn reader<'a>(
        &'a self,
        group: &'a str,
    ) -> impl Future<Output = Outcome<Reader<L::Source>>> + Send + 'a {
        self.reader_from(group, StartAt::Earliest)
    }

    /// Opens a source.
    #[track_caller]
    pub(crate) fn reader_from<'a>(
        &'a self,
        group: &'a str,
        start: StartAt,
    ) -> impl Future<Output = Outcome<Reader<L::Source>>> + Send + 'a {
        let what = format!("opening a source of group `{group}`");
        let opened = self.clock.succeeds(what, self.lane.source(group, start));
        async move { Ok(Reader::new(opened.await?, group, self.clock.clone())) }
    }

    /// Opens a source without a group.
    #[track_caller]
    pub(crate) fn observer(
        &self,
        start: StartAt,
    ) -> impl Future<Output = Outcome<Reader<L::Source>>> + Send + '_ {
        let opened = self.clock.succeeds("opening an observer", self.lane.observer(start));
        async move { Ok(Reader::new(opened.await?, "(none)", self.clock.clone())) }
    }

    /// Sends events with a sink of their own.
    pub(crate) async fn send(&self, events: &[Event]) -> Outcome {
        self.writer().await?.send_all(events).await
    }

    /// Appends events past the lane's sinks and their connections, where the harness can. Whether it can.
    pub(crate) async fn send_past(&self, events: &[Event]) -> Outcome<bool> {
        if self.profile.reason(Ability::Raw).is_some() {
            return Ok(false);
        }
        for event in events {
            let record = RawRecord::new(&*event.application).key(event.key.to_string());
            let record = event
                .headers
                .iter()
                .fold(record, |record, header| record.header(header.name.clone(), header.value.clone()));
            self.append_raw(record.payload(event.payload.clone())).await?;
        }
        Ok(true)
    }

    /// Appends what no sink of ours would.
    pub(crate) async fn append_raw(&self, record: RawRecord) -> Outcome {
        let appending = self.lane.append_raw(record);
        self.clock.succeeds("appending a raw record", appending).await
    }

    /// Begins the fault, and makes sure that it is real: what has to be confirmed by the broker is not confirmed. The log
    /// must hold a record.
    pub(crate) async fn gone(&self, fault: Fault) -> Outcome {
        let mut probe = self.reader(&format!("probe-{}", Uuid::new_v4())).await?;
        probe.next().await?;
        let inflicting = self.lane.inflict(fault);
        self.clock.succeeds(format!("inflicting {fault:?}"), inflicting).await?;
        let expected = "a commit to be unconfirmed while the broker is gone";
        match self.clock.nothing(expected, probe.source.commit()).await {
            None => {}
            Some(Err(error)) => transient(&error)?,
            Some(Ok(())) => return Err(failure(expected, "it was confirmed")),
        }
        // How long dropping takes without a broker is the matter of other cases.
        tokio::task::spawn_blocking(move || drop(probe));
        Ok(())
    }

    /// Begins the fault. Where the broker can still be reached, it is for the case to make sure that the fault is real.
    pub(crate) async fn begin(&self, fault: Fault) -> Outcome {
        if fault == Fault::PartialBlackHole || fault == Fault::Deny {
            let inflicting = self.lane.inflict(fault);
            return self.clock.succeeds(format!("inflicting {fault:?}"), inflicting).await;
        }
        self.gone(fault).await
    }

    /// A fault that comes and goes while the case works on.
    pub(crate) async fn disturb(&self, fault: Fault) -> Outcome {
        if matches!(fault, Fault::RestartOne | Fault::Roll) {
            // Brokers end and start one after the other.
            let restarting = self.lane.inflict(fault);
            let restarted = self.clock.within(format!("{fault:?} to be over"), RESTARTS, restarting).await?;
            return restarted.map_err(|error| failure("the brokers to be restarted", describe(&error)));
        }
        self.gone(fault).await?;
        tokio::time::sleep(self.clock.quiet).await;
        self.heal().await
    }

    /// Ends the fault.
    pub(crate) async fn heal(&self) -> Outcome {
        self.clock.succeeds("healing", self.lane.heal()).await
    }

    /// Drops the value, which must not block for long.
    #[track_caller]
    pub(crate) fn drop_promptly<T: Send + 'static>(
        &self,
        what: &str,
        value: T,
    ) -> impl Future<Output = Outcome> + Send {
        // On a thread of its own, so that a drop that blocks is seen and does not block the case.
        let dropped = tokio::task::spawn_blocking(move || drop(value));
        let unwound = failure(format_args!("{what} does not panic"), "it panicked");
        let waiting = self.clock.within(what, PROMPT, dropped);
        async move { waiting.await?.map_err(|_| unwound) }
    }
}
