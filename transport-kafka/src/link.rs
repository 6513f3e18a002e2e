//! The client that a session has at the moment.

use std::sync::{Arc, Mutex, PoisonError};

use crate::blocking::drop_elsewhere;
use crate::positions::Client;

/// The client with which a session reads and asks. It is replaced where librdkafka does not get over a fault.
pub(crate) struct Link(Mutex<Arc<Client>>);

impl Link {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self(Mutex::new(client))
    }

    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is being asked of the old client is answered or fails there.
    pub(crate) fn replace(&self, client: Arc<Client>) {
        let old = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), client);
        drop_elsewhere(old);
    }
}
