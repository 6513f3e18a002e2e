//! A look at server, stream and group that writes nothing.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use backup_tracker::transport::{Place, not_blank};
use backup_tracker::{Error, Result};
use redis::{Cmd, Value, cmd};

use crate::answer::text;
use crate::config::Redis;
use crate::entry::EntryId;
use crate::error::RedisErrors;
use crate::link::{Deadline, Link};
use crate::script::{COMMIT, observe, run, side_key};

const OPERATION: &str = "inspect";

/// What [`Redis::inspect`] found. What could not be found out is an error of its own, and does not hide the rest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Whether the server lets this client in, whatever it may do then.
    pub signed_in: Result<()>,
    /// What the server says of itself (`INFO`): `redis_version`, `role`, `aof_enabled`, `maxmemory_policy`, ….
    pub info: Result<BTreeMap<String, String>>,
    /// Its settings, which many users may not see (`CONFIG GET`): `appendfsync`, `maxmemory` and the like.
    pub settings: Result<BTreeMap<String, String>>,
    /// The server's clock (`TIME`).
    pub clock: Result<Clock>,
    /// The type of what the key holds, `stream` where all is well; `None` if there is no such key.
    pub key: Result<Option<String>>,
    /// The stream, if the key holds one.
    pub stream: Result<Option<Stream>>,
    /// The stream's groups.
    pub groups: Result<Vec<Group>>,
    /// The user as whom this client is signed in (`ACL WHOAMI`).
    pub user: Result<String>,
    /// Whether that user may do what a primary and a secondary do (`ACL DRYRUN`, which itself takes a permission that
    /// they do not need).
    pub permissions: Permissions,
}

/// The server's clock, and this machine's before and after it was asked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Clock {
    /// What the server's clock showed.
    pub server: SystemTime,
    /// When it was asked.
    pub asked: SystemTime,
    /// When it had answered.
    pub answered: SystemTime,
}

/// A stream (`XINFO STREAM`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stream {
    /// How many entries it holds.
    pub length: u64,
    /// How many were ever added.
    pub added: u64,
    /// When the oldest entry that it holds was added, in milliseconds since the epoch by the server's clock; `None` if it holds
    /// none.
    pub oldest_millis: Option<u64>,
}

/// A group of the stream (`XINFO GROUPS`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The identifier of the last entry behind it.
    pub position: String,
    /// How many entries are before it, where the server can tell.
    pub lag: Option<u64>,
    /// How many consumers it has. There should be none.
    pub consumers: u64,
    /// How many entries wait for an acknowledgement. There should be none.
    pub pending: u64,
}

/// What the user may do. `Ok(None)`: all of it. `Ok(Some(…))`: the first refusal, in the server's words.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Permissions {
    /// As a primary.
    pub primary: Result<Option<String>>,
    /// As a secondary.
    pub secondary: Result<Option<String>>,
    /// As an observer.
    pub observer: Result<Option<String>>,
}

impl Redis {
    /// Looks at the server, the stream, and the stream's groups, for a program that judges whether all is set up well.
    ///
    /// It runs commands that read, and no script; it creates no stream, whatever [`create_stream`](Self::create_stream) says. All
    /// questions together may take [`open_timeout`](Self::open_timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`Config`](backup_tracker::ErrorKind::Config) when a setting is wrong. All else is in the [`Inspection`].
    pub async fn inspect(&self, group: Option<&str>) -> Result<Inspection> {
        self.check()?;
        let mut place = Place::new(&*self.topic);
        if let Some(group) = group {
            not_blank("group", group)?;
            place = place.with_group(group);
        }
        let link = Link::new(self.access.clone());
        let look = Look { place, link, deadline: Deadline::after(self.open_timeout) };
        Ok(match look.link.connect(look.deadline).await {
            Ok(_) => look.all().await,
            Err(failure) => {
                let failure = match failure.setting() {
                    Ok(error) => return Err(error),
                    Err(failure) => failure,
                };
                Inspection::nothing(&look.place.failure(OPERATION, failure))
            }
        })
    }
}

impl Inspection {
    fn nothing(error: &Error) -> Self {
        let refused = || Err(error.clone());
        Self {
            signed_in: Err(error.clone()),
            info: Err(error.clone()),
            settings: Err(error.clone()),
            clock: Err(error.clone()),
            key: Err(error.clone()),
            stream: Err(error.clone()),
            groups: Err(error.clone()),
            user: Err(error.clone()),
            permissions: Permissions { primary: refused(), secondary: refused(), observer: refused() },
        }
    }
}

struct Look {
    place: Place,
    link: Link,
    deadline: Deadline,
}

impl Look {
    async fn all(&self) -> Inspection {
        let signed_in = self.signed_in().await;
        let info = self.info().await;
        let mut settings = cmd("CONFIG");
        settings.arg("GET").arg(&["append*", "maxmemory*", "min-replicas-*", "timeout"]);
        let settings = self.ask(&settings).await.and_then(|answer| self.pairs(answer));
        let settings = settings
            .map(|pairs| pairs.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect());
        let clock = self.clock().await;
        let key = self.key().await;
        let (stream, groups) = match &key {
            Ok(kind) if kind.as_deref() != Some("stream") => (Ok(None), Ok(Vec::new())),
            _ => (self.stream().await.map(Some), self.groups().await),
        };
        let user = self.ask_text(cmd("ACL").arg("WHOAMI")).await;
        let permissions = self.permissions(user.as_deref()).await;
        Inspection { signed_in, info, settings, clock, key, stream, groups, user, permissions }
    }

    async fn ask(&self, command: &Cmd) -> Result<Value> {
        let answer = self.link.probe(command, self.deadline).await;
        answer.map_err(|failure| self.place.failure(OPERATION, failure))
    }

    /// Without a password the server takes connections, and refuses everything else.
    async fn signed_in(&self) -> Result<()> {
        match self.link.probe(&cmd("PING"), self.deadline).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_forbidden() => Ok(()),
            Err(failure) => Err(self.place.failure(OPERATION, failure)),
        }
    }

    fn strange(&self) -> Error {
        self.place.strange(OPERATION)
    }

    async fn ask_text(&self, command: &Cmd) -> Result<String> {
        text(self.ask(command).await?).ok_or_else(|| self.strange())
    }

    fn pairs(&self, answer: Value) -> Result<Vec<(String, Value)>> {
        pairs(answer).ok_or_else(|| self.strange())
    }

    async fn info(&self) -> Result<BTreeMap<String, String>> {
        let info = match self.ask(&cmd("INFO")).await? {
            Value::VerbatimString { text, .. } => text,
            other => text(other).ok_or_else(|| self.strange())?,
        };
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        Ok(lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    async fn clock(&self) -> Result<Clock> {
        let asked = SystemTime::now();
        let answer = self.ask(&cmd("TIME")).await?;
        let answered = SystemTime::now();
        let Value::Array(parts) = answer else { return Err(self.strange()) };
        let mut numbers = parts.into_iter().map(|part| text(part)?.parse::<u64>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(seconds), Some(micros)) => {
                let since = Duration::from_secs(seconds) + Duration::from_micros(micros);
                Ok(Clock { server: SystemTime::UNIX_EPOCH + since, asked, answered })
            }
            _ => Err(self.strange()),
        }
    }

    async fn key(&self) -> Result<Option<String>> {
        let denied = match self.ask_text(cmd("TYPE").arg(&self.place.topic)).await {
            Ok(kind) => return Ok((kind != "none").then_some(kind)),
            Err(error) => error,
        };
        // A secondary may ask this, and need not have the other permission.
        match self.ask(cmd("EXISTS").arg(&self.place.topic)).await {
            Ok(Value::Int(0)) => Ok(None),
            _ => Err(denied),
        }
    }

    async fn stream(&self) -> Result<Stream> {
        let answer = self.ask(cmd("XINFO").arg("STREAM").arg(&self.place.topic)).await?;
        let fields: BTreeMap<_, _> = self.pairs(answer)?.into_iter().collect();
        let (length, added) = (number(fields.get("length")), number(fields.get("entries-added")));
        let (Some(length), Some(added)) = (length, added) else { return Err(self.strange()) };
        let oldest = match fields.get("first-entry") {
            Some(Value::Array(entry)) => entry.first().cloned().and_then(text),
            _ => None,
        };
        let oldest_millis = oldest.and_then(|id| Some(id.parse::<EntryId>().ok()?.millis));
        Ok(Stream { length, added, oldest_millis })
    }

    async fn groups(&self) -> Result<Vec<Group>> {
        let answer = self.ask(cmd("XINFO").arg("GROUPS").arg(&self.place.topic)).await?;
        let Value::Array(groups) = answer else { return Err(self.strange()) };
        groups.into_iter().map(|group| self.group(group)).collect()
    }

    fn group(&self, group: Value) -> Result<Group> {
        let mut fields: BTreeMap<_, _> = self.pairs(group)?.into_iter().collect();
        let lag = number(fields.get("lag"));
        let (consumers, pending) = (number(fields.get("consumers")), number(fields.get("pending")));
        let mut take = |name: &str| fields.remove(name).and_then(text).ok_or_else(|| self.strange());
        let (name, position) = (take("name")?, take("last-delivered-id")?);
        let (Some(consumers), Some(pending)) = (consumers, pending) else { return Err(self.strange()) };
        Ok(Group { name, position, lag, consumers, pending })
    }

    async fn permissions(&self, user: Result<&str, &Error>) -> Permissions {
        let user = match user {
            Ok(user) => user,
            Err(error) => {
                let refused = || Err(error.clone());
                return Permissions { primary: refused(), secondary: refused(), observer: refused() };
            }
        };
        let (topic, side) = (&self.place.topic, side_key(&self.place.topic));
        let command = |name: &str, arguments: &[&str]| {
            let mut command = cmd(name);
            command.arg(arguments);
            command
        };
        let script = run(COMMIT, topic);
        // A primary's program looks at the log before it announces.
        let primary = [
            script.clone(),
            observe(topic, ""),
            command("EXISTS", &[topic]),
            command("TIME", &[]),
            command("HGETALL", &[&side]),
            command("HSET", &[&side, "field", "value"]),
            command("HDEL", &[&side, "field"]),
            command("XADD", &[topic, "*", "field", "value"]),
        ];
        let secondary = [
            script,
            command("EXISTS", &[topic]),
            command("HGET", &[&side, "field"]),
            command("HSET", &[&side, "field", "value"]),
            command("XINFO", &["STREAM", topic]),
            command("XINFO", &["GROUPS", topic]),
            command("XINFO", &["CONSUMERS", topic, "group"]),
            command("XRANGE", &[topic, "-", "+"]),
            command("XREAD", &["STREAMS", topic, "0"]),
            command("MULTI", &[]),
            command("EXEC", &[]),
            command("XGROUP", &["CREATE", topic, "group", "0", "MKSTREAM"]),
            command("XGROUP", &["SETID", topic, "group", "0"]),
        ];
        let observer = [
            observe(topic, ""),
            command("EXISTS", &[topic]),
            command("XINFO", &["STREAM", topic]),
            command("XRANGE", &[topic, "-", "+"]),
            command("XREAD", &["STREAMS", topic, "0"]),
            command("MULTI", &[]),
            command("EXEC", &[]),
        ];
        Permissions {
            primary: self.may(user, &primary).await,
            secondary: self.may(user, &secondary).await,
            observer: self.may(user, &observer).await,
        }
    }

    /// The first refusal, if there is one.
    async fn may(&self, user: &str, commands: &[Cmd]) -> Result<Option<String>> {
        for command in commands {
            let mut rehearsal = cmd("ACL");
            rehearsal.arg("DRYRUN").arg(user);
            for argument in command.args_iter() {
                if let redis::Arg::Simple(bytes) = argument {
                    rehearsal.arg(bytes);
                }
            }
            let answer = self.ask_text(&rehearsal).await?;
            if answer != "OK" {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }
}

/// Names and values, one behind the other or as a map.
fn pairs(answer: Value) -> Option<Vec<(String, Value)>> {
    match answer {
        Value::Map(pairs) => pairs.into_iter().map(|(name, value)| Some((text(name)?, value))).collect(),
        Value::Array(values) => {
            let mut values = values.into_iter();
            let mut pairs = Vec::new();
            while let Some(name) = values.next() {
                pairs.push((text(name)?, values.next()?));
            }
            Some(pairs)
        }
        _ => None,
    }
}

fn number(value: Option<&Value>) -> Option<u64> {
    match value {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
}
