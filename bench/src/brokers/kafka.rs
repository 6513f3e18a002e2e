//! Apache Kafka: raw is `rdkafka`, with the settings that our transport gives it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use backup_tracker::{Event, WireFormat};
use backup_tracker_kafka::{CreateTopic, Kafka as Transport, KafkaSink, KafkaSource};
use futures_util::StreamExt;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::{Broker, RawConsumer, RawProducer};
use crate::events::Message;

/// How long the setting up may wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct Kafka {
    servers: String,
}

impl Kafka {
    pub(crate) fn at(servers: impl Into<String>) -> Self {
        Self { servers: servers.into() }
    }

    fn transport(&self, topic: &str) -> Transport {
        Transport::new(&*self.servers, topic)
    }

    /// What our transport sets on every client.
    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", "10000")
            .set("reconnect.backoff.max.ms", "1000")
            .set("log.connection.close", "false");
        config
    }

    /// What our source sets besides, but for `auto.offset.reset` and the timeout of sessions, which belong to its way of reading.
    fn consuming(&self, group: &str) -> ClientConfig {
        let mut config = self.common();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.error.backoff.ms", "100")
            .set("fetch.wait.max.ms", "100");
        config
    }

    fn producing(&self) -> ClientConfig {
        let mut config = self.common();
        config.set("acks", "all").set("enable.idempotence", "true");
        config
    }
}

impl Broker for Kafka {
    type Sink = KafkaSink;
    type Source = KafkaSource;
    type Producer = Producer;
    type Consumer = Consumer;

    const FORMAT: WireFormat = WireFormat::BackupJson;

    async fn create(&self, topic: &str) -> Result<()> {
        drop(self.transport(topic).create_topic(CreateTopic::new(1, 1)).sink().open().await?);
        Ok(())
    }

    async fn fill(&self, topic: &str, events: impl Iterator<Item = Event> + Send) -> Result<()> {
        let mut config = self.producing();
        config.set("linger.ms", "20").set("queue.buffering.max.messages", "500000");
        let producer: BaseProducer = config.create()?;
        for event in events {
            let message = Message::from(event);
            let mut record = BaseRecord::to(topic)
                .partition(0)
                .key(&*message.key)
                .payload(&message.event.payload[..])
                .headers(headers(&message.event));
            while let Err((error, back)) = producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                producer.poll(Duration::from_millis(10));
                record = back;
            }
        }
        producer.flush(PATIENCE)?;
        Ok(())
    }

    async fn sink(&self, topic: &str) -> Result<KafkaSink> {
        Ok(self.transport(topic).sink().open().await?)
    }

    async fn source(&self, topic: &str, group: &str, _: Option<&str>) -> Result<KafkaSource> {
        Ok(self.transport(topic).source(group).open().await?)
    }

    async fn producer(&self, topic: &str) -> Result<Producer> {
        let mut config = self.producing();
        config.set("linger.ms", "0").set("message.timeout.ms", "10000");
        let producer = config.create()?;
        Ok(Producer { producer, topic: topic.to_owned() })
    }

    async fn consumer(&self, topic: &str, _: Option<&str>) -> Result<Consumer> {
        let consumer: StreamConsumer = self.consuming("raw").create()?;
        let topic = topic.to_owned();
        // Without knowing the partition's leader, librdkafka would look again after half a second.
        let assigned = tokio::task::spawn_blocking(move || -> Result<StreamConsumer> {
            consumer.fetch_metadata(Some(&topic), PATIENCE)?;
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, 0, Offset::Offset(0))?;
            consumer.assign(&list)?;
            Ok(consumer)
        });
        Ok(Consumer(assigned.await??))
    }

    async fn settle(&self, topic: &str, group: &str) -> Result<()> {
        let consumer: BaseConsumer = self.consuming(group).create()?;
        let topic = topic.to_owned();
        let settled = tokio::task::spawn_blocking(move || -> Result<()> {
            let (_, high) = consumer.fetch_watermarks(&topic, 0, PATIENCE)?;
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, 0, Offset::Offset(high))?;
            Ok(consumer.commit(&list, CommitMode::Sync)?)
        });
        settled.await?
    }

    async fn resume(&self, topic: &str, group: &str) -> Result<Consumer> {
        let consumer: StreamConsumer = self.consuming(group).create()?;
        consumer.subscribe(&[topic])?;
        Ok(Consumer(consumer))
    }
}

fn headers(event: &Event) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(event.headers.len());
    event.headers.iter().fold(headers, |headers, header| {
        headers.insert(Header { key: &header.name, value: Some(&header.value[..]) })
    })
}

pub(crate) struct Producer {
    producer: FutureProducer,
    topic: String,
}

impl RawProducer for Producer {
    async fn send(&mut self, message: &Message) -> Result<()> {
        let record = FutureRecord::to(&self.topic)
            .partition(0)
            .key(&message.key)
            .payload(&message.event.payload[..])
            .headers(headers(&message.event));
        let report = self.producer.send_result(record).map_err(|(error, _)| error)?;
        report.await.context("the producer is gone")?.map_err(|(error, _)| error)?;
        Ok(())
    }
}

pub(crate) struct Consumer(StreamConsumer);

impl RawConsumer for Consumer {
    async fn read(&mut self, count: usize) -> Result<usize> {
        // One stream for all, which costs less than `recv` for each.
        let mut stream = self.0.stream();
        let mut bytes = 0;
        for _ in 0..count {
            let Some(message) = stream.next().await else { bail!("the stream of messages has ended") };
            bytes += message?.payload_len();
        }
        Ok(bytes)
    }

    async fn close(self) -> Result<()> {
        // Leaves the group, and blocks.
        Ok(tokio::task::spawn_blocking(move || drop(self.0)).await?)
    }
}
