//! How a missing stream and a missing bucket are created.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use backup_tracker::{Error, Result};

/// For how long the server knows a message's id again in a stream that this crate creates, unless
/// [`CreateStream::duplicate_window`] says otherwise: 2 min, which is the server's own default.
pub const DEFAULT_DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// How large a bucket may grow that this crate creates, in an account that demands a limit of every stream, unless
/// [`CreateStream::bucket_bytes`] says otherwise: 1 MiB, which is room for the positions of some thousand groups.
pub const DEFAULT_BUCKET_BYTES: i64 = 1 << 20;

/// How a missing stream is created, and with it a missing bucket for the positions.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is given to `Nats::create_stream`"]
pub struct CreateStream {
    config: Config,
    bucket_bytes: Option<i64>,
}

impl CreateStream {
    /// A stream and a bucket on so many servers of the cluster each (1, 3 or 5), in files. Nothing is ever removed from the
    /// stream unless a limit is set.
    pub fn new(replicas: usize) -> Self {
        Self::native(Config {
            num_replicas: replicas,
            duplicate_window: DEFAULT_DUPLICATE_WINDOW,
            description: Some("Transitions of backup-tracker".to_owned()),
            allow_direct: true,
            ..Config::default()
        })
    }

    /// A stream with any settings; its name and subjects are set by this crate. The bucket has the same replicas and
    /// storage.
    pub const fn native(config: Config) -> Self {
        Self { config, bucket_bytes: None }
    }

    /// Removes events that are older. Never shorter than the longest that a secondary may be down.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.config.max_age = age;
        self
    }

    /// Removes the oldest events when the stream has grown to so many bytes.
    pub const fn max_bytes(mut self, bytes: i64) -> Self {
        self.config.max_bytes = bytes;
        self
    }

    /// Refuses positions of new groups when the bucket has grown to so many bytes. No limit unless set, and
    /// [`DEFAULT_BUCKET_BYTES`] in an account that demands one.
    pub const fn bucket_bytes(mut self, bytes: i64) -> Self {
        self.bucket_bytes = Some(bytes);
        self
    }

    /// Removes the oldest events when the stream has grown to so many.
    pub const fn max_messages(mut self, messages: i64) -> Self {
        self.config.max_messages = messages;
        self
    }

    /// Refuses events that are larger, headers included.
    pub const fn max_event_bytes(mut self, bytes: i32) -> Self {
        self.config.max_message_size = bytes;
        self
    }

    /// For how long an event that is sent again is stored only once; [`DEFAULT_DUPLICATE_WINDOW`] unless set. Longer than
    /// all retries of a send together.
    pub const fn duplicate_window(mut self, window: Duration) -> Self {
        self.config.duplicate_window = window;
        self
    }

    /// Keeps stream and bucket in memory. With one replica they are gone when the server ends.
    pub const fn in_memory(mut self) -> Self {
        self.config.storage = StorageType::Memory;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=5).contains(&self.config.num_replicas) {
            return Err(Error::config("replicas", "a stream has from 1 to 5"));
        }
        if self.config.max_message_size < 0 && self.config.max_message_size != -1 {
            return Err(Error::config("max event bytes", "it is negative"));
        }
        Ok(())
    }

    pub(crate) fn stream(&self, name: &str, filter: &str) -> Config {
        let mut config = self.config.clone();
        config.name = name.to_owned();
        config.subjects = vec![filter.to_owned()];
        // A window that is longer than the age of the oldest message is refused.
        if !config.max_age.is_zero() {
            config.duplicate_window = config.duplicate_window.min(config.max_age);
        }
        config
    }

    /// A bucket as the server's other clients create it, with one value a key.
    pub(crate) fn bucket(&self, bucket: &str) -> Config {
        Config {
            name: format!("KV_{bucket}"),
            subjects: vec![format!("$KV.{bucket}.>")],
            description: Some("Positions of backup-tracker".to_owned()),
            max_messages_per_subject: 1,
            max_bytes: self.bucket_bytes.unwrap_or(-1),
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            storage: self.config.storage,
            num_replicas: self.config.num_replicas,
            placement: self.config.placement.clone(),
            ..Config::default()
        }
    }

    /// As [`bucket`](Self::bucket), with a limit.
    pub(crate) fn limited_bucket(&self, bucket: &str) -> Config {
        Config { max_bytes: self.bucket_bytes.unwrap_or(DEFAULT_BUCKET_BYTES), ..self.bucket(bucket) }
    }
}
