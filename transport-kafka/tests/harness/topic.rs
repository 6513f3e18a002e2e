//! What a lane has on any cluster: a topic, and a proxy before it where the case disturbs it.

use std::time::Duration;

use backup_tracker::{BoxError, Error, ErrorKind, Result, StartAt};
use backup_tracker_conformance::{Isolation, RawRecord};
use backup_tracker_kafka::rdkafka::message::{Header, OwnedHeaders};
use backup_tracker_kafka::rdkafka::producer::{FutureProducer, FutureRecord};
use backup_tracker_kafka::{Kafka, KafkaSink, KafkaSource, partition_for};

use crate::profile::{CONTACT_TIME, MAX_EVENT_BYTES};
use crate::proxy::{Mode, Proxy, SOCKET_TIMEOUT};

pub(crate) const PARTITIONS: u32 = 3;
/// Key, lengths and batch header: what this crate counts in addition to a payload.
const OVERHEAD: usize = 36 + 82;
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) kafka: Kafka,
    proxy: Option<Proxy>,
    /// How long a request may take.
    limit: Duration,
}

impl Topic {
    /// The topic of this name on these servers, with clients that notice trouble soon.
    pub(crate) async fn new(
        mut servers: String,
        name: &str,
        isolation: Isolation,
        limit: Duration,
    ) -> Result<Self> {
        let mut proxy = None;
        if isolation == Isolation::Proxied {
            let started = Proxy::start(&servers).await.map_err(failed)?;
            servers = started.servers();
            proxy = Some(started);
        }
        let kafka = Kafka::new(servers, name)
            .property("reconnect.backoff.max.ms", "200")
            .property("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string())
            .property("socket.connection.setup.timeout.ms", "2000")
            .property("api.version.request.timeout.ms", "1000");
        Ok(Self { name: name.to_owned(), kafka, proxy, limit })
    }

    /// What passes between the clients and the cluster from now on.
    pub(crate) fn set(&self, mode: Mode) -> Result<()> {
        let proxy = self.proxy.as_ref().ok_or_else(|| failed("the lane has no proxy"))?;
        proxy.set(mode);
        Ok(())
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.set(Mode::Pass);
        }
    }

    pub(crate) async fn sink(&self) -> Result<KafkaSink> {
        let limit = (MAX_EVENT_BYTES + OVERHEAD).to_string();
        let builder = self.kafka.sink().property("message.max.bytes", limit);
        builder.send_timeout(self.limit).open().await
    }

    pub(crate) async fn source(&self, group: &str, start: StartAt) -> Result<KafkaSource> {
        let builder = self.kafka.source(group).start(start).contact_time(CONTACT_TIME);
        builder.request_timeout(self.limit).open().await
    }

    /// A source without a group.
    pub(crate) async fn observer(&self, start: StartAt) -> Result<KafkaSource> {
        let builder = self.kafka.observer().start(start).contact_time(CONTACT_TIME);
        builder.request_timeout(self.limit).open().await
    }

    /// Appends a record as a foreign program would.
    pub(crate) async fn produce(&self, producer: &FutureProducer, record: &RawRecord) -> Result<()> {
        let partition = partition_for(&record.application, PARTITIONS);
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, header| {
            headers.insert(Header { key: &header.name, value: Some(&header.value[..]) })
        });
        let foreign = FutureRecord::<[u8], [u8]>::to(&self.name);
        let mut foreign = foreign.partition(partition as i32).headers(headers);
        if let Some(key) = &record.key {
            foreign = foreign.key(key);
        }
        if let Some(payload) = &record.payload {
            foreign = foreign.payload(payload);
        }
        let sent = producer.send(foreign, self.limit).await;
        sent.map(drop).map_err(|(error, _)| failed(error))
    }
}

/// The harness failed, and not what it tests.
pub(crate) fn failed(cause: impl Into<BoxError>) -> Error {
    let cause = cause.into();
    Error::new(ErrorKind::Internal, "harness", cause.to_string()).with_source(cause)
}
