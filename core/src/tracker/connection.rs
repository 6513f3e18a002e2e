//! A sink or a source that may have to be opened first.

use crate::erased::Opener;
use crate::error::{Delivery, Result};
use crate::sink::Sink;

#[derive(Debug)]
pub(super) enum Connection<S> {
    Open(S),
    Opening(Opener<S>),
}

impl<S> Connection<S> {
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Opens it where that is not done yet: one attempt, which may be dropped half-way.
    pub(super) async fn open(&mut self) -> Result<&mut S> {
        if let Self::Opening(opener) = self {
            let opened = opener.open().await;
            *self = Self::Open(opened.map_err(|error| error.with_delivery(Delivery::NotSent))?);
        }
        match self {
            Self::Open(open) => Ok(open),
            // It was opened above.
            Self::Opening(_) => Err(crate::error::Error::closed("open")),
        }
    }

    pub(super) fn into_open(self) -> Option<S> {
        match self {
            Self::Open(open) => Some(open),
            Self::Opening(_) => None,
        }
    }
}

impl<S: Sink> Connection<S> {
    pub(super) async fn close(self) -> Result<()> {
        match self {
            Self::Open(sink) => sink.close().await,
            Self::Opening(_) => Ok(()),
        }
    }
}
