//! The suite's view of NATS: a server that most lanes share, and one behind a proxy for each lane that is to suffer.

mod profile;

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::{ConnectOptions, HeaderMap, jetstream::Context};
use backup_tracker::{BoxError, Error, ErrorKind, Result, Secret, StartAt};
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
        let secured = isolation == Isolation::Secured;
        let (address, own) = match isolation {
            Isolation::Shared => (self.shared.address(), None),
            // A server costs little, so that each fault has its own.
            Isolation::Proxied | Isolation::Own | Isolation::Secured => {
                let server = Server::start_with(if secured { USERS } else { "" }).map_err(broken)?;
                let proxy = Proxy::start(server.address()).await.map_err(broken)?;
                (proxy.address(), Some((proxy, Arc::new(Mutex::new(server)))))
            }
        };
        let mut nats = Nats::new(address.to_string(), name)
            .open_timeout(Duration::from_secs(5))
            .create_stream(CreateStream::new(1).max_event_bytes(MAX_EVENT_BYTES));
        let mut options = ConnectOptions::new();
        if let (true, Some((_, server))) = (secured, &own) {
            let path = password_file(&lock(server));
            std::fs::write(&path, FIRST).map_err(broken)?;
            nats = nats.user_and_password("lane", Secret::file(path));
            options = options.user_and_password("admin".into(), "p".into());
        }
        // Creates stream and bucket, so that only what comes now is the case's own.
        nats.source("first").open().await?;
        let admin = own.as_ref().map_or(address, |(_, server)| lock(server).address());
        let admin = options.connect(admin.to_string()).await.map_err(broken)?;
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

    async fn renew_credentials(&self) -> Result<()> {
        let (_, server) = self.proxy()?;
        on(server, |server| {
            std::fs::write(password_file(server), SECOND)?;
            reload(server, FIRST, SECOND)
        })
        .await
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
            Fault::Deny => on(server, |server| reload(server, ALLOWED, DENIED)).await?,
            _ => return Err(broken("a fault that this harness does not know")),
        }
        Ok(())
    }

    async fn heal(&self) -> Result<()> {
        let (proxy, server) = self.proxy()?;
        on(server, |server| {
            server.restart()?;
            let denied = std::fs::read_to_string(configuration(server))?.contains(DENIED);
            if denied { reload(server, DENIED, ALLOWED) } else { Ok(()) }
        })
        .await?;
        proxy.heal();
        Ok(())
    }
}

/// A lane's user, and one who may do everything.
const USERS: &str = "authorization { users: [ { user: admin, password: p },
    { user: lane, password: first-password, permissions: { publish: \">\", subscribe: \">\" } } ] }";
const FIRST: &str = "first-password";
const SECOND: &str = "second-password";
const ALLOWED: &str = "publish: \">\", subscribe: \">\"";
const DENIED: &str = "publish: { deny: \">\" }, subscribe: { deny: \">\" }";

fn password_file(server: &Server) -> PathBuf {
    server.folder().join("password")
}

fn configuration(server: &Server) -> PathBuf {
    server.folder().join("nats.conf")
}

/// Has the server read its configuration again, with another text in it, and waits until it has.
fn reload(server: &Server, from: &str, to: &str) -> io::Result<()> {
    let log = server.folder().join("log");
    let reloaded = || {
        Ok::<_, io::Error>(std::fs::read_to_string(&log)?.matches("Reloaded server configuration").count())
    };
    let (path, before) = (configuration(server), reloaded()?);
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, text.replace(from, to))?;
    let id = server.id().ok_or_else(|| io::Error::other("the server is down"))?;
    if !Command::new("kill").args(["-HUP", &id.to_string()]).status()?.success() {
        return Err(io::Error::other("the server cannot be told to read its configuration"));
    }
    let begin = Instant::now();
    while reloaded()? == before {
        if begin.elapsed() > Duration::from_secs(10) {
            return Err(io::Error::other("the server does not read its configuration again"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
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
