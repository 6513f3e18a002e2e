//! The transports, one file each.

mod kafka;
mod memory;
mod nats;
mod redis;

pub(crate) use kafka::Kafka;
pub(crate) use memory::Memory;
pub(crate) use nats::Nats;
pub(crate) use redis::Redis;
