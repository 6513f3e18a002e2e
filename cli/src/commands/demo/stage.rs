//! Where the demo plays: on a runtime of its own, whose end can be waited for, so that nothing comes to a server after what
//! the demo had there was removed. A tracker that is dropped goes on for a while: it still announces the end of an operation.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::broker::DemoLog;
use super::complain;
use super::record::Recorder;
use super::script;
use super::server::Left;
use super::trouble::Trouble;

/// How long what still runs may take to end.
const WIND_UP: Duration = Duration::from_secs(1);

/// Dropped, it is cleared; what could not be removed is told on standard error. That blocks for some seconds at most, when
/// the server is gone.
#[derive(Debug)]
pub(super) struct Stage {
    log: Arc<DemoLog>,
    handle: Handle,
    /// None once it is cleared.
    runtime: Option<Runtime>,
}

impl Stage {
    pub(super) fn new(log: DemoLog) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        Ok(Self { log: Arc::new(log), handle, runtime: Some(runtime) })
    }

    /// Creates the log.
    pub(super) fn prepare(&self) -> impl Future<Output = Result<(), Trouble>> + Send + use<> {
        let log = Arc::clone(&self.log);
        self.run(async move { log.create().await })
    }

    /// Plays the script.
    pub(super) fn play(
        &self,
        recorder: Recorder,
    ) -> impl Future<Output = Result<(), Trouble>> + Send + use<> {
        let log = Arc::clone(&self.log);
        self.run(async move { script::play(&log, &recorder).await })
    }

    fn run<F>(&self, task: F) -> impl Future<Output = Result<(), Trouble>> + Send + use<F>
    where
        F: Future<Output = Result<(), Trouble>> + Send + 'static,
    {
        let running = self.handle.spawn(task);
        async move { running.await.map_err(Trouble::from).flatten() }
    }

    /// Ends everything, and removes what the demo has on a server. Blocks, as dropping does.
    pub(super) fn clear(mut self) -> Result<(), Left> {
        self.strike()
    }

    fn strike(&mut self) -> Result<(), Left> {
        let Some(runtime) = self.runtime.take() else { return Ok(()) };
        let log = Arc::clone(&self.log);
        // A runtime cannot be ended, nor another one be begun, on a thread that belongs to a third.
        let striking = thread::spawn(move || {
            runtime.shutdown_timeout(WIND_UP);
            log.remove()
        });
        match striking.join() {
            Ok(struck) => struck,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(left) = self.strike() {
            complain(&left);
        }
    }
}
