//! Cases that need Apache Kafka, and are shown as ignored where there is none.

#![allow(dead_code, reason = "no test program uses all of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are the tests' own steps")]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backup_tracker_test_servers::Kafka as Server;
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Builder;
use tokio::time::timeout;

/// How long a case may take.
const BOUND: Duration = Duration::from_secs(120);

type Running = Pin<Box<dyn Future<Output = ()>>>;

/// Which broker a case can do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any, also one that runs already.
    Any,
    /// Brokers of its own, with other settings, or to be killed.
    Own,
}

pub(crate) struct Case<T> {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    /// What the cases of a program share is made for the first that runs.
    pub(crate) run: fn(Arc<T>) -> Running,
}

/// A constant `CASES` with these async functions.
macro_rules! cases {
    ($shared:ty, $needs:expr; $($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[$crate::cases::Case<$shared>] = &[$($crate::cases::Case {
            name: stringify!($name),
            needs: $needs,
            run: |shared| Box::pin($name(shared)),
        }),*];
    };
}
pub(crate) use cases;

/// A test program that runs these cases, so many at once.
pub(crate) fn run<T: Send + Sync + 'static>(
    start: impl Fn() -> io::Result<Arc<T>> + Send + Sync + 'static,
    at_once: usize,
    cases: &[&[Case<T>]],
) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(at_once);
    let shared = Arc::new(Mutex::new(None));
    let start = Arc::new(start);
    let missing = Server::find().err();
    let trials = cases.iter().copied().flatten().map(|&Case { name, needs, run }| {
        let is_enough = needs == Needs::Any && running().is_some();
        let missing = missing.clone().filter(|_| !is_enough);
        let (shared, start) = (Arc::clone(&shared), Arc::clone(&start));
        Trial::ignorable_test(name, move || {
            if let Some(missing) = missing {
                return Ok(Completion::ignored_with(missing.reason));
            }
            let shared = {
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                match &*shared {
                    Some(shared) => Arc::clone(shared),
                    None => Arc::clone(shared.insert(start()?)),
                }
            };
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let outcome = runtime.block_on(async { timeout(BOUND, run(shared)).await });
            runtime.shutdown_background();
            outcome.map_err(|_| format!("no end within {BOUND:?}"))?;
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// The bootstrap servers that `BACKUP_TRACKER_KAFKA` names.
fn running() -> Option<String> {
    std::env::var("BACKUP_TRACKER_KAFKA").ok()
}

/// A broker for cases that leave it alone.
pub(crate) enum Broker {
    /// One that runs already.
    Running(String),
    Ours(Box<Server>),
}

impl Broker {
    pub(crate) fn start() -> io::Result<Self> {
        let ours = || Server::start().map(|server| Self::Ours(Box::new(server)));
        running().map_or_else(ours, |servers| Ok(Self::Running(servers)))
    }

    pub(crate) fn servers(&self) -> String {
        match self {
            Self::Running(servers) => servers.clone(),
            Self::Ours(server) => server.servers(),
        }
    }
}
