//! The life of a secondary's background task: opening, following, and an end of which everybody hears.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};

use super::board::EndOfBoard;
use super::connection::Connection;
use super::dispatch::{CLOSE_GRACE, panic_message};
use super::follow::{Follower, Surroundings};
use super::patience::Patience;
use crate::error::{Error, ErrorKind, Result};
use crate::health::Activity;
use crate::listener::Notice;
use crate::protocol::calls::Call;
use crate::protocol::secondary::{Secondary, Settings};
use crate::source::EventSource;

pub(super) struct Following<S> {
    pub(super) connection: Connection<S>,
    pub(super) application: Arc<str>,
    pub(super) settings: Settings,
}

/// How far a following has come.
enum Progress<S> {
    Opening(Box<Surroundings>),
    Follows(Box<Follower<S>>),
    /// Only between the two.
    Between,
}

impl<S: EventSource> Following<S> {
    /// Follows until it is told to close, or until a permanent error or a panic ends it. `end` was made before this began, so
    /// that the board ends however this ends.
    pub(super) async fn run(self, around: Surroundings, mut close: watch::Receiver<bool>, end: EndOfBoard) {
        let board = around.board.clone();
        let mut progress = Progress::Opening(Box::new(around));
        let following = AssertUnwindSafe(self.follow(&mut progress)).catch_unwind();
        let result = tokio::select! {
            biased;
            closed = close.wait_for(|close| *close) => match closed {
                Ok(_) => Ok(()),
                Err(_no_handle_is_left) => return,
            },
            result = following => result.unwrap_or_else(|panic| {
                let message = format!("the following panicked: {}", panic_message(panic));
                Err(Error::new(ErrorKind::Internal, "follow", message))
            }),
        };
        board.end_gate(&result);
        if result.is_err() {
            // Before the source and the listeners, which may wait for anything, and before the log, which may be what panicked.
            board.end(result.clone());
        }
        match &result {
            Ok(()) => debug!("closing"),
            Err(error) => error!(%error, "following ended; the gate is shut for good"),
        }
        let last = match &result {
            Ok(()) => Notice::Closed,
            Err(error) => Notice::Failed { error: error.clone() },
        };
        let finished = finish(progress, last).await;
        end.with(result.and(finished));
    }

    async fn follow(self, progress: &mut Progress<S>) -> Result<()> {
        let Self { mut connection, application, settings } = self;
        let Progress::Opening(around) = &mut *progress else { return Ok(()) };
        open(&mut connection, around).await?;
        let Some(source) = connection.into_open() else { return Ok(()) };
        let machine = Secondary::new(application, settings, source.resumed());
        around.board.publish(machine.view());
        if let Progress::Opening(around) = std::mem::replace(progress, Progress::Between) {
            *progress = Progress::Follows(Box::new(Follower::new(source, machine, *around)));
        }
        match progress {
            Progress::Follows(follower) => follower.follow().await,
            Progress::Opening(_) | Progress::Between => Ok(()),
        }
    }
}

/// Opens a source, through errors that pass.
async fn open<S: EventSource>(connection: &mut Connection<S>, around: &mut Surroundings) -> Result<()> {
    let mut patience = Patience::new(around.retry);
    while !connection.is_open() {
        match connection.open().await {
            Ok(_) => around.works(Activity::Contact),
            Err(error) if error.is_transient() => {
                let wait = patience.fail();
                around.trouble(Activity::Contact, error, wait)?;
                sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Closes the source, and lets the listeners finish, each for a limited time.
async fn finish<S: EventSource>(progress: Progress<S>, last: Notice) -> Result<()> {
    let around = match progress {
        Progress::Follows(follower) => {
            let (source, calls, around) = follower.end();
            around.backlog.set(0);
            around.calls.set(0);
            match timeout(CLOSE_GRACE, AssertUnwindSafe(source.close()).catch_unwind()).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => warn!(%error, "closing the source failed"),
                Ok(Err(panic)) => error!(panic = panic_message(panic), "closing the source panicked"),
                Err(_elapsed) => {
                    warn!(limit = ?CLOSE_GRACE, "closing the source took too long and was given up")
                }
            }
            for call in calls {
                drop(around.dispatcher.call(call));
            }
            around
        }
        Progress::Opening(around) => *around,
        Progress::Between => return Ok(()),
    };
    drop(around.dispatcher.call(Call::Notice(last)));
    let Surroundings { dispatcher, board, .. } = around;
    dispatcher.finish(&board).await
}
