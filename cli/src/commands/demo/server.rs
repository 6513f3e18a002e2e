//! A log of the demo's own on a server of the user's: nothing that was there is touched, and nothing stays.

mod nats;
mod redis;

use std::future::Future;
use std::time::Duration;

use backup_tracker::{ErrorKind, Result};
use tokio::runtime::Builder;
use tokio::time::timeout;
use uuid::Uuid;

pub(super) use self::nats::NatsLog;
pub(super) use self::redis::RedisLog;
use super::cast::Who;
use super::trouble::Trouble;

/// How long a removal may take; a server that is gone is not waited for.
const REMOVAL_LIMIT: Duration = Duration::from_secs(3);

/// The group that opens first, and with which the stream comes into being. It is new all the same when it opens again.
const FIRST_GROUP: &str = Who::Search.name();

/// What the demo could not remove.
#[derive(Debug, thiserror::Error)]
#[error("{what} may still be there: {why}; remove it with `{mend}`")]
pub(super) struct Left {
    what: String,
    why: String,
    mend: String,
}

/// A name that nobody else uses.
fn fresh_name() -> String {
    let id = Uuid::new_v4().simple().to_string();
    format!("backup-tracker-demo-{}", &id[..12])
}

/// Whether a source that opens where nothing was created yet finds nothing, as it must. Everything else that could be wrong
/// with the server, or with the user's permissions, shows here.
fn finds_nothing<S>(opened: Result<S>, what: String) -> std::result::Result<(), Trouble> {
    match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Trouble::Taken(what)),
    }
}

/// Carries out a removal, on a runtime of its own and not for ever. An error says why it failed.
pub(super) fn block(
    removal: impl Future<Output = std::result::Result<(), String>>,
) -> std::result::Result<(), String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async { limited(removal).await })
}

async fn limited(
    removal: impl Future<Output = std::result::Result<(), String>>,
) -> std::result::Result<(), String> {
    let late = |_elapsed| format!("the server did not answer within {REMOVAL_LIMIT:?}");
    timeout(REMOVAL_LIMIT, removal).await.map_err(late).flatten()
}
