//! Server-sent events: the present state, then every transition.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::routes::{Shown, document};
use crate::commands::watch::feed::Subscription;
use crate::commands::watch::report::{Report, Step};
use crate::commands::watch::view::View;

/// How many may read at a time; fewer than there are connections, so that readers do not keep probes out.
const STREAMS: usize = 256;

/// The places for readers.
#[derive(Clone, Debug)]
pub(super) struct EventStreams(Arc<Semaphore>);

impl Default for EventStreams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

pub(super) async fn events(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let unavailable = |reason: &str| document(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": reason }));
    let Ok(place) = shown.streams.0.try_acquire_owned() else {
        return unavailable("there are too many readers of events");
    };
    let last_seen = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    // An id that is none of ours is one that is not known here.
    let last_seen = last_seen.map(|id| id.trim().parse().unwrap_or(Uuid::nil()));
    // Before the state is read: what comes in between is seen twice, and not missed.
    let Some(subscription) = shown.view.feed.subscribe(last_seen) else {
        return unavailable("the program is about to end");
    };
    let keep_alive = KeepAlive::new().text("nothing new");
    Sse::new(stream(shown.view, subscription, place)).keep_alive(keep_alive).into_response()
}

struct Reader {
    view: Arc<View>,
    receiver: Receiver<Arc<Step>>,
    due: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

fn stream(
    view: Arc<View>,
    Subscription { missed, receiver }: Subscription,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let mut due = VecDeque::from([state(&view)]);
    match missed {
        Some(missed) => due.extend(missed.into_iter().map(transition)),
        None => due.push_front(lagged(None)),
    }
    unfold(Reader { view, receiver, due, _place: place }, async |mut reader| {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    })
}

impl Reader {
    /// None when the program ends.
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.due.pop_front() {
            return Some(event);
        }
        match self.receiver.recv().await {
            Ok(step) => Some(transition(step)),
            Err(RecvError::Lagged(lost)) => {
                self.due.push_back(state(&self.view));
                Some(lagged(Some(lost)))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

fn state(view: &View) -> Event {
    Event::default().event("state").data(view.state().to_string())
}

fn transition(step: Arc<Step>) -> Event {
    let id = step.id.to_string();
    // A report of plain fields has a form in JSON.
    let data = serde_json::to_string(&Report::Transition(step)).unwrap_or_default();
    Event::default().event("transition").id(id).data(data)
}

/// How many transitions the reader has lost, where that is known.
fn lagged(lost: Option<u64>) -> Event {
    Event::default().event("lagged").data(json!({ "lost": lost }).to_string())
}
