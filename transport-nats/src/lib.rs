//! NATS JetStream as a transport of [`backup_tracker`].

mod builder;
mod config;
mod create;
mod error;
mod group;
mod headers;
mod link;
mod opening;
mod position;
mod reader;
mod sink;
mod source;
mod stream;
mod subject;

pub use async_nats;
pub use backup_tracker::StartAt;
pub use builder::{
    DEFAULT_HEARTBEAT, DEFAULT_REQUEST_TIMEOUT, DEFAULT_SEND_TIMEOUT, NatsSinkBuilder, NatsSourceBuilder,
};
pub use config::{DEFAULT_OPEN_TIMEOUT, DEFAULT_PING_INTERVAL, Nats};
pub use create::{CreateStream, DEFAULT_DUPLICATE_WINDOW};
pub use sink::NatsSink;
pub use source::NatsSource;
pub use subject::{application_of, token_of};
