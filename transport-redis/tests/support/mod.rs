//! What the tests that need a server have in common: they show as ignored where there is none, and no wait is unbounded.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod holding;
pub(crate) mod signal;
pub(crate) mod way;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use backup_tracker::{Event, EventSource, Record};
use backup_tracker_redis::{Redis, RedisSource, redis};
use backup_tracker_test_servers::Redis as Server;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use uuid::Uuid;

pub(crate) const TOPIC: &str = "backups";
pub(crate) const GROUP: &str = "search";
/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a test as a whole may take.
const BOUND: Duration = Duration::from_secs(60);

pub(crate) type Test = fn() -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs these async functions as tests.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        fn main() -> std::process::ExitCode {
            support::run(vec![$((stringify!($name), || Box::pin($name()))),*])
        }
    };
}
pub(crate) use tests;

pub(crate) fn run(tests: Vec<(&'static str, Test)>) -> ExitCode {
    let missing = Server::find().err().map(|missing| missing.reason);
    let trials = tests.into_iter().map(|(name, test)| {
        let missing = missing.clone();
        Trial::ignorable_test(name, move || match missing {
            Some(reason) => Ok::<_, Failed>(Completion::ignored_with(reason)),
            None => {
                let mut runtime = tokio::runtime::Builder::new_multi_thread();
                let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
                runtime.block_on(async {
                    tokio::time::timeout(BOUND, tokio::spawn(test())).await.unwrap().unwrap()
                });
                runtime.shutdown_background();
                Ok(Completion::Completed)
            }
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A server, and a look at it past the transport.
pub(crate) struct Bench {
    pub(crate) server: Server,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let starting = tokio::task::spawn_blocking(move || {
            let settings: Vec<_> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
            Server::start_with(&settings)
        });
        Self { server: starting.await.unwrap().unwrap() }
    }

    /// The topic, to be created when it is missing.
    pub(crate) fn redis(&self) -> Redis {
        Redis::new(self.server.url(), TOPIC).create_stream()
    }

    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        ask(&self.server.url(), words).await
    }

    /// Runs a command whose answer says nothing.
    pub(crate) async fn run(&self, command: &redis::Cmd) {
        let client = redis::Client::open(self.server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = command.query_async(&mut connection).await.unwrap();
    }

    /// Returns when the server's clock has passed the stream's last entry.
    pub(crate) async fn another_millisecond(&self, stream: &str) {
        let entries: Vec<(String, Vec<String>)> =
            self.ask(&["XREVRANGE", stream, "+", "-", "COUNT", "1"]).await;
        let last: u128 = entries[0].0.split('-').next().unwrap().parse().unwrap();
        loop {
            let (seconds, micros): (u128, u128) = self.ask(&["TIME"]).await;
            if seconds * 1000 + micros / 1000 > last {
                return;
            }
        }
    }
}

/// A replica of this server that has all of it, and reaches it at this address.
pub(crate) async fn replica_of(bench: &Bench, address: std::net::SocketAddr) -> Bench {
    let of = format!("{} {}", address.ip(), address.port());
    let replica = Bench::start_with(&[("replicaof", &of)]).await;
    // One connection for all of the questions: one for each would be more than the server takes.
    let client = redis::Client::open(bench.server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let online = async {
        loop {
            let mut question = redis::cmd("INFO");
            let info: String = question.arg("replication").query_async(&mut connection).await.unwrap();
            if info.contains("state=online") {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, online).await.unwrap();
    replica
}

/// Asks a server with the client library alone.
pub(crate) async fn ask<T: redis::FromRedisValue>(url: &str, words: &[&str]) -> T {
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let (name, arguments) = words.split_first().unwrap();
    redis::cmd(name).arg(arguments).query_async(&mut connection).await.unwrap()
}

pub(crate) fn events(count: usize) -> Vec<Event> {
    (0..count).map(|number| Event::new(Uuid::new_v4(), "shop", number.to_string())).collect()
}

/// The next answer of a source, which must come.
pub(crate) async fn answer(source: &mut RedisSource) -> backup_tracker::Result<Record> {
    let next = tokio::time::timeout(PATIENCE, source.next()).await.unwrap();
    next.map(|record| record.unwrap())
}

/// Reads exactly these events.
pub(crate) async fn expect(source: &mut RedisSource, events: &[Event]) {
    for event in events {
        let record = answer(source).await.unwrap();
        assert_eq!(record.key, Some(event.key), "{record:?}");
        assert_eq!(record.payload.as_ref(), Some(&event.payload));
    }
}
