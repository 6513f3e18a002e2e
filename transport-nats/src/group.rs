//! A group's position: fixed when the group is new, and moved forwards.

use async_nats::jetstream::ErrorCode;
use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind, Result};
use tokio::time::Instant;
use tracing::debug;

use crate::error::{Failure, NatsErrors};
use crate::identity::Bookmark;
use crate::link::Link;
use crate::opening::Opening;
use crate::position::{Held, Key, Stored, Written};
use crate::stream::{Log, StreamInfo};

/// How often a write is tried that others are faster than.
const CONFLICTS: usize = 32;

#[derive(Debug)]
pub(crate) struct Group {
    key: Key,
    /// What the key held when it was last read or written, and its revision. None when nobody knows.
    stored: Option<(Stored, u64)>,
    /// To which this session binds the group (S16); `None` until it is told.
    application: Option<String>,
}

impl Group {
    /// The group's position, or its start if it is new, which is then fixed (S8). It is written in any case, so that a user
    /// who may not is told now and not at the first commit.
    pub(crate) async fn open(opening: &Opening<'_>, key: Key, start: Bookmark) -> Result<(Self, Stored)> {
        let Opening { link, place, operation, deadline, .. } = *opening;
        for _ in 0..CONFLICTS {
            let held = key.read(link, deadline).await.map_err(|failure| opening.failure(failure))?;
            let stored = match held.value {
                Some(value) => key.parse(&value, place, operation)?,
                None => Stored::new(start.clone(), false),
            };
            match key.write(link, &stored, held.revision, deadline).await {
                Ok(Written::Done { revision }) => {
                    let group = Self { key, stored: Some((stored.clone(), revision)), application: None };
                    return Ok((group, stored));
                }
                Ok(Written::Conflict) => {}
                Err(failure) => return Err(opening.failure(failure)),
            }
        }
        Err(conflicts(place, operation))
    }

    /// Binds the position to the application (S16).
    pub(crate) async fn claim(
        &mut self,
        session: Session<'_>,
        application: &str,
        deadline: Instant,
    ) -> Result<()> {
        self.application = Some(application.to_owned());
        for _ in 0..CONFLICTS {
            let (held, revision) = self.held(session, deadline).await?;
            // A key that was deleted since opening is written by the first commit, which notes the application.
            let Some(held) = held else { return Ok(()) };
            if held.application.is_some() {
                self.stored = Some((held, revision));
                return Ok(());
            }
            let bound = Stored { application: self.application.clone(), ..held };
            if self.write(session, bound, revision, deadline).await? {
                return Ok(());
            }
        }
        Err(conflicts(session.place, session.operation))
    }

    /// Moves the position to the target, unless it is beyond already (S5).
    pub(crate) async fn advance(
        &mut self,
        session: Session<'_>,
        target: Stored,
        deadline: Instant,
    ) -> Result<()> {
        for _ in 0..CONFLICTS {
            let (held, revision) = self.held(session, deadline).await?;
            let noted = held.as_ref().and_then(|held| held.application.clone());
            let application = self.application.clone().or(noted);
            let stored = match held {
                Some(held) if !session.may_move(&held, &target, deadline).await? => {
                    if held.application == application {
                        self.stored = Some((held, revision));
                        return Ok(());
                    }
                    // An earlier version wrote it, which dropped the application.
                    Stored { application, ..held }
                }
                _ => Stored { application, ..target.clone() },
            };
            debug!(?stored, revision, "moving the position");
            if self.write(session, stored, revision, deadline).await? {
                return Ok(());
            }
        }
        Err(conflicts(session.place, session.operation))
    }

    /// What the key holds, and its revision, if the group is not another application's. Until a write has ended well, nobody knows
    /// any more.
    async fn held(&mut self, session: Session<'_>, deadline: Instant) -> Result<(Option<Stored>, u64)> {
        let (held, revision) = match self.stored.take() {
            Some((stored, revision)) => (Some(stored), revision),
            None => self.read(session, deadline).await?,
        };
        let owner = held.as_ref().and_then(|held| held.application.as_ref());
        if let (Some(owner), Some(application)) = (owner, &self.application)
            && owner != application
        {
            return Err(self.taken(session, owner, application));
        }
        Ok((held, revision))
    }

    /// Whether it was written. If not, somebody else was faster.
    async fn write(
        &mut self,
        session: Session<'_>,
        stored: Stored,
        revision: u64,
        deadline: Instant,
    ) -> Result<bool> {
        match self.key.write(session.link, &stored, revision, deadline).await {
            Ok(Written::Done { revision }) => {
                self.stored = Some((stored, revision));
                Ok(true)
            }
            Ok(Written::Conflict) => Ok(false),
            Err(failure) => Err(self.explain(session, failure, deadline).await),
        }
    }

    fn taken(&self, session: Session<'_>, owner: &str, application: &str) -> Error {
        let delete = self.key.delete_command();
        session.place.claimed_by(session.operation, owner, application, Some(&format!("`{delete}`")))
    }

    async fn read(&self, session: Session<'_>, deadline: Instant) -> Result<(Option<Stored>, u64)> {
        let Session { link, place, operation, .. } = session;
        let held = self.key.read(link, deadline).await;
        let Held { value, revision } = held.map_err(|failure| place.in_session(operation, failure))?;
        let stored = value.map(|value| self.key.parse(&value, place, operation)).transpose();
        Ok((stored.map_err(Error::into_transient)?, revision))
    }

    async fn explain(&self, session: Session<'_>, failure: Failure, deadline: Instant) -> Error {
        let Session { link, place, operation, .. } = session;
        // No bucket, or one without a leader: that makes a difference to who could repair it.
        let Failure::NoResponders(_) = failure else { return place.in_session(operation, failure) };
        match StreamInfo::why_missing(link, self.key.stream(), deadline).await {
            Some(why) if why.is(ErrorCode::STREAM_NOT_FOUND) => {
                let message = format!("there is no key-value bucket `{}` any more", self.key.bucket());
                place.error(ErrorKind::NotFound, operation, message).into_transient()
            }
            why => place.in_session(operation, why.unwrap_or(failure)),
        }
    }
}

/// What a commit or a claim needs of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session<'a> {
    pub(crate) link: &'a Link,
    pub(crate) place: &'a Place,
    pub(crate) log: &'a Log,
    pub(crate) operation: &'static str,
}

impl Session<'_> {
    /// Whether the target is not behind what is stored, which may be another replica's.
    async fn may_move(&self, stored: &Stored, target: &Stored, deadline: Instant) -> Result<bool> {
        if stored.stream_created == target.stream_created && stored.sequence <= target.sequence {
            return Ok(true);
        }
        match self.is_worth_more(stored, target, deadline).await {
            Ok(worth_more) => Ok(worth_more),
            Err(failure) if failure.is(ErrorCode::STREAM_NOT_FOUND) => Ok(false),
            Err(failure) => Err(self.place.in_session(self.operation, failure)),
        }
    }

    /// A position in a stream that is gone, or in a part of it that was lost, is worth nothing.
    async fn is_worth_more(
        &self,
        stored: &Stored,
        target: &Stored,
        deadline: Instant,
    ) -> Result<bool, Failure> {
        let Self { link, log, .. } = *self;
        let info = log.info(link, deadline).await?;
        if !target.bookmark().belongs_to(log, link, &info, deadline).await? {
            return Ok(false);
        }
        let ahead = stored.sequence > target.sequence;
        Ok(!ahead || !stored.bookmark().belongs_to(log, link, &info, deadline).await?)
    }
}

fn conflicts(place: &Place, operation: &'static str) -> Error {
    let message = format!("others wrote the position first, {CONFLICTS} times in a row");
    place.error(ErrorKind::Unavailable, operation, message)
}
