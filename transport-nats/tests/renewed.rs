//! Credentials that are renewed while a session is open are used for the next connection (K7).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::time::Duration;

use backup_tracker::{ErrorKind, EventSource, Secret, Sink};
use backup_tracker_nats::{CreateStream, Nats, NatsSink, NatsSource, async_nats};
use backup_tracker_test_servers::Nats as Server;
use support::{Reconfigure, SOON, cases, event, fails, jwt, next_at_last, pause, soon};
use tempfile::TempDir;

cases! {
    a_password_that_is_renewed_is_used,
    a_password_in_the_address_that_is_renewed_is_used,
    a_token_that_is_renewed_is_used,
    credentials_that_end_are_replaced,
    credentials_that_cannot_be_read_are_named,
}

/// A sink and a source that are signed in.
struct Pair {
    sink: NatsSink,
    source: NatsSource,
}

impl Pair {
    async fn open(nats: &Nats) -> Self {
        let nats = nats.clone().create_stream(CreateStream::new(1)).open_timeout(Duration::from_secs(5));
        let source = nats.source("g").request_timeout(SOON).contact_time(Duration::from_secs(2));
        let source = soon(source.open()).await.unwrap();
        let mut pair = Self { sink: soon(nats.sink().open()).await.unwrap(), source };
        pair.works().await;
        pair
    }

    /// In the end, after errors that pass.
    async fn works(&mut self) {
        let event = event("shop");
        let sending = async {
            while let Err(error) = self.sink.send(&event).await {
                assert!(error.is_transient(), "{error}");
                pause().await;
            }
        };
        soon(sending).await;
        while next_at_last(&mut self.source).await.key != Some(event.key) {}
        let committing = async {
            while let Err(error) = self.source.commit().await {
                assert!(error.is_transient(), "{error}");
                pause().await;
            }
        };
        soon(committing).await;
    }

    /// In the end, both are refused, for this reason.
    async fn is_refused(&mut self, why: &str) {
        let refused = async {
            loop {
                let reading = self.source.next().await.unwrap_err();
                assert!(reading.is_transient(), "{reading}");
                if reading.cause() == Some(ErrorKind::Denied) {
                    assert!(reading.message().contains(why), "{reading}");
                    return;
                }
                pause().await;
            }
        };
        soon(refused).await;
        let refused = async {
            loop {
                match self.sink.send(&event("shop")).await {
                    Err(error) if error.cause() == Some(ErrorKind::Denied) => return,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                    Ok(()) => {}
                }
                pause().await;
            }
        };
        soon(refused).await;
    }
}

async fn a_password_that_is_renewed_is_used() {
    let server = Server::start_with("authorization { user: u, password: first }").unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "first\n").unwrap();
    let nats = Nats::new(server.url(), "backups").user_and_password("u", Secret::file(&path));
    let mut pair = Pair::open(&nats).await;
    server.reconfigure("password: first", "password: second");
    pair.is_refused("refuses the credentials").await;
    std::fs::write(&path, "second\n").unwrap();
    pair.works().await;
}

async fn a_password_in_the_address_that_is_renewed_is_used() {
    let server = Server::start_with("authorization { user: u, password: first }").unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("url");
    let url = |password: &str| server.url().replace("nats://", &format!("nats://u:{password}@"));
    std::fs::write(&path, url("first")).unwrap();
    let mut pair = Pair::open(&Nats::new(Secret::file(&path), "backups")).await;
    // Renewed beforehand, so that nobody need be refused.
    std::fs::write(&path, url("second")).unwrap();
    server.reconfigure("password: first", "password: second");
    let refused = async {
        while async_nats::connect(url("first")).await.is_ok() {
            pause().await;
        }
    };
    soon(refused).await;
    // The old connection has ended by then, or its end is on its way.
    for _ in 0..20 {
        pair.works().await;
    }
}

async fn a_token_that_is_renewed_is_used() {
    let server = Server::start_with("authorization { token: first }").unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    let mut pair = Pair::open(&Nats::new(server.url(), "backups").token(Secret::file(&path))).await;
    server.reconfigure("token: first", "token: second");
    pair.is_refused("refuses the credentials").await;
    std::fs::write(&path, "second\n").unwrap();
    pair.works().await;
}

async fn credentials_that_end_are_replaced() {
    let (configuration, account) = jwt::operator();
    let server = Server::start_with(&configuration).unwrap();
    let folder = TempDir::new().unwrap();
    let path = jwt::credentials(folder.path(), &account, "tracker", Some(Duration::from_secs(4)));
    let mut pair = Pair::open(&Nats::new(server.url(), "backups").credentials_file(path)).await;
    pair.is_refused("").await;
    jwt::credentials(folder.path(), &account, "tracker", None);
    pair.works().await;
}

async fn credentials_that_cannot_be_read_are_named() {
    let (configuration, account) = jwt::operator();
    let mut server = Server::start_with(&configuration).unwrap();
    let folder = TempDir::new().unwrap();
    let path = jwt::credentials(folder.path(), &account, "tracker", None);
    let nats = Nats::new(server.url(), "backups").credentials_file(&path);
    let mut pair = Pair::open(&nats).await;
    std::fs::write(&path, "hunter2").unwrap();
    server.stop().unwrap();
    server.restart().unwrap();
    let named = async {
        loop {
            let error = pair.source.next().await.unwrap_err();
            assert!(error.is_transient(), "{error}");
            if error.cause() == Some(ErrorKind::Config) {
                return error;
            }
            pause().await;
        }
    };
    let error = soon(named).await;
    assert!(error.message().contains("tracker.creds") && error.message().contains("no user JWT"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    fails(SOON, ErrorKind::Config, nats.sink().open()).await;
    jwt::credentials(folder.path(), &account, "tracker", None);
    pair.works().await;
}
