//! The erased twins of the traits: for callers that choose the transport at run time, and for lists of listeners. All
//! boxing of the crate's traits is in this file.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{BoxError, Result};
use crate::event::{Event, Record};
use crate::listener::{Change, Listener, Notice};
use crate::protocol::calls::Call;
use crate::sink::Sink;
use crate::source::{EventSource, Remaining};
use crate::state::BackupState;
use crate::tracker::BackupTracker;
use crate::transition::BackupTransition;
use crate::wire::{Others, WireFormat};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

trait DynSink: Send {
    fn send<'a>(&'a mut self, event: &'a Event) -> BoxFuture<'a, Result<()>>;
    fn wire_format(&self) -> WireFormat;
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

impl<S: Sink + 'static> DynSink for S {
    fn send<'a>(&'a mut self, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(Sink::send(self, event))
    }

    fn wire_format(&self) -> WireFormat {
        Sink::wire_format(self)
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(Sink::close(*self))
    }
}

/// A [`Sink`] of any transport.
pub struct BoxSink(Box<dyn DynSink>);

impl BoxSink {
    /// Erases the type of a sink.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self(Box::new(sink))
    }
}

impl Sink for BoxSink {
    async fn send(&mut self, event: &Event) -> Result<()> {
        self.0.send(event).await
    }

    fn wire_format(&self) -> WireFormat {
        self.0.wire_format()
    }

    async fn close(self) -> Result<()> {
        self.0.close().await
    }
}

impl fmt::Debug for BoxSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxSink").finish_non_exhaustive()
    }
}

trait DynSource: Send {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Record>>>;
    fn commit(&mut self) -> BoxFuture<'_, Result<()>>;
    fn resumed(&self) -> bool;
    fn remaining(&mut self) -> BoxFuture<'_, Result<Remaining>>;
    fn claim<'a>(&'a mut self, application: &'a str) -> BoxFuture<'a, Result<()>>;
    fn leave_out(&mut self, others: Others);
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

impl<S: EventSource + 'static> DynSource for S {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Record>>> {
        Box::pin(EventSource::next(self))
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(EventSource::commit(self))
    }

    fn resumed(&self) -> bool {
        EventSource::resumed(self)
    }

    fn remaining(&mut self) -> BoxFuture<'_, Result<Remaining>> {
        Box::pin(EventSource::remaining(self))
    }

    fn claim<'a>(&'a mut self, application: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(EventSource::claim(self, application))
    }

    fn leave_out(&mut self, others: Others) {
        EventSource::leave_out(self, others);
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(EventSource::close(*self))
    }
}

/// An [`EventSource`] of any transport.
pub struct BoxSource(Box<dyn DynSource>);

impl BoxSource {
    /// Erases the type of a source.
    pub fn new(source: impl EventSource + 'static) -> Self {
        Self(Box::new(source))
    }
}

impl EventSource for BoxSource {
    async fn next(&mut self) -> Result<Option<Record>> {
        self.0.next().await
    }

    async fn commit(&mut self) -> Result<()> {
        self.0.commit().await
    }

    fn resumed(&self) -> bool {
        self.0.resumed()
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        self.0.remaining().await
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        self.0.claim(application).await
    }

    fn leave_out(&mut self, others: Others) {
        self.0.leave_out(others);
    }

    async fn close(self) -> Result<()> {
        self.0.close().await
    }
}

impl fmt::Debug for BoxSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxSource").finish_non_exhaustive()
    }
}

trait DynTracker: Send + Sync {
    fn state(&self) -> BackupState;
    fn startup_complete(&self) -> BoxFuture<'_, Result<BackupTransition>>;
    fn start_backup(&self) -> BoxFuture<'_, Result<BackupTransition>>;
    fn finish_backup(&self) -> BoxFuture<'_, Result<BackupTransition>>;
    fn start_restore(&self) -> BoxFuture<'_, Result<BackupTransition>>;
    fn finish_restore(&self) -> BoxFuture<'_, Result<BackupTransition>>;
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}

impl<T: BackupTracker> DynTracker for T {
    fn state(&self) -> BackupState {
        BackupTracker::state(self)
    }

    fn startup_complete(&self) -> BoxFuture<'_, Result<BackupTransition>> {
        Box::pin(BackupTracker::startup_complete(self))
    }

    fn start_backup(&self) -> BoxFuture<'_, Result<BackupTransition>> {
        Box::pin(BackupTracker::start_backup(self))
    }

    fn finish_backup(&self) -> BoxFuture<'_, Result<BackupTransition>> {
        Box::pin(BackupTracker::finish_backup(self))
    }

    fn start_restore(&self) -> BoxFuture<'_, Result<BackupTransition>> {
        Box::pin(BackupTracker::start_restore(self))
    }

    fn finish_restore(&self) -> BoxFuture<'_, Result<BackupTransition>> {
        Box::pin(BackupTracker::finish_restore(self))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(BackupTracker::close(self))
    }
}

/// A [`BackupTracker`] of any kind, for a service that is given a [`PrimaryBackupTracker`](crate::PrimaryBackupTracker) or a
/// [`SimpleBackupTracker`](crate::SimpleBackupTracker) at run time.
///
/// Cheap to clone; the clones are the same tracker. What only one kind has, for example
/// [`backup`](crate::PrimaryBackupTracker::backup), is used before its type is erased.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> backup_tracker::Result<()> {
/// # use backup_tracker::{BackupTracker, BoxTracker, PrimaryBackupTracker, SimpleBackupTracker};
/// # let (log, alone) = (backup_tracker_memory::MemoryLog::new("backups")?, true);
/// let tracker = if alone {
///     BoxTracker::new(SimpleBackupTracker::new("shop")?)
/// } else {
///     BoxTracker::new(PrimaryBackupTracker::builder("shop", log.sink()).build()?)
/// };
/// tracker.startup_complete().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BoxTracker(Arc<dyn DynTracker>);

impl BoxTracker {
    /// Erases the type of a tracker.
    pub fn new(tracker: impl BackupTracker + 'static) -> Self {
        Self(Arc::new(tracker))
    }
}

impl BackupTracker for BoxTracker {
    fn state(&self) -> BackupState {
        self.0.state()
    }

    async fn startup_complete(&self) -> Result<BackupTransition> {
        self.0.startup_complete().await
    }

    async fn start_backup(&self) -> Result<BackupTransition> {
        self.0.start_backup().await
    }

    async fn finish_backup(&self) -> Result<BackupTransition> {
        self.0.finish_backup().await
    }

    async fn start_restore(&self) -> Result<BackupTransition> {
        self.0.start_restore().await
    }

    async fn finish_restore(&self) -> Result<BackupTransition> {
        self.0.finish_restore().await
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

impl fmt::Debug for BoxTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxTracker").field("state", &BackupTracker::state(self)).finish_non_exhaustive()
    }
}

/// Opens a sink or a source, as often as it takes.
pub(crate) struct Opener<S>(Box<dyn FnMut() -> BoxFuture<'static, Result<S>> + Send>);

impl<S> Opener<S> {
    pub(crate) fn new<F, R>(mut open: F) -> Self
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = Result<S>> + Send + 'static,
    {
        Self(Box::new(move || Box::pin(open())))
    }

    pub(crate) async fn open(&mut self) -> Result<S> {
        (self.0)().await
    }
}

impl<S> fmt::Debug for Opener<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

trait DynListener<T>: Send + Sync {
    fn on_change<'a>(&'a self, change: &'a Change, tracker: &'a T) -> BoxFuture<'a, Result<(), BoxError>>;
    fn on_notice<'a>(&'a self, notice: &'a Notice, tracker: &'a T) -> BoxFuture<'a, Result<(), BoxError>>;
}

impl<T: Sync, L: Listener<T>> DynListener<T> for L {
    fn on_change<'a>(&'a self, change: &'a Change, tracker: &'a T) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(Listener::on_change(self, change, tracker))
    }

    fn on_notice<'a>(&'a self, notice: &'a Notice, tracker: &'a T) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(Listener::on_notice(self, notice, tracker))
    }
}

/// Any [`Listener`], with its name for the logs.
pub(crate) struct BoxListener<T> {
    listener: Box<dyn DynListener<T>>,
    pub(crate) name: &'static str,
}

impl<T: Sync> BoxListener<T> {
    pub(crate) fn new<L: Listener<T>>(listener: L) -> Self {
        Self { listener: Box::new(listener), name: std::any::type_name::<L>() }
    }

    pub(crate) fn call<'a>(&'a self, call: &'a Call, tracker: &'a T) -> BoxFuture<'a, Result<(), BoxError>> {
        match call {
            Call::Change(change) => self.listener.on_change(change, tracker),
            Call::Notice(notice) => self.listener.on_notice(notice, tracker),
        }
    }
}

impl<T> fmt::Debug for BoxListener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoxListener").field(&self.name).finish()
    }
}
