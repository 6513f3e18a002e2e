//! What a transport has to offer to be measured: our way, and the raw client's way to do the same.

use std::future::Future;

use anyhow::Result;
use backup_tracker::{EventSource, Sink, WireFormat};

use crate::events::Message;

/// A server, and two ways to use it. A clone is the same server.
pub(crate) trait Broker: Clone + Send + Sync + 'static {
    type Sink: Sink + 'static;
    type Source: EventSource + 'static;
    type Producer: RawProducer;
    type Consumer: RawConsumer + 'static;

    /// The format of our sink.
    const FORMAT: WireFormat;

    /// Whether the broker keeps other applications' events from a reader of one.
    const FILTERS: bool = false;

    /// Makes a topic that is empty.
    fn create(&self, topic: &str) -> impl Future<Output = Result<()>> + Send;

    /// Appends many events as fast as the client can.
    fn fill(
        &self,
        topic: &str,
        events: impl Iterator<Item = backup_tracker::Event> + Send,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Ours.
    fn sink(&self, topic: &str) -> impl Future<Output = Result<Self::Sink>> + Send;

    /// Ours, of a group. Where the transport can leave other applications' events at the broker, `application` says whose to
    /// read; elsewhere it is of no account.
    fn source(
        &self,
        topic: &str,
        group: &str,
        application: Option<&str>,
    ) -> impl Future<Output = Result<Self::Source>> + Send;

    /// The raw client's, with the settings of our sink.
    fn producer(&self, topic: &str) -> impl Future<Output = Result<Self::Producer>> + Send;

    /// The raw client's, with the settings of our source, that reads all from the beginning.
    fn consumer(
        &self,
        topic: &str,
        application: Option<&str>,
    ) -> impl Future<Output = Result<Self::Consumer>> + Send;

    /// Commits, by the raw client, all that the topic holds, for a group that [`resume`](Self::resume) goes on with.
    fn settle(&self, topic: &str, group: &str) -> impl Future<Output = Result<()>> + Send;

    /// The raw client's, as its documentation starts a service that goes on where it was.
    fn resume(&self, topic: &str, group: &str) -> impl Future<Output = Result<Self::Consumer>> + Send;
}

/// Sends one message at a time.
pub(crate) trait RawProducer: Send {
    /// Done when the broker has it.
    fn send(&mut self, message: &Message) -> impl Future<Output = Result<()>> + Send;
}

/// Reads.
pub(crate) trait RawConsumer: Send {
    /// Reads so many messages, and looks at each as little as possible. Returns the sum of their sizes, so that no compiler
    /// can leave the reading out.
    fn read(&mut self, count: usize) -> impl Future<Output = Result<usize>> + Send;

    /// Says goodbye where that is due.
    fn close(self) -> impl Future<Output = Result<()>> + Send
    where
        Self: Sized,
    {
        async { Ok(()) }
    }
}
