//! The HTTP server: probes, state, events, metrics. It listens on one address, and knows no secrets.

mod events;
mod metrics;
mod routes;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

pub(super) use self::metrics::Metrics;
use super::view::View;

/// How many connections there may be at a time; more wait.
const CONNECTIONS: usize = 512;
/// How long a client may take for the head of a request, and how long a connection may be idle before the next.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait after a connection could not be accepted, for example because there are too many open files.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// How long connections have for their last words when the program ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A server that runs.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    closing: watch::Sender<bool>,
    places: Arc<Semaphore>,
}

/// Listens, and serves from now on.
pub(super) async fn start(address: SocketAddr, view: Arc<View>, metrics: Metrics) -> io::Result<Server> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (closing, closes) = watch::channel(false);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::spawn(metrics.clone().keep_up());
    tokio::spawn(accept(listener, routes::routes(view, metrics), places.clone(), closes));
    Ok(Server { address, closing, places })
}

impl Server {
    /// Accepts no more, and lets answers that are under way come to their end, for a moment.
    pub(super) async fn close(self) {
        self.closing.send_replace(true);
        // Whoever takes longer is cut off by the end of the process.
        drop(timeout(LAST_WORDS, self.places.acquire_many(CONNECTIONS as u32)).await);
    }
}

async fn accept(
    listener: TcpListener,
    routes: Router,
    places: Arc<Semaphore>,
    mut closes: watch::Receiver<bool>,
) {
    loop {
        // Nobody closes the semaphore.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            biased;
            _ = closes.wait_for(|closes| *closes) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _from)) => drop(tokio::spawn(serve(stream, routes.clone(), place, closes.clone()))),
            Err(error) => {
                tracing::warn!(%error, "--http: a connection could not be accepted");
                sleep(AFTER_ERROR).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    routes: Router,
    _place: OwnedSemaphorePermit,
    mut closes: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    let closing = async { drop(closes.wait_for(|closes| *closes).await) };
    let served = tokio::select! {
        served = &mut connection => served,
        () = closing => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "--http: a connection ended early");
    }
}
