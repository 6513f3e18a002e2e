//! Apache Kafka transport.

mod admin;
mod blocking;
mod config;
mod context;
mod error;
mod partition;
mod poller;
mod positions;
mod sink;
mod source;

pub use config::{
    CreateTopic, DEFAULT_OPEN_TIMEOUT, DEFAULT_PARTITION_REFRESH, DEFAULT_REQUEST_TIMEOUT,
    DEFAULT_SEND_TIMEOUT, Kafka, KafkaSinkBuilder, KafkaSourceBuilder, StartAt,
};
pub use partition::partition_for;
pub use rdkafka;
pub use sink::KafkaSink;
pub use source::KafkaSource;
