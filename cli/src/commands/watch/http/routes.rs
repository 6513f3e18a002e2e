//! What is answered to which path.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::events::{EventStreams, events};
use super::metrics::Metrics;
use crate::commands::watch::view::View;

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) view: Arc<View>,
    pub(super) streams: EventStreams,
    metrics: Metrics,
}

/// Another method than GET or HEAD is answered with 405.
pub(super) fn routes(view: Arc<View>, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/state", get(state))
        .route("/events", get(events))
        .route("/metrics", get(prometheus))
        .fallback(unknown)
        .with_state(Shown { view, streams: EventStreams::default(), metrics })
}

async fn live(State(shown): State<Shown>) -> Response {
    match shown.view.failure() {
        None => document(StatusCode::OK, &json!({ "live": true })),
        Some(reason) => {
            document(StatusCode::SERVICE_UNAVAILABLE, &json!({ "live": false, "reason": reason }))
        }
    }
}

async fn ready(State(shown): State<Shown>) -> Response {
    let state = shown.view.tracker.get().map(|tracker| tracker.state());
    match shown.view.unready() {
        None => document(StatusCode::OK, &json!({ "ready": true, "state": state })),
        Some((because, reason)) => document(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "ready": false, "state": state, "unready_because": because, "reason": reason }),
        ),
    }
}

async fn state(State(shown): State<Shown>) -> Response {
    document(StatusCode::OK, &shown.view.state())
}

async fn prometheus(State(shown): State<Shown>) -> Response {
    let headers = [(CONTENT_TYPE, PROMETHEUS_TEXT), (CACHE_CONTROL, "no-store")];
    (headers, shown.metrics.render()).into_response()
}

async fn unknown() -> Response {
    let paths = ["/livez", "/readyz", "/state", "/events", "/metrics"];
    document(StatusCode::NOT_FOUND, &json!({ "error": "there is nothing here", "paths": paths }))
}

pub(super) fn document(status: StatusCode, document: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, format!("{document}\n")).into_response()
}
