//! NATS JetStream: raw is `async-nats`, with a pull consumer that asks for batches as our transport does.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::{Config, Stream};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::context::PublishAckFuture;
use backup_tracker::{Event, WireFormat};
use backup_tracker_nats::{CreateStream, Nats as Transport, NatsSink, NatsSource, token_of};
use futures_util::StreamExt;

use crate::broker::{Broker, RawConsumer, RawProducer};
use crate::events::Message;

/// What our transport asks for.
const BATCH: usize = 256;
const HEARTBEAT: Duration = Duration::from_secs(5);
const EXPIRES: Duration = Duration::from_secs(30);
/// How many publications may be under way while a backlog is written.
const WINDOW: usize = 2000;

#[derive(Clone)]
pub(crate) struct Nats {
    url: String,
}

impl Nats {
    pub(crate) fn at(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    fn transport(&self, topic: &str) -> Transport {
        Transport::new(&*self.url, topic).create_stream(CreateStream::new(1))
    }

    async fn connect(&self) -> Result<async_nats::jetstream::Context> {
        Ok(async_nats::jetstream::new(async_nats::connect(&*self.url).await?))
    }
}

/// The subject of one application's events, or of all.
fn subject(topic: &str, application: Option<&str>) -> String {
    format!("{topic}.{}", application.map_or_else(|| "*".to_owned(), token_of))
}

/// The headers that our sink sends.
fn headers(topic: &str, Message { event, key }: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", &**key);
    headers.insert("Nats-Expected-Stream", topic);
    for header in &event.headers {
        let value = String::from_utf8_lossy(&header.value);
        headers.insert("Backup-Tracker-Headers", format!("{}:{value}", header.name));
        headers.insert(&*header.name, &*value);
    }
    headers
}

impl Broker for Nats {
    type Sink = NatsSink;
    type Source = NatsSource;
    type Producer = Producer;
    type Consumer = Consumer;

    const FORMAT: WireFormat = WireFormat::Cbor;
    const FILTERS: bool = true;

    async fn create(&self, topic: &str) -> Result<()> {
        // The bucket of the positions comes with the first source.
        drop(self.transport(topic).source("first").open().await?);
        Ok(())
    }

    async fn fill(&self, topic: &str, events: impl Iterator<Item = Event> + Send) -> Result<()> {
        let context = self.connect().await?;
        let mut under_way: Vec<PublishAckFuture> = Vec::with_capacity(WINDOW);
        for event in events {
            let message = Message::from(event);
            let subject = subject(topic, Some(&message.event.application));
            let headers = headers(topic, &message);
            let payload = message.event.payload;
            under_way.push(context.publish_with_headers(subject, headers, payload).await?);
            if under_way.len() == WINDOW {
                for acknowledged in under_way.drain(..) {
                    acknowledged.await?;
                }
            }
        }
        for acknowledged in under_way {
            acknowledged.await?;
        }
        Ok(())
    }

    async fn sink(&self, topic: &str) -> Result<NatsSink> {
        Ok(self.transport(topic).sink().open().await?)
    }

    async fn source(&self, topic: &str, group: &str, application: Option<&str>) -> Result<NatsSource> {
        let source = self.transport(topic).source(group);
        Ok(match application {
            Some(application) => source.only_application(application).open().await?,
            None => source.open().await?,
        })
    }

    async fn producer(&self, topic: &str) -> Result<Producer> {
        let context = self.connect().await?;
        Ok(Producer { context, topic: topic.to_owned() })
    }

    async fn consumer(&self, topic: &str, application: Option<&str>) -> Result<Consumer> {
        let context = self.connect().await?;
        let config = Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            filter_subject: subject(topic, application),
            memory_storage: true,
            num_replicas: 1,
            ..Config::default()
        };
        Consumer::of(&context.create_consumer_on_stream(config, topic).await?).await
    }

    async fn settle(&self, topic: &str, group: &str) -> Result<()> {
        let config = Config {
            durable_name: Some(group.to_owned()),
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: -1,
            filter_subject: subject(topic, Some(crate::events::APPLICATION)),
            ..Config::default()
        };
        self.connect().await?.create_consumer_on_stream(config, topic).await?;
        Ok(())
    }

    async fn resume(&self, topic: &str, group: &str) -> Result<Consumer> {
        let context = self.connect().await?;
        let consumer: PullConsumer = context.get_consumer_from_stream(group, topic).await?;
        Consumer::of(&consumer).await
    }
}

pub(crate) struct Producer {
    context: async_nats::jetstream::Context,
    topic: String,
}

impl RawProducer for Producer {
    async fn send(&mut self, message: &Message) -> Result<()> {
        let subject = subject(&self.topic, Some(&message.event.application));
        let headers = headers(&self.topic, message);
        let payload = message.event.payload.clone();
        self.context.publish_with_headers(subject, headers, payload).await?.await?;
        Ok(())
    }
}

pub(crate) struct Consumer(Stream);

impl Consumer {
    async fn of(consumer: &PullConsumer) -> Result<Self> {
        let stream =
            consumer.stream().max_messages_per_batch(BATCH).heartbeat(HEARTBEAT).expires(EXPIRES).messages();
        Ok(Self(stream.await?))
    }
}

impl RawConsumer for Consumer {
    async fn read(&mut self, count: usize) -> Result<usize> {
        let mut bytes = 0;
        for _ in 0..count {
            let Some(message) = self.0.next().await else { bail!("the stream of messages has ended") };
            bytes += message.context("no message")?.payload.len();
        }
        Ok(bytes)
    }
}
