//! On Redis: a stream for the events and the groups, and the hash beside it.

use std::fmt;
use std::time::Duration;

use backup_tracker::Result;
use backup_tracker_redis::redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline, RedisResult, pipe,
};
use backup_tracker_redis::{Redis, RedisSink, RedisSource};

use super::super::broker::PATIENCE;
use super::super::trouble::Trouble;
use super::{FIRST_GROUP, Left, REMOVAL_LIMIT, finds_nothing, fresh_name, limited};

/// After how long the server itself removes what a demo that was killed could not remove.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

#[derive(Clone)]
pub(in super::super) struct RedisLog {
    redis: Redis,
    /// The stream, and the hash in which the transport keeps what the stream cannot tell.
    keys: [String; 2],
    server: String,
    client: Client,
}

impl RedisLog {
    /// A log on the server at this address; `None` when that is no address.
    pub(in super::super) fn at(url: &str) -> Option<Self> {
        let server = url.into_connection_info().ok()?.addr().to_string();
        let client = Client::open(url).ok()?;
        let name = fresh_name();
        let redis = Redis::new(url, &*name).open_timeout(PATIENCE);
        let keys = [name.clone(), format!("{name}:backup-tracker")];
        Some(Self { redis, keys, server, client })
    }

    pub(in super::super) fn describe(&self) -> String {
        format!("stream `{}` of the Redis server at {}", self.keys[0], self.server)
    }

    pub(in super::super) async fn check(&self) -> std::result::Result<(), Trouble> {
        finds_nothing(self.source(FIRST_GROUP).await, self.describe())?;
        let removed = limited(self.remove()).await;
        removed.map_err(|why| Trouble::MayNotRemove { server: self.server.clone(), why })
    }

    pub(in super::super) async fn create(&self) -> std::result::Result<(), Trouble> {
        drop(self.redis.clone().create_stream().source(FIRST_GROUP).open().await?);
        let mut commands = pipe();
        for key in &self.keys {
            commands.cmd("EXPIRE").arg(key).arg(LIFETIME.as_secs());
        }
        let limit = limited(async { self.ask(&commands).await.map_err(|error| error.to_string()) });
        limit.await.map_err(Trouble::Preparation)
    }

    pub(in super::super) async fn sink(&self) -> Result<RedisSink> {
        self.redis.sink().send_timeout(PATIENCE).open().await
    }

    pub(in super::super) async fn source(&self, group: &str) -> Result<RedisSource> {
        self.redis.source(group).request_timeout(PATIENCE).open().await
    }

    /// Removes stream and hash, where they are.
    pub(in super::super) async fn remove(&self) -> std::result::Result<(), String> {
        let mut command = pipe();
        command.cmd("DEL").arg(&self.keys);
        self.ask(&command).await.map_err(|error| format!("`DEL` failed: {error}"))
    }

    async fn ask(&self, commands: &Pipeline) -> RedisResult<()> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(REMOVAL_LIMIT))
            .set_response_timeout(Some(REMOVAL_LIMIT));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        commands.exec_async(&mut connection).await
    }

    pub(in super::super) fn left(&self, why: String) -> Left {
        let mend = format!("redis-cli DEL {}", self.keys.join(" "));
        Left { what: self.describe(), why, mend }
    }
}

impl fmt::Debug for RedisLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLog").field("redis", &self.redis).finish_non_exhaustive()
    }
}
