//! Real servers for the tests of the transports: each on a free port of the loopback interface, with its data in a
//! temporary folder, ended by its own process id.
//!
//! ```no_run
//! use backup_tracker_test_servers::Redis;
//!
//! # fn main() -> std::io::Result<()> {
//! let mut redis = Redis::start()?;
//! let url = redis.url(); // redis://127.0.0.1:41233
//! redis.kill()?; // as by `kill -9`
//! redis.restart()?; // the same port, the same data
//! # Ok(())
//! # }
//! ```
//!
//! # Where the binaries come from
//!
//! The first one that is new enough: on the `PATH`, then in the folder that the variable
//! `BACKUP_TRACKER_TEST_SERVERS` names, then in `target/test-servers/bin` of the workspace, where
//! `scripts/fetch-test-servers` puts what it fetched. Kafka is run by the Java of `JAVA_HOME`, or else the first on the
//! `PATH` that is new enough, from the jars in the folder `kafka` of `BACKUP_TRACKER_TEST_SERVERS`, or in
//! `target/test-servers/kafka`. A suite asks [`Redis::find`], [`Nats::find`] or [`Kafka::find`] first, and shows its cases as
//! ignored with the reason that [`Missing`] gives.
//!
//! # What is promised
//!
//! `start` and `restart` return once the server answers, or fail within [`START_TIMEOUT`] with the end of the server's
//! log. Dropping a server kills its process and removes its data; when the test itself is killed, the server's process ends with it
//! and the data stay. Nothing here needs an async runtime; every call blocks.

mod binary;
mod kafka;
mod nats;
mod process;
mod redis;
mod server;

pub use binary::{Binary, Missing};
pub use kafka::{Kafka, KafkaBuilder, KafkaCluster};
pub use nats::{Nats, NatsCluster};
pub use process::START_TIMEOUT;
pub use redis::Redis;
