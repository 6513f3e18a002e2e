//! One connection, made when it is needed, and given up when it fails.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Value};
use tokio::time::{Instant, timeout_at};

use crate::error::{Cause, Failure};

/// A connection with a number that none before it on the same link had.
#[derive(Clone)]
pub(crate) struct Connection {
    inner: MultiplexedConnection,
    pub(crate) generation: u64,
}

/// Cheap to clone; clones share the connection. Nothing is asked twice: a request that fails, fails.
#[derive(Clone)]
pub(crate) struct Link(Arc<Shared>);

struct Shared {
    client: Client,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    connection: Option<Connection>,
    generation: u64,
}

/// The end of the time that an operation may take, over all of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    time: Duration,
}

/// As good as for ever, and still a time that the clock can tell.
pub(crate) const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Deadline {
    pub(crate) fn after(time: Duration) -> Self {
        Self { at: Instant::now() + time.min(CENTURY), time }
    }
}

impl Link {
    pub(crate) fn new(client: Client) -> Self {
        Self(Arc::new(Shared { client, held: Mutex::default() }))
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
        // The client library's own limits are off: its 500 ms for an answer would end every read that blocks.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connecting = self.0.client.get_multiplexed_async_connection_with_config(&config);
        let server = || self.0.client.get_connection_info().addr().to_string();
        let inner = bounded(deadline, false, connecting).await.map_err(|failure| failure.to(server()))?;
        let mut held = self.held();
        held.generation += 1;
        let connection = Connection { inner, generation: held.generation };
        held.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Asks on this connection, and gives it up when it is of no more use.
    pub(crate) async fn ask_on(
        &self,
        connection: &mut Connection,
        command: &Cmd,
        deadline: Deadline,
    ) -> Result<Value, Failure> {
        let asking = command.query_async::<Value>(&mut connection.inner);
        let answer = bounded(deadline, true, asking).await;
        self.give_up_after(&answer, connection.generation);
        answer
    }

    fn give_up_after<T>(&self, answer: &Result<T, Failure>, generation: u64) {
        if answer.as_ref().is_err_and(Failure::wants_another_connection) {
            self.give_up(generation);
        }
    }

    pub(crate) async fn ask(&self, command: &Cmd, deadline: Deadline) -> Result<Value, Failure> {
        let mut connection = self.connect(deadline).await?;
        self.ask_on(&mut connection, command, deadline).await
    }

    /// Runs commands in one step of the server, and returns their answers. With something to wait for, the server runs it first and
    /// holds the others as long, so that they cost no way there and back of their own.
    pub(crate) async fn ask_at_once(
        &self,
        wait: Option<Cmd>,
        commands: impl IntoIterator<Item = Cmd>,
        deadline: Deadline,
    ) -> Result<Vec<Value>, Failure> {
        let mut connection = self.connect(deadline).await?;
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
        let asking = async {
            let answers = connection.inner.send_packed_commands(&pipeline, 0, count).await?;
            // The first error is the reason; that the transaction was given up follows from it.
            let answers = answers.into_iter().map(Value::extract_error);
            answers.collect::<redis::RedisResult<Vec<Value>>>()
        };
        let answer = bounded(deadline, true, asking).await;
        self.give_up_after(&answer, connection.generation);
        answer.map(|mut answers| match answers.pop() {
            Some(Value::Array(answers)) => answers,
            // No such answer; whoever asked finds that it has none.
            _ => Vec::new(),
        })
    }

    /// Lets the next request make a connection of its own, unless somebody else has made one since.
    pub(crate) fn give_up(&self, generation: u64) {
        let mut held = self.held();
        if held.connection.as_ref().is_some_and(|held| held.generation == generation) {
            held.connection = None;
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.held().connection.is_some()
    }
}

async fn bounded<T>(
    deadline: Deadline,
    asked: bool,
    request: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, Failure> {
    let cause = match timeout_at(deadline.at, request).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(cause)) => Cause::Redis(cause),
        Err(_) => Cause::Timeout(deadline.time),
    };
    Err(Failure::new(asked, cause))
}
