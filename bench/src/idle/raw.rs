//! Readers made of the same clients alone, with the same settings: each has read the one record that there is, and waits for
//! the next.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use backup_tracker::transport::DEFAULT_CONTACT_TIME;
use backup_tracker_nats::DEFAULT_PING_INTERVAL;
use futures_util::StreamExt;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use redis::AsyncConnectionConfig;
use tokio::sync::{mpsc, watch};

use crate::server::TOPIC;
use crate::transport::Transport;

/// How long a server may hold a Redis read, as our source has it.
const BLOCK: Duration = Duration::from_secs(3);

/// So many readers; each says on the channel that it has begun to wait. They live as long as the runtime.
pub(crate) async fn start(transport: Transport, address: &str, count: usize) -> Result<()> {
    let (begun, mut waiting) = mpsc::channel(count.max(1));
    // Nobody ever sends, and it must not be closed.
    let silence = Box::leak(Box::new(watch::Sender::new(())));
    for number in 0..count {
        let (begun, address) = (begun.clone(), address.to_owned());
        match transport {
            Transport::Memory => {
                let mut receiver = silence.subscribe();
                tokio::spawn(async move {
                    begun.send(()).await?;
                    receiver.changed().await?;
                    Ok::<_, anyhow::Error>(())
                });
            }
            Transport::Kafka => drop(tokio::spawn(kafka(address, number, begun))),
            Transport::Nats => drop(tokio::spawn(nats(address, begun))),
            Transport::Redis => drop(tokio::spawn(redis(address, begun))),
        }
    }
    drop(begun);
    for _ in 0..count {
        waiting.recv().await.context("a raw reader ended")?;
    }
    Ok(())
}

async fn kafka(address: String, number: usize, begun: mpsc::Sender<()>) -> Result<()> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", format!("raw-{number}"))
        .set("allow.auto.create.topics", "false")
        .set("socket.timeout.ms", "10000")
        .set("reconnect.backoff.max.ms", "1000")
        .set("log.connection.close", "false")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.wait.max.ms", "100")
        .set("session.timeout.ms", "6000")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    consumer.recv().await?;
    begun.send(()).await?;
    consumer.recv().await?;
    Ok(())
}

async fn nats(address: String, begun: mpsc::Sender<()>) -> Result<()> {
    let options = async_nats::ConnectOptions::new().ping_interval(DEFAULT_PING_INTERVAL);
    let client = options.connect(address).await?;
    let stream = async_nats::jetstream::new(client).get_stream(TOPIC).await?;
    let consumer = stream
        .create_consumer(pull::Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        })
        .await?;
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(256)
        .heartbeat(DEFAULT_CONTACT_TIME.mul_f64(0.3))
        .expires(DEFAULT_CONTACT_TIME * 2)
        .messages()
        .await?;
    messages.next().await.context("the messages ended")??;
    begun.send(()).await?;
    messages.next().await.context("the messages ended")??;
    Ok(())
}

async fn redis(address: String, begun: mpsc::Sender<()>) -> Result<()> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let client = redis::Client::open(address)?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut read = redis::cmd("XRANGE");
    let read = read.arg(TOPIC).arg("-").arg("+").arg("COUNT").arg(1);
    let found: Vec<(String, redis::Value)> = read.query_async(&mut connection).await?;
    let (id, _) = found.first().context("there is no record")?;
    let mut read = redis::cmd("XREAD");
    read.arg("COUNT").arg(1).arg("BLOCK").arg(BLOCK.as_millis().to_string());
    read.arg("STREAMS").arg(TOPIC).arg(id);
    begun.send(()).await?;
    loop {
        let reply: redis::Value = read.query_async(&mut connection).await?;
        ensure!(reply == redis::Value::Nil, "a record came");
    }
}
