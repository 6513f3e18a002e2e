//! Memory. There is no client; raw is what a program would take instead: a list behind a lock, and a [`Notify`] that wakes
//! its readers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use backup_tracker::{Event, WireFormat};
use backup_tracker_memory::{MemoryLog, MemorySink, MemorySource};
use bytes::Bytes;
use tokio::sync::Notify;

use crate::broker::{Broker, RawConsumer, RawProducer};
use crate::events::Message;

#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<HashMap<String, Topic>>>);

/// One of each: what is written to one is not in the other, except by [`Broker::fill`].
#[derive(Clone)]
struct Topic {
    ours: MemoryLog,
    raw: Arc<List>,
}

#[derive(Default)]
pub(crate) struct List {
    payloads: Mutex<Vec<Bytes>>,
    groups: Mutex<HashMap<String, usize>>,
    changed: Notify,
}

impl List {
    fn push(&self, payload: Bytes) {
        self.payloads.lock().unwrap_or_else(PoisonError::into_inner).push(payload);
    }

    fn get(&self, index: usize) -> Option<Bytes> {
        self.payloads.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned()
    }

    fn len(&self) -> usize {
        self.payloads.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Memory {
    fn topic(&self, name: &str) -> Result<Topic> {
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).cloned().with_context(|| format!("there is no topic {name}"))
    }
}

impl Broker for Memory {
    type Sink = MemorySink;
    type Source = MemorySource;
    type Producer = Producer;
    type Consumer = Consumer;

    const FORMAT: WireFormat = WireFormat::Cbor;

    async fn create(&self, topic: &str) -> Result<()> {
        let made = Topic { ours: MemoryLog::new(topic)?, raw: Arc::default() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), made);
        Ok(())
    }

    async fn fill(&self, topic: &str, events: impl Iterator<Item = Event> + Send) -> Result<()> {
        let topic = self.topic(topic)?;
        for event in events {
            topic.raw.push(event.payload.clone());
            topic.ours.append_raw(Some(event.key), event.headers, Some(event.payload));
        }
        topic.raw.changed.notify_waiters();
        Ok(())
    }

    async fn sink(&self, topic: &str) -> Result<MemorySink> {
        Ok(self.topic(topic)?.ours.sink())
    }

    async fn source(&self, topic: &str, group: &str, _: Option<&str>) -> Result<MemorySource> {
        Ok(self.topic(topic)?.ours.source(group)?)
    }

    async fn producer(&self, topic: &str) -> Result<Producer> {
        Ok(Producer(self.topic(topic)?.raw))
    }

    async fn consumer(&self, topic: &str, _: Option<&str>) -> Result<Consumer> {
        Ok(Consumer { list: self.topic(topic)?.raw, next: 0 })
    }

    async fn settle(&self, topic: &str, group: &str) -> Result<()> {
        let list = self.topic(topic)?.raw;
        let next = list.len();
        list.groups.lock().unwrap_or_else(PoisonError::into_inner).insert(group.to_owned(), next);
        Ok(())
    }

    async fn resume(&self, topic: &str, group: &str) -> Result<Consumer> {
        let list = self.topic(topic)?.raw;
        let next = list.groups.lock().unwrap_or_else(PoisonError::into_inner).get(group).copied();
        Ok(Consumer { list, next: next.unwrap_or_default() })
    }
}

pub(crate) struct Producer(Arc<List>);

impl RawProducer for Producer {
    async fn send(&mut self, message: &Message) -> Result<()> {
        self.0.push(message.event.payload.clone());
        self.0.changed.notify_waiters();
        Ok(())
    }
}

pub(crate) struct Consumer {
    list: Arc<List>,
    next: usize,
}

impl RawConsumer for Consumer {
    async fn read(&mut self, count: usize) -> Result<usize> {
        let mut bytes = 0;
        for _ in 0..count {
            let payload = loop {
                let mut changed = std::pin::pin!(self.list.changed.notified());
                if let Some(payload) = self.list.get(self.next) {
                    break payload;
                }
                changed.as_mut().enable();
                if let Some(payload) = self.list.get(self.next) {
                    break payload;
                }
                changed.await;
            };
            self.next += 1;
            bytes += payload.len();
        }
        Ok(bytes)
    }
}
