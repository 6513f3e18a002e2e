//! One connection, made when it is needed, and given up when it fails.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Value};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::access::{Access, Plan, Redirect, Target};
use crate::error::{Cause, Failure};

/// A connection with a number that none before it on the same link had.
#[derive(Clone)]
pub(crate) struct Connection {
    inner: MultiplexedConnection,
    pub(crate) generation: u64,
}

/// Cheap to clone; clones share the connection. Nothing is asked twice: a request that fails, fails. Only a node of a cluster that
/// names another one is left for that one.
#[derive(Clone)]
pub(crate) struct Link(Arc<Shared>);

struct Shared {
    access: Access,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    connection: Option<Connection>,
    generation: u64,
    /// Where a node of a cluster sent us.
    redirect: Option<Redirect>,
    /// To whom the last attempt to connect went, `host:port`.
    server: Option<String>,
}

/// The end of the time that an operation may take, over all of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    time: Duration,
}

/// As good as forever, and still a time that the clock can tell.
pub(crate) const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// After so long an attempt to connect gets company by another one. What was sent into a network that swallows it is never
/// answered, and what is sent after the network works again is answered at once; but a slow way may need longer than this.
const ATTEMPT: Duration = Duration::from_secs(1);

impl Deadline {
    pub(crate) fn after(time: Duration) -> Self {
        Self { at: Instant::now() + time.min(CENTURY), time }
    }
}

impl Link {
    pub(crate) fn new(access: Access) -> Self {
        Self(Arc::new(Shared { access, held: Mutex::default() }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that there is, or a new one.
    pub(crate) async fn connect(&self, deadline: Deadline) -> Result<Connection, Failure> {
        let held = self.held().connection.clone();
        if let Some(connection) = held {
            return Ok(connection);
        }
        let connecting = self.connect_anew(deadline).await;
        let mut held = self.held();
        // Where it sent us is no better than where we were told to go.
        let inner = connecting.inspect_err(|_| held.redirect = None)?;
        held.generation += 1;
        let connection = Connection { inner, generation: held.generation };
        held.connection = Some(connection.clone());
        Ok(connection)
    }

    /// The first of several attempts that succeeds or fails; the others end with it.
    async fn connect_anew(&self, deadline: Deadline) -> Result<MultiplexedConnection, Failure> {
        let mut attempts = JoinSet::new();
        loop {
            let link = self.clone();
            attempts.spawn(async move { link.attempt().await });
            let until = deadline.at.min(Instant::now() + ATTEMPT);
            match timeout_at(until, attempts.join_next()).await {
                Ok(Some(Ok(result))) => return result,
                Ok(_) => return Err(Failure::new(false, Cause::Own(going_away()))),
                Err(_) if deadline.at <= Instant::now() => {
                    let server = self.held().server.clone();
                    return Err(Failure::new(false, Cause::Timeout(deadline.time)).to(server));
                }
                Err(_) => {}
            }
        }
    }

    async fn attempt(&self) -> Result<MultiplexedConnection, Failure> {
        let access = self.0.access.clone();
        // It may read files.
        let plan = tokio::task::spawn_blocking(move || access.plan()).await;
        let plan = plan.unwrap_or_else(|_| Err(Cause::Own(going_away())));
        let Plan { target, pem } = plan.map_err(|cause| Failure::new(false, cause))?;
        let mut settings = match target {
            Target::Server(settings) => *settings,
            Target::Sentinels(sentinels) => {
                let settings = sentinels.primary.clone();
                let address = sentinels.ask(&pem).await?.apply(settings.addr());
                settings.set_addr(address)
            }
        };
        if let Some(redirect) = self.held().redirect.clone() {
            let address = redirect.apply(settings.addr());
            settings = settings.set_addr(address);
        }
        let server = settings.addr().to_string();
        self.held().server = Some(server.clone());
        // The client library's own limits are off: its 500 ms for an answer would end every read that blocks.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connecting =
            async { pem.client(settings)?.get_multiplexed_async_connection_with_config(&config).await };
        connecting.await.map_err(|cause| Failure::new(false, Cause::Redis(cause)).to(Some(server)))
    }

    /// Asks on this connection, and gives it up when another one may fare better.
    pub(crate) async fn ask_on(
        &self,
        connection: &mut Connection,
        command: &Cmd,
        deadline: Deadline,
    ) -> Result<Value, Failure> {
        let asking = command.query_async::<Value>(&mut connection.inner);
        let answer = bounded(deadline, asking).await;
        self.give_up_after(&answer, connection.generation);
        answer
    }

    /// Gives the connection up when another one may fare better. Whether that is a node of a cluster that has what this one has not.
    fn give_up_after<T>(&self, answer: &Result<T, Failure>, generation: u64) -> bool {
        let Err(failure) = answer else { return false };
        let mut redirect = None;
        if failure.wants_another_connection() {
            redirect = failure.moved_to().and_then(Redirect::parse);
            self.give_up(generation);
        }
        let moved = redirect.is_some();
        if moved {
            self.held().redirect = redirect;
        }
        moved
    }

    /// As [`ask_on`](Self::ask_on), on the connection that there is, or on a new one.
    pub(crate) async fn ask(&self, command: &Cmd, deadline: Deadline) -> Result<Value, Failure> {
        let mut connection = self.connect(deadline).await?;
        let answer = self.ask_on(&mut connection, command, deadline).await;
        if !moved(&answer) {
            return answer;
        }
        let mut connection = self.connect(deadline).await?;
        self.ask_on(&mut connection, command, deadline).await
    }

    /// Asks what the server may refuse to say, and stays on the connection when it does.
    pub(crate) async fn probe(&self, command: &Cmd, deadline: Deadline) -> Result<Value, Failure> {
        let mut followed = false;
        loop {
            let mut connection = self.connect(deadline).await?;
            let answer = bounded(deadline, command.query_async::<Value>(&mut connection.inner)).await;
            let elsewhere = moved(&answer);
            if elsewhere || answer.as_ref().is_err_and(Failure::is_broken) {
                self.give_up_after(&answer, connection.generation);
            }
            if !elsewhere || std::mem::replace(&mut followed, true) {
                return answer;
            }
        }
    }

    /// Runs commands in one step of the server, and returns their answers. With something to wait for, the server runs it first and
    /// holds the others as long, so that they cost no way there and back of their own.
    pub(crate) async fn ask_at_once(
        &self,
        wait: Option<Cmd>,
        commands: impl IntoIterator<Item = Cmd>,
        deadline: Deadline,
    ) -> Result<Vec<Value>, Failure> {
        // Not the client's own `atomic`, which would put the waiting inside, where the server does not wait.
        let mut pipeline = redis::pipe();
        if let Some(wait) = wait {
            pipeline.add_command(wait);
        }
        pipeline.cmd("MULTI");
        for command in commands {
            pipeline.add_command(command);
        }
        pipeline.cmd("EXEC");
        let count = pipeline.len();
        let mut followed = false;
        loop {
            let mut connection = self.connect(deadline).await?;
            let asking = async {
                let answers = connection.inner.send_packed_commands(&pipeline, 0, count).await?;
                // The first error is the reason; that the transaction was given up follows from it.
                let answers = answers.into_iter().map(Value::extract_error);
                answers.collect::<redis::RedisResult<Vec<Value>>>()
            };
            let answer = bounded(deadline, asking).await;
            let moved = self.give_up_after(&answer, connection.generation);
            if moved && !std::mem::replace(&mut followed, true) {
                continue;
            }
            return answer.map(|mut answers| match answers.pop() {
                Some(Value::Array(answers)) => answers,
                // No such answer; whoever asked finds that it has none.
                _ => Vec::new(),
            });
        }
    }

    /// Lets the next request make a connection of its own, unless somebody else has made one since.
    pub(crate) fn give_up(&self, generation: u64) {
        let mut held = self.held();
        if held.connection.as_ref().is_some_and(|held| held.generation == generation) {
            held.connection = None;
        }
    }

    /// As [`give_up`](Self::give_up), whichever it is. What is asked on it at the moment is not disturbed.
    pub(crate) fn give_up_any(&self) {
        self.held().connection = None;
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.held().connection.is_some()
    }
}

/// Whether a node of a cluster names another one.
pub(crate) fn moved<T>(answer: &Result<T, Failure>) -> bool {
    answer.as_ref().is_err_and(|failure| failure.moved_to().is_some())
}

fn going_away() -> backup_tracker::Error {
    let kind = backup_tracker::ErrorKind::Unavailable;
    backup_tracker::Error::new(kind, "connect", "the runtime is going away")
}

async fn bounded<T>(
    deadline: Deadline,
    request: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, Failure> {
    let cause = match timeout_at(deadline.at, request).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(cause)) => Cause::Redis(cause),
        Err(_) => Cause::Timeout(deadline.time),
    };
    Err(Failure::new(true, cause))
}
