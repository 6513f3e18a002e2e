//! What the test programs share: cases that need a server, and are shown as ignored where there is none.

#![allow(dead_code, reason = "no test program uses all of it")]

pub(crate) mod jwt;
pub(crate) mod steps;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use backup_tracker::{Error, ErrorKind, Event, EventSource, Record, Result, Sink};
use backup_tracker_nats::{CreateStream, Nats, NatsSource, async_nats};
use backup_tracker_test_servers::Nats as Server;
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Builder;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a case may take, unless its program says otherwise.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// How long may pass until something comes that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How soon something has to fail that fails at once, or at the time limit of [`source`].
pub(crate) const SOON: Duration = Duration::from_secs(3);

pub(crate) type Case = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

/// The program that runs these async functions as cases.
macro_rules! cases {
    (within $bound:expr; $($name:ident),* $(,)?) => {
        fn main() -> std::process::ExitCode {
            $crate::support::run($bound, &[$((stringify!($name), || Box::pin($name()))),*])
        }
    };
    ($($name:ident),* $(,)?) => {
        $crate::support::cases! { within $crate::support::BOUND; $($name),* }
    };
}
pub(crate) use cases;

pub(crate) fn run(bound: Duration, cases: &[Case]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(4);
    let trials = cases.iter().map(|&(name, case)| {
        Trial::ignorable_test(name, move || match Server::find() {
            Err(missing) => Ok(Completion::ignored_with(missing.reason)),
            Ok(_) => {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                steps::begin();
                let outcome = runtime.block_on(async { timeout(bound, case()).await });
                runtime.shutdown_background();
                outcome.map_err(|_| format!("no end within {bound:?}; {}", steps::told()))?;
                Ok(Completion::Completed)
            }
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A topic on this server, whose stream and bucket are created.
pub(crate) fn topic(server: &Server, topic: &str) -> Nats {
    Nats::new(server.url(), topic).create_stream(CreateStream::new(1)).open_timeout(Duration::from_secs(5))
}

/// A source that gives up soon.
pub(crate) async fn source(topic: &Nats, group: &str) -> NatsSource {
    let builder = topic.source(group).request_timeout(Duration::from_secs(2));
    builder.contact_time(Duration::from_secs(2)).open().await.unwrap()
}

/// Changes a server's settings while it runs.
pub(crate) trait Reconfigure {
    /// Replaces a text in the configuration file, and has the server read it again.
    fn reconfigure(&self, from: &str, to: &str);
}

impl Reconfigure for Server {
    fn reconfigure(&self, from: &str, to: &str) {
        let path = self.folder().join("nats.conf");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let id = self.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }
}

/// A JetStream context without this crate.
pub(crate) async fn native(url: &str) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(url).await.unwrap())
}

pub(crate) fn event(application: &str) -> Event {
    Event::new(Uuid::new_v4(), application, "payload")
}

pub(crate) async fn send(sink: &mut impl Sink, application: &str) -> Uuid {
    let event = event(application);
    soon(sink.send(&event)).await.unwrap();
    event.key
}

/// The next record, which must come.
pub(crate) async fn next(source: &mut impl EventSource) -> Record {
    soon(source.next()).await.unwrap().unwrap()
}

/// The next record, after errors that pass at most.
pub(crate) async fn next_at_last(source: &mut impl EventSource) -> Record {
    let reading = async {
        loop {
            match source.next().await {
                Ok(record) => return record.unwrap(),
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            pause().await;
        }
    };
    soon(reading).await
}

/// Between two attempts, so that a case that goes wrong lets its time limit pass.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// What must come soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("nothing within {PATIENCE:?}"))
}

/// Nothing comes: the only wait whose end is good news.
pub(crate) async fn nothing(source: &mut impl EventSource) {
    if let Ok(answer) = timeout(Duration::from_millis(300), source.next()).await {
        panic!("{answer:?}");
    }
}

/// The error of an attempt that must fail in this way, within this time.
pub(crate) async fn fails<T>(
    within: Duration,
    kind: ErrorKind,
    attempt: impl Future<Output = Result<T>>,
) -> Error {
    let begin = Instant::now();
    let Err(error) = soon(attempt).await else { panic!("it succeeded") };
    assert_eq!(error.kind(), kind, "{error} {error:?}");
    assert!(begin.elapsed() < within, "after {:?}: {error}", begin.elapsed());
    error
}
