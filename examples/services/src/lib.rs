//! What the two services of the example share: logs on standard error, and a server that ends on Ctrl-C.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tracing::info;

/// Serves until Ctrl-C.
///
/// # Errors
///
/// The address cannot be listened on, or the server failed.
pub async fn serve(address: SocketAddr, routes: Router) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    info!("listening on http://{}", listener.local_addr()?);
    let interrupted = async {
        if let Err(error) = ctrl_c().await {
            tracing::error!("cannot wait for Ctrl-C: {error}");
        }
    };
    axum::serve(listener, routes).with_graceful_shutdown(interrupted).await
}

/// Logs go to standard error; RUST_LOG says which.
pub fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
