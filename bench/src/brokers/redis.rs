//! Redis Streams: raw is `redis`, with a connection for each reader and `XREAD BLOCK`.

use std::num::NonZeroUsize;

use anyhow::{Context, Result, bail};
use backup_tracker::{Event, WireFormat};
use backup_tracker_redis::{Redis as Transport, RedisSink, RedisSource};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Value};

use crate::broker::{Broker, RawConsumer, RawProducer};
use crate::events::Message;

/// How many entries the raw client asks for at once; more makes it no faster.
const COUNT: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// How many events are appended with one pipeline.
const PIPELINE: usize = 1000;

#[derive(Clone)]
pub(crate) struct Redis {
    url: String,
}

impl Redis {
    pub(crate) fn at(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    fn transport(&self, topic: &str) -> Transport {
        Transport::new(&*self.url, topic).create_stream()
    }

    /// Without the client's limits, as our transport, because a read may block.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let client = Client::open(&*self.url)?;
        Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

impl Broker for Redis {
    type Sink = RedisSink;
    type Source = RedisSource;
    type Producer = Producer;
    type Consumer = Consumer;

    const FORMAT: WireFormat = WireFormat::Cbor;

    async fn create(&self, topic: &str) -> Result<()> {
        // A stream comes into being with its first entry or group.
        drop(self.transport(topic).source("first").open().await?);
        Ok(())
    }

    async fn fill(&self, topic: &str, mut events: impl Iterator<Item = Event> + Send) -> Result<()> {
        let mut connection = self.connect().await?;
        loop {
            let mut pipeline = redis::Pipeline::with_capacity(PIPELINE);
            for event in events.by_ref().take(PIPELINE) {
                pipeline.add_command(append(topic, &Message::from(event))).ignore();
            }
            if pipeline.is_empty() {
                return Ok(());
            }
            pipeline.exec_async(&mut connection).await?;
        }
    }

    async fn sink(&self, topic: &str) -> Result<RedisSink> {
        Ok(self.transport(topic).sink().open().await?)
    }

    async fn source(&self, topic: &str, group: &str, _: Option<&str>) -> Result<RedisSource> {
        Ok(self.transport(topic).source(group).open().await?)
    }

    async fn producer(&self, topic: &str) -> Result<Producer> {
        Ok(Producer { connection: self.connect().await?, topic: topic.to_owned() })
    }

    async fn consumer(&self, topic: &str, _: Option<&str>) -> Result<Consumer> {
        let connection = self.connect().await?;
        Ok(Consumer { connection, topic: topic.to_owned(), group: None, next: "0-0".to_owned(), fetched: 0 })
    }

    async fn settle(&self, topic: &str, group: &str) -> Result<()> {
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(topic).arg(group).arg("$");
        Ok(command.exec_async(&mut self.connect().await?).await?)
    }

    async fn resume(&self, topic: &str, group: &str) -> Result<Consumer> {
        let group = Some(group.to_owned());
        Ok(Consumer { group, next: ">".to_owned(), ..self.consumer(topic, None).await? })
    }
}

/// The fields are those of our transport.
fn append(topic: &str, Message { event, key }: &Message) -> Cmd {
    let mut command = redis::cmd("XADD");
    command.arg(topic).arg("*").arg("key").arg(key).arg("application").arg(&*event.application);
    for header in &event.headers {
        command.arg(format!("header:{}", header.name)).arg(&header.value[..]);
    }
    command.arg("payload").arg(&event.payload[..]);
    command
}

pub(crate) struct Producer {
    connection: MultiplexedConnection,
    topic: String,
}

impl RawProducer for Producer {
    async fn send(&mut self, message: &Message) -> Result<()> {
        append(&self.topic, message).exec_async(&mut self.connection).await?;
        Ok(())
    }
}

pub(crate) struct Consumer {
    connection: MultiplexedConnection,
    topic: String,
    /// Reads by `XREADGROUP`, and acknowledges nothing.
    group: Option<String>,
    /// Behind which entry the next read begins.
    next: String,
    fetched: usize,
}

impl Consumer {
    async fn fetch(&mut self) -> Result<usize> {
        let mut command = match &self.group {
            None => redis::cmd("XREAD"),
            Some(group) => {
                let mut command = redis::cmd("XREADGROUP");
                command.arg("GROUP").arg(group).arg("reader").arg("NOACK");
                command
            }
        };
        command.arg("COUNT").arg(COUNT.get()).arg("BLOCK").arg(0);
        command.arg("STREAMS").arg(&self.topic).arg(&self.next);
        // As the client's own type for it would, but without a map for each entry.
        let answer: Value = command.query_async(&mut self.connection).await?;
        let entries = entries(answer).context("no answer to a read of a stream")?;
        let mut bytes = 0;
        self.fetched += entries.len();
        for entry in entries {
            let Value::Array(parts) = entry else { bail!("no entry") };
            let [Value::BulkString(id), Value::Array(fields)] = &parts[..] else { bail!("no entry") };
            if self.group.is_none() {
                self.next.clear();
                self.next.push_str(std::str::from_utf8(id)?);
            }
            if let Some(Value::BulkString(payload)) = fields.last() {
                bytes += payload.len();
            }
        }
        Ok(bytes)
    }
}

/// Those of the one stream in the answer.
fn entries(answer: Value) -> Option<Vec<Value>> {
    let Value::Array(streams) = answer else { return None };
    let Value::Array(stream) = streams.into_iter().next()? else { return None };
    let Value::Array(entries) = stream.into_iter().nth(1)? else { return None };
    Some(entries)
}

impl RawConsumer for Consumer {
    async fn read(&mut self, count: usize) -> Result<usize> {
        let mut bytes = 0;
        while self.fetched < count {
            bytes += self.fetch().await?;
        }
        self.fetched -= count;
        Ok(bytes)
    }
}
