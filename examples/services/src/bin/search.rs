//! A secondary: indexes words, and stands still while a backup or a restore of the application runs.
//!
//! ```text
//! curl -d 'a lamp' http://127.0.0.1:8002/words       index them; waits while an operation runs
//! curl http://127.0.0.1:8002/words                   how many there are
//! curl http://127.0.0.1:8002/readyz                  503 while an operation runs, or before the log is read
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use backup_tracker::{Error, SecondaryBackupTracker, WorkGate};
use backup_tracker_cli::options::{BackupTrackerOptions, KafkaOptions};
use clap::Parser;
use services_example::{serve, start_logging};
use tracing::info;

/// Indexes words, and pauses while the application `shop` is backed up or restored.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8002")]
    listen: SocketAddr,

    #[command(flatten)]
    kafka: KafkaOptions,

    #[command(flatten)]
    backups: BackupTrackerOptions,
}

struct Search {
    secondary: SecondaryBackupTracker,
    gate: WorkGate,
    words: AtomicUsize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    start_logging();
    let secondary = arguments
        .backups
        .secondary(&arguments.kafka, "shop", |secondary| {
            secondary.on_change(|change, _tracker| info!(replay = change.replay, "{}", change.transition))
        })
        .await?;
    let search =
        Search { gate: secondary.gate(), secondary: secondary.clone(), words: AtomicUsize::default() };
    let routes = Router::new()
        .route("/words", get(count).post(index))
        .route("/readyz", get(ready))
        .with_state(Arc::new(search));
    // A secondary that cannot follow any more must not go on working.
    tokio::select! {
        served = serve(arguments.listen, routes) => served?,
        failed = secondary.closed() => failed?,
    }
    secondary.close().await?;
    Ok(())
}

async fn index(State(search): State<Arc<Search>>, text: String) -> Result<StatusCode, (StatusCode, String)> {
    // An error means that the secondary has ended, so that the gate will never open.
    let unavailable = |error: Error| (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"));
    let _permit = search.gate.enter().await.map_err(unavailable)?;
    search.words.fetch_add(text.split_whitespace().count(), Ordering::Relaxed);
    Ok(StatusCode::CREATED)
}

async fn count(State(search): State<Arc<Search>>) -> String {
    format!("{}\n", search.words.load(Ordering::Relaxed))
}

async fn ready(State(search): State<Arc<Search>>) -> (StatusCode, String) {
    let open = search.gate.try_enter().is_some();
    let code = if open { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{}\n", search.secondary.state()))
}
