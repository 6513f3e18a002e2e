//! The Redis transport on the conformance suite's bench: one server for the cases that leave it alone, and a server and a
//! proxy of its own for each case that does not.

mod profile;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_tracker::{Error, ErrorKind, Result, Secret, StartAt};
use backup_tracker_conformance::{DELAY, Fault, Harness, Isolation, Lane, Profile, Proxy, RawRecord};
use backup_tracker_redis::{Redis, RedisSink, RedisSource, redis};
use backup_tracker_test_servers::{Missing, Redis as Server};
use profile::{CONTACT_TIME, MAX_EVENT_BYTES};
use tempfile::TempDir;

/// So that an outage shows within the suite's patience.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct RedisHarness {
    shared: Server,
}

impl RedisHarness {
    pub(crate) fn start() -> Result<Self, Missing> {
        Server::find()?;
        Ok(Self { shared: Server::start().unwrap() })
    }
}

impl Harness for RedisHarness {
    type Lane = RedisLane;

    fn name(&self) -> &str {
        "redis"
    }

    fn profile(&self) -> Profile {
        profile::profile()
    }

    async fn lane(&self, name: &str, isolation: Isolation) -> Result<RedisLane> {
        let (own, proxy, address) = match isolation {
            Isolation::Shared => (None, None, self.shared.address()),
            // A server costs little, so that each fault has its own.
            Isolation::Proxied | Isolation::Own | Isolation::Secured => {
                let server = tokio::task::spawn_blocking(Server::start).await.unwrap().map_err(failed)?;
                let proxy = Proxy::start(server.address()).await.map_err(failed)?;
                let address = proxy.address();
                (Some(Arc::new(Mutex::new(server))), Some(proxy), address)
            }
        };
        let direct = match &own {
            Some(server) => server.lock().unwrap().url(),
            None => self.shared.url(),
        };
        let admin = redis::Client::open(direct).map_err(failed)?;
        let redis = Redis::new(format!("redis://{address}"), name).open_timeout(TIMEOUT);
        let mut lane = RedisLane { redis, admin, topic: name.to_owned(), own, proxy, user: None };
        if isolation == Isolation::Secured {
            let user = User { folder: tempfile::tempdir().map_err(failed)?, renewals: AtomicUsize::new(0) };
            lane.redis = lane.redis.user(USER).password(Secret::file(user.folder.path().join(PASSWORD)));
            lane.user = Some(user);
            lane.permit().await?;
            lane.renew_credentials().await?;
        }
        lane.create().await?;
        Ok(lane)
    }
}

pub(crate) struct RedisLane {
    redis: Redis,
    /// Past the proxy.
    admin: redis::Client,
    topic: String,
    own: Option<Arc<Mutex<Server>>>,
    proxy: Option<Proxy>,
    user: Option<User>,
}

const USER: &str = "lane";
const PASSWORD: &str = "password";

/// As whom the lane connects, if not as everybody.
struct User {
    /// With the password.
    folder: TempDir,
    renewals: AtomicUsize,
}

impl RedisLane {
    async fn ask(&self, command: &mut redis::Cmd) -> Result<redis::Value> {
        let mut connection = self.admin.get_multiplexed_async_connection().await.map_err(failed)?;
        command.query_async(&mut connection).await.map_err(failed)
    }

    /// An empty stream without a group.
    async fn create(&self) -> Result<()> {
        let topic = &self.topic;
        self.ask(redis::cmd("XGROUP").arg("CREATE").arg(topic).arg("x").arg("$").arg("MKSTREAM")).await?;
        self.ask(redis::cmd("XGROUP").arg("DESTROY").arg(topic).arg("x")).await?;
        Ok(())
    }

    async fn permit(&self) -> Result<()> {
        self.ask(redis::cmd("ACL").arg("SETUSER").arg(USER).arg(&["on", "~*", "+@all"])).await.map(drop)
    }

    async fn on_server(&self, work: fn(&mut Server) -> io::Result<()>) -> Result<()> {
        let server = Arc::clone(self.own.as_ref().unwrap());
        let working = tokio::task::spawn_blocking(move || work(&mut server.lock().unwrap()));
        working.await.unwrap().map_err(failed)
    }
}

fn failed(cause: impl Into<backup_tracker::BoxError>) -> Error {
    let cause = cause.into();
    Error::new(ErrorKind::Internal, "prepare the test", cause.to_string()).with_source(cause)
}

impl Lane for RedisLane {
    type Sink = RedisSink;
    type Source = RedisSource;

    async fn sink(&self) -> Result<RedisSink> {
        self.redis.sink().max_event_bytes(MAX_EVENT_BYTES).send_timeout(TIMEOUT).open().await
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<RedisSource> {
        self.redis.source(group).start(start).request_timeout(TIMEOUT).contact_time(CONTACT_TIME).open().await
    }

    async fn observer(&self, start: StartAt) -> Result<RedisSource> {
        self.redis.observer().start(start).request_timeout(TIMEOUT).contact_time(CONTACT_TIME).open().await
    }

    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        let mut command = redis::cmd("XADD");
        command.arg(&self.topic).arg("*").arg("application").arg(&record.application);
        if let Some(key) = &record.key {
            command.arg("key").arg(&key[..]);
        }
        for header in &record.headers {
            command.arg(format!("header:{}", header.name)).arg(&header.value[..]);
        }
        if let Some(payload) = &record.payload {
            command.arg("payload").arg(&payload[..]);
        }
        self.ask(&mut command).await.map(drop)
    }

    async fn trim(&self) -> Result<()> {
        self.ask(redis::cmd("XTRIM").arg(&self.topic).arg("MAXLEN").arg(0)).await.map(drop)
    }

    async fn recreate(&self) -> Result<()> {
        self.ask(redis::cmd("DEL").arg(&self.topic)).await?;
        self.create().await
    }

    async fn delete(&self) -> Result<()> {
        self.ask(redis::cmd("DEL").arg(&self.topic)).await.map(drop)
    }

    async fn truncate(&self, count: usize) -> Result<()> {
        let mut command = redis::cmd("EVAL");
        command.arg(include_str!("truncate.lua")).arg(1).arg(&self.topic).arg(count);
        self.ask(&mut command).await.map(drop)
    }

    async fn renew_credentials(&self) -> Result<()> {
        let user = self.user.as_ref().unwrap();
        let password = format!("password {}", user.renewals.fetch_add(1, Ordering::Relaxed));
        let rules = ["resetpass", &*format!(">{password}")];
        self.ask(redis::cmd("ACL").arg("SETUSER").arg(USER).arg(&rules)).await?;
        // In one step, so that nobody reads half of it.
        let fresh = user.folder.path().join("fresh");
        std::fs::write(&fresh, password).map_err(failed)?;
        std::fs::rename(fresh, user.folder.path().join(PASSWORD)).map_err(failed)?;
        self.ask(redis::cmd("CLIENT").arg("KILL").arg("USER").arg(USER)).await.map(drop)
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        let proxy = self.proxy.as_ref().unwrap();
        match fault {
            Fault::Cut => proxy.cut(),
            Fault::BlackHole => proxy.black_hole(),
            Fault::LostAnswers => proxy.lose_answers(),
            Fault::Delay => proxy.delay(DELAY),
            Fault::Kill => self.on_server(Server::kill).await?,
            Fault::Stop => self.on_server(Server::stop).await?,
            Fault::RestartOne => {
                self.on_server(|server| server.stop().and_then(|()| server.restart())).await?;
            }
            Fault::Deny => {
                self.ask(redis::cmd("ACL").arg("SETUSER").arg(USER).arg("-@all")).await?;
            }
            other => return Err(failed(format!("{other:?} is not known here"))),
        }
        Ok(())
    }

    async fn heal(&self) -> Result<()> {
        self.proxy.as_ref().unwrap().heal();
        self.on_server(Server::restart).await?;
        if self.user.is_some() { self.permit().await } else { Ok(()) }
    }
}
