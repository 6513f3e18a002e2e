//! NATS JetStream as a transport of [`backup_tracker`].

mod config;
mod create;
mod error;
mod headers;
mod link;
mod position;
mod reader;
mod sink;
mod source;
mod stream;
mod subject;

pub use async_nats;
pub use backup_tracker::StartAt;
pub use config::{
    DEFAULT_HEARTBEAT, DEFAULT_OPEN_TIMEOUT, DEFAULT_PING_INTERVAL, DEFAULT_REQUEST_TIMEOUT,
    DEFAULT_SEND_TIMEOUT, Nats, NatsSinkBuilder, NatsSourceBuilder,
};
pub use create::{CreateStream, DEFAULT_DUPLICATE_WINDOW};
pub use sink::NatsSink;
pub use source::NatsSource;
pub use subject::{application_of, token_of};
