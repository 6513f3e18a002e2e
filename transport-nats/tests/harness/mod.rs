//! The suite's view of NATS: a server that most lanes share, and one behind a proxy for each lane that is to suffer.

mod profile;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{HeaderMap, jetstream::Context};
use backup_tracker::{BoxError, Error, ErrorKind, Result, StartAt};
use backup_tracker_conformance::{DELAY, Fault, Harness, Isolation, Lane, Profile, Proxy, RawRecord};
use backup_tracker_nats::{CreateStream, Nats, NatsSink, NatsSource, async_nats, token_of};
use backup_tracker_test_servers::Nats as Server;
use profile::MAX_EVENT_BYTES;

pub(crate) struct NatsHarness {
    shared: Server,
}

impl NatsHarness {
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self { shared: Server::start()? })
    }
}

impl Harness for NatsHarness {
    type Lane = NatsLane;

    fn name(&self) -> &str {
        "nats"
    }

    fn profile(&self) -> Profile {
        profile::profile()
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<NatsLane> {
        let (address, own) = match isolation {
            Isolation::Shared => (self.shared.address(), None),
            // A server costs little, so that each fault has its own.
            Isolation::Proxied | Isolation::Own | Isolation::Secured => {
                let server = Server::start().map_err(broken)?;
                let proxy = Proxy::start(server.address()).await.map_err(broken)?;
                (proxy.address(), Some((proxy, Arc::new(Mutex::new(server)))))
            }
        };
        let nats = Nats::new(address.to_string(), name)
            .open_timeout(Duration::from_secs(5))
            .create_stream(CreateStream::new(1).max_event_bytes(MAX_EVENT_BYTES));
        // Creates stream and bucket, so that only what comes now is the case's own.
        nats.source("first").open().await?;
        let admin = own.as_ref().map_or(address, |(_, server)| lock(server).address());
        let admin = async_nats::connect(admin.to_string()).await.map_err(broken)?;
        Ok(NatsLane { topic: name.to_owned(), nats, own, admin: jetstream::new(admin) })
    }
}

pub(crate) struct NatsLane {
    topic: String,
    nats: Nats,
    own: Option<(Proxy, Arc<Mutex<Server>>)>,
    admin: Context,
}

impl NatsLane {
    fn proxy(&self) -> Result<&(Proxy, Arc<Mutex<Server>>)> {
        self.own.as_ref().ok_or_else(|| broken("the lane is shared"))
    }
}

impl Lane for NatsLane {
    type Sink = NatsSink;
    type Source = NatsSource;

    async fn sink(&self) -> Result<NatsSink> {
        self.nats.sink().send_timeout(Duration::from_secs(2)).open().await
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<NatsSource> {
        self.nats
            .source(group)
            .start(start)
            .request_timeout(Duration::from_secs(2))
            .contact_time(Duration::from_secs(2))
            .open()
            .await
    }

    async fn observer(&self, start: StartAt) -> Result<NatsSource> {
        let builder = self.nats.observer().start(start);
        builder.request_timeout(Duration::from_secs(2)).contact_time(Duration::from_secs(2)).open().await
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &record.key {
            // A header is text without control characters.
            headers.insert("Nats-Msg-Id", String::from_utf8_lossy(key).replace('\0', "0"));
        }
        for header in &record.headers {
            headers.append(&*header.name, String::from_utf8_lossy(&header.value).into_owned());
        }
        let subject = format!("{}.{}", self.topic, token_of(&record.application));
        let payload = record.payload.unwrap_or_default();
        let publish = self.admin.publish_with_headers(subject, headers, payload).await.map_err(broken)?;
        publish.await.map_err(broken)?;
        Ok(())
    }

    async fn trim(&self) -> Result<()> {
        let stream = self.admin.get_stream(&self.topic).await.map_err(broken)?;
        stream.purge().await.map_err(broken)?;
        Ok(())
    }

    async fn recreate(&self) -> Result<()> {
        match self.delete().await {
            // It may be away already.
            Err(error) if self.admin.get_stream(&self.topic).await.is_ok() => return Err(error),
            _ => {}
        }
        self.nats.sink().open().await?;
        Ok(())
    }

    async fn delete(&self) -> Result<()> {
        self.admin.delete_stream(&self.topic).await.map_err(broken)?;
        Ok(())
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        let (proxy, server) = self.proxy()?;
        match fault {
            Fault::Cut => proxy.cut(),
            Fault::BlackHole => proxy.black_hole(),
            Fault::LostAnswers => proxy.lose_answers(),
            Fault::Delay => proxy.delay(DELAY),
            Fault::Kill => on(server, Server::kill).await?,
            Fault::Stop => on(server, Server::stop).await?,
            Fault::RestartOne => on(server, |server| server.stop().and_then(|()| server.restart())).await?,
            _ => return Err(broken("a fault that this harness does not know")),
        }
        Ok(())
    }

    async fn heal(&self) -> Result<()> {
        let (proxy, server) = self.proxy()?;
        on(server, Server::restart).await?;
        proxy.heal();
        Ok(())
    }
}

/// Works on the server without holding up the runtime.
async fn on(server: &Arc<Mutex<Server>>, work: fn(&mut Server) -> io::Result<()>) -> Result<()> {
    let server = Arc::clone(server);
    let working = tokio::task::spawn_blocking(move || work(&mut lock(&server)));
    working.await.map_err(broken)?.map_err(broken)
}

fn lock(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken(error: impl Into<BoxError>) -> Error {
    let error = error.into();
    Error::new(ErrorKind::Internal, "harness", error.to_string()).with_source(error)
}
