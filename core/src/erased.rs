//! The erased twins of the two traits, for callers that choose the transport at run time. All boxing of the crate's traits
//! is in this file.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::error::Result;
use crate::event::{Event, Record};
use crate::sink::Sink;
use crate::source::EventSource;
use crate::wire::WireFormat;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

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
    fn remaining(&mut self) -> BoxFuture<'_, Result<u64>>;
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

    fn remaining(&mut self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(EventSource::remaining(self))
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

    async fn remaining(&mut self) -> Result<u64> {
        self.0.remaining().await
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
