//! The primary: takes orders, and makes the backups of the whole application.
//!
//! ```text
//! curl -d 'a lamp' http://127.0.0.1:8001/orders      take an order
//! curl http://127.0.0.1:8001/orders                  all orders
//! curl -X POST http://127.0.0.1:8001/backup          write them to the file, while every secondary pauses
//! curl -X POST http://127.0.0.1:8001/restore         take them back from there
//! curl http://127.0.0.1:8001/state                   what the application does
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use backup_tracker::{BackupTracker, Error, ErrorKind, PrimaryBackupTracker, WorkError};
use backup_tracker_cli::options::{BackupTrackerOptions, KafkaOptions};
use clap::Parser;
use services_example::{serve, start_logging};
use tokio::fs;
use tokio::sync::Mutex;

/// Takes orders, and makes the backups of the application `shop`.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8001")]
    listen: SocketAddr,

    /// The file that a backup is written to.
    #[arg(long, default_value = "orders.txt")]
    file: PathBuf,

    #[command(flatten)]
    kafka: KafkaOptions,

    #[command(flatten)]
    backups: BackupTrackerOptions,
}

struct Orders {
    primary: PrimaryBackupTracker,
    file: PathBuf,
    taken: Mutex<Vec<String>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    start_logging();
    let primary = arguments.backups.primary(&arguments.kafka, "shop").await?;
    // Whatever an earlier run of this service left unfinished ends here.
    primary.startup_complete().await?;
    let orders = Orders { primary: primary.clone(), file: arguments.file, taken: Mutex::default() };
    let routes = Router::new()
        .route("/orders", get(all).post(take))
        .route("/backup", post(backup))
        .route("/restore", post(restore))
        .route("/state", get(state))
        .with_state(Arc::new(orders));
    serve(arguments.listen, routes).await?;
    primary.close().await?;
    Ok(())
}

async fn take(State(orders): State<Arc<Orders>>, order: String) -> Result<StatusCode, (StatusCode, String)> {
    // The primary has a gate of its own: no order comes in between the lines of a backup.
    let unavailable = |error: Error| (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"));
    let _permit = orders.primary.gate().enter_owned().await.map_err(unavailable)?;
    orders.taken.lock().await.push(order);
    Ok(StatusCode::CREATED)
}

async fn all(State(orders): State<Arc<Orders>>) -> Json<Vec<String>> {
    Json(orders.taken.lock().await.clone())
}

async fn backup(State(orders): State<Arc<Orders>>) -> Result<String, (StatusCode, String)> {
    let work = async {
        // Requests that came before the gate was shut.
        orders.primary.gate().drained().await;
        let lines = orders.taken.lock().await.join("\n");
        fs::write(&orders.file, lines).await
    };
    orders.primary.backup(work).await.map_err(answer)?;
    Ok(format!("written to {}\n", orders.file.display()))
}

async fn restore(State(orders): State<Arc<Orders>>) -> Result<String, (StatusCode, String)> {
    let work = async {
        orders.primary.gate().drained().await;
        let lines = fs::read_to_string(&orders.file).await?;
        *orders.taken.lock().await = lines.lines().map(str::to_owned).collect();
        io::Result::Ok(())
    };
    orders.primary.restore(work).await.map_err(answer)?;
    Ok(format!("restored from {}\n", orders.file.display()))
}

fn answer<T>(error: WorkError<T>) -> (StatusCode, String) {
    let code = match error.announcement() {
        Some(error) if error.kind() == ErrorKind::IllegalTransition => StatusCode::CONFLICT,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (code, format!("{error}\n"))
}

async fn state(State(orders): State<Arc<Orders>>) -> String {
    format!("{}\n", orders.primary.state())
}
