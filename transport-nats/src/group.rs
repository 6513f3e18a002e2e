//! A group's position: fixed when the group is new, and moved forwards.

use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind, Result, StartAt};
use tokio::time::Instant;
use tracing::debug;

use crate::error::{Failure, NatsErrors};
use crate::link::Link;
use crate::opening::Opening;
use crate::position::{Held, Key, Stored, Written};
use crate::stream::{Log, StreamInfo};

const COMMIT: &str = "commit";

/// How often a write is tried that others are faster than.
const CONFLICTS: usize = 32;

#[derive(Debug)]
pub(crate) struct Group {
    key: Key,
    /// What the key held when it was last read or written, and its revision. None when nobody knows.
    stored: Option<(Stored, u64)>,
}

impl Group {
    /// The group's position, or its start if it is new, which is then fixed (S8). It is written in any case, so that a user
    /// who may not is told now and not at the first commit.
    pub(crate) async fn open(
        opening: &Opening<'_>,
        key: Key,
        info: &StreamInfo,
        start: StartAt,
    ) -> Result<(Self, Stored)> {
        let Opening { link, place, operation, deadline, .. } = *opening;
        for _ in 0..CONFLICTS {
            let held = key.read(link, deadline).await.map_err(|failure| opening.failure(failure))?;
            let stored = match held.value {
                Some(value) => key.parse(&value, place, operation)?,
                None => Stored::start(info, start),
            };
            match key.write(link, &stored, held.revision, deadline).await {
                Ok(Written::Done { revision }) => {
                    let group = Self { key, stored: Some((stored.clone(), revision)) };
                    return Ok((group, stored));
                }
                Ok(Written::Conflict) => {}
                Err(failure) => return Err(opening.failure(failure)),
            }
        }
        Err(conflicts(place, operation))
    }

    /// Moves the position to the target, unless it is beyond already (S5).
    pub(crate) async fn advance(
        &mut self,
        session: Session<'_>,
        target: Stored,
        deadline: Instant,
    ) -> Result<()> {
        let Session { link, place, .. } = session;
        for _ in 0..CONFLICTS {
            // Taken out: until this ends well, nobody knows what the key holds.
            let (stored, revision) = match self.stored.take() {
                Some((stored, revision)) => (Some(stored), revision),
                None => self.read(session, deadline).await?,
            };
            if let Some(stored) = stored
                && !session.may_move(&stored, &target, deadline).await?
            {
                self.stored = Some((stored, revision));
                return Ok(());
            }
            debug!(?target, revision, "moving the position");
            match self.key.write(link, &target, revision, deadline).await {
                Ok(Written::Done { revision }) => {
                    self.stored = Some((target, revision));
                    return Ok(());
                }
                Ok(Written::Conflict) => {}
                Err(failure) => return Err(self.explain(session, failure, deadline).await),
            }
        }
        Err(conflicts(place, COMMIT))
    }

    async fn read(&self, session: Session<'_>, deadline: Instant) -> Result<(Option<Stored>, u64)> {
        let Session { link, place, .. } = session;
        let held = self.key.read(link, deadline).await;
        let Held { value, revision } = held.map_err(|failure| place.failure(COMMIT, failure))?;
        let stored = value.map(|value| self.key.parse(&value, place, COMMIT)).transpose()?;
        Ok((stored, revision))
    }

    async fn explain(&self, session: Session<'_>, failure: Failure, deadline: Instant) -> Error {
        let Session { link, place, .. } = session;
        // No bucket, or one without a leader: that makes a difference to who could mend it.
        if let Failure::NoResponders(_) = failure
            && StreamInfo::is_missing(link, self.key.stream(), deadline).await
        {
            let message = format!("there is no key-value bucket `{}` any more", self.key.bucket());
            return place.error(ErrorKind::NotFound, COMMIT, message);
        }
        place.failure(COMMIT, failure)
    }
}

/// What a commit needs of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session<'a> {
    pub(crate) link: &'a Link,
    pub(crate) place: &'a Place,
    pub(crate) log: &'a Log,
}

impl Session<'_> {
    /// Whether the target is not behind what is stored, which may be another replica's.
    async fn may_move(&self, stored: &Stored, target: &Stored, deadline: Instant) -> Result<bool> {
        if stored.stream_created == target.stream_created {
            return Ok(stored.sequence <= target.sequence);
        }
        // One of them speaks of a stream that is gone; a position there is worth nothing.
        let info = self.log.info(self.link, deadline).await;
        let info = info.map_err(|failure| self.place.failure(COMMIT, failure))?;
        Ok(info.created == target.stream_created)
    }
}

fn conflicts(place: &Place, operation: &'static str) -> Error {
    let message = format!("others wrote the position first, {CONFLICTS} times in a row");
    place.error(ErrorKind::Unavailable, operation, message)
}
