//! Option groups that flatten into any `clap` command and give it a tracker.

mod application;
mod environment;
mod error;
mod format;
mod given;
mod kafka;
mod open;
mod secret;
mod tracker;
mod transport;
mod words;

pub use application::ApplicationOption;
pub use error::{OpenError, OptionsError, OptionsErrorKind};
pub use kafka::KafkaOptions;
pub use tracker::{BackupTrackerOptions, DEFAULT_REPLICAS, DEFAULT_TOPIC};
pub use transport::Transport;
pub use words::TransportName;

/// The heading in `--help` of what concerns backups.
const BACKUPS: &str = "Backup options";
/// The heading in `--help` of what concerns Kafka.
const KAFKA: &str = "Kafka options";
