//! Redis Streams transport of [`backup_tracker`].

mod answer;
mod config;
mod entry;
mod error;
mod link;
mod log;
mod reader;
mod script;
mod sink;
mod source;
mod tls;

pub use config::{
    DEFAULT_MAX_EVENT_BYTES, DEFAULT_OPEN_TIMEOUT, DEFAULT_REQUEST_TIMEOUT, DEFAULT_SEND_TIMEOUT, Redis,
    RedisSinkBuilder, RedisSourceBuilder,
};
pub use redis;
pub use sink::RedisSink;
pub use source::RedisSource;
