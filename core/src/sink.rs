//! The writing half of a transport.

use std::future::Future;

use crate::error::Result;
use crate::event::Event;
use crate::wire::WireFormat;

/// Appends events to a log, durably and in order.
///
/// Implementors write plain `async fn`s. A sink never retries: it returns at once with a typed error, and
/// [`PrimaryBackupTracker`](crate::PrimaryBackupTracker) retries in one place.
///
/// # Contract
///
/// - **K1** `Ok` means durable: the broker has the event, as safely as it keeps anything.
/// - **K2** Sends of one sink keep their order, also those whose outcome is unknown: such an event comes before everything that
///   the same sink was told succeeded later, or not at all. Otherwise a beginning could appear behind its own undoing, and
///   everybody would stay paused.
/// - **K3** An error says by [`Error::delivery`](crate::Error::delivery) whether the event is certainly not in the log
///   ([`NotSent`](crate::Delivery::NotSent)) or may be ([`Unknown`](crate::Delivery::Unknown)). A dropped `send` is
///   unknown.
/// - **K4** An event that is too large is refused as [`Rejected`](crate::ErrorKind::Rejected) and `NotSent`, before any
///   I/O.
/// - **K5** Key, payload and headers come back from a source unchanged.
/// - **K6** A sink heals: after a failed send the next one succeeds as soon as that of a new sink would. A client that is stuck or
///   dead is replaced; K2 holds across the replacement. No error of a send ends the sink, except that it was closed or displaced.
/// - **K7** Credentials are read again for each connection ([`Secret`](crate::Secret)). This holds for sources, too.
pub trait Sink: Send {
    /// Appends one event. `Ok` means durable (K1).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe in the sense that matters: after dropping the future nobody knows whether the event is in the log
    /// (K3). The sink itself stays usable, and later sends come after the dropped one or without it (K2).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when it may help to try again, any other kind when it will not;
    /// always with a [`Delivery`](crate::Delivery).
    fn send(&mut self, event: &Event) -> impl Future<Output = Result<()>> + Send;

    /// The format in which transitions are written when the user does not choose one.
    fn wire_format(&self) -> WireFormat {
        WireFormat::Cbor
    }

    /// Gives the connection back. Every event whose `send` returned `Ok` is durable already, so there is nothing to
    /// flush, and dropping the sink is as good: that is all it does in a transport that has nothing to say goodbye to.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the sink.
    ///
    /// # Errors
    ///
    /// What the client library reports while it disconnects.
    fn close(self) -> impl Future<Output = Result<()>> + Send
    where
        Self: Sized,
    {
        async move {
            drop(self);
            Ok(())
        }
    }
}
