//! Backup and restore events over [Redis Streams](https://redis.io/docs/latest/develop/data-types/streams/), for
//! [`backup_tracker`].
//!
//! A primary's [`RedisSink`] appends one application's events to a stream; every secondary's [`RedisSource`] reads all of the
//! stream, from the position of its group. The client is [`redis`]. The server is Redis 7.0 or later, alone or with replicas; not
//! Redis Cluster. Opening refuses an older server.
//!
//! ```no_run
//! use backup_tracker::{Event, EventSource, Sink};
//! use backup_tracker_redis::Redis;
//! # use uuid::Uuid;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> backup_tracker::Result<()> {
//! let redis = Redis::new("redis://redis.example:6379", "backups").user("maps").password("a secret").create_stream();
//! let mut source = redis.source("search").open().await?;
//! let mut sink = redis.sink().open().await?;
//!
//! sink.send(&Event::new(Uuid::new_v4(), "maps", "the announcement")).await?;
//!
//! let record = source.next().await?.expect("a stream never ends");
//! assert_eq!(record.payload.as_deref(), Some(&b"the announcement"[..]));
//! source.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Give sink and source to `PrimaryBackupTracker` and `SecondaryBackupTracker`, which encode, decode and commit.
//!
//! # Addressing
//!
//! [`Redis::new`] takes a URL and a topic, which is the stream's key. All applications may share the stream. Beside it stands a
//! hash, `<topic>:backup-tracker`, which holds what the stream itself cannot tell: which stream a group belongs to, whether its
//! position was committed, which application the group is bound to, and which connection of a sink has the word. Nothing else is
//! written.
//!
//! An entry has these fields, in this order, so that programs in other languages can read and write them:
//!
//! | field | value |
//! |---|---|
//! | `key` | the event's UUID as 36 characters |
//! | `application` | the application's name, UTF-8 |
//! | `header:<name>` | a header's value, any bytes; one field for each header, names may repeat |
//! | `payload` | the value, any bytes; CBOR by default ([`WireFormat::Cbor`](backup_tracker::WireFormat)) |
//!
//! An entry that lacks some of them, or has others, is a record all the same; trackers skip and count what they cannot decode.
//!
//! Every secondary has a group of its own; the replicas of one service share it. It is a consumer group without consumers: nothing
//! is ever delivered *to the group*, so that every reader sees everything, and no entry is ever pending.
//!
//! A stream that does not exist is an error, [`NotFound`](backup_tracker::ErrorKind::NotFound), unless [`Redis::create_stream`]
//! lets it come into being. A key that holds something else is [`Config`](backup_tracker::ErrorKind::Config).
//!
//! # Delivery and order
//!
//! One order for everything, the server's. `send` is one `XADD`, and `Ok` means that the server has answered it. What that is worth
//! is a matter of the server's settings:
//!
//! | the server's settings | what is left of an event whose `send` was `Ok` |
//! |---|---|
//! | `appendonly no`, the default | It is in memory. When the process dies, everything since the last snapshot (`save`) is gone. |
//! | `appendonly yes`, `appendfsync no` | It is with the operating system. It survives the death of the process; not that of the machine, which may take what the system had not written yet, some 30 s. |
//! | `appendonly yes`, `appendfsync everysec`, the default with a file | As above, and on disk within a second or two. But while the disk is still busy with the last second the server puts off writing, for 2 s at most, and answers all the same: then the death of the process alone is enough to lose it. |
//! | `appendonly yes`, `appendfsync always` | It is on disk. Nothing is lost with the process or the machine. **Choose this**: announcements are few, and each is worth a sync. |
//! | replicas | They get it later, unless [`RedisSinkBuilder::wait_for_replicas`] makes `send` wait (`WAIT`) until so many have it in their memory. A failover to a replica that lags loses what it lacks. |
//!
//! When a server comes back without entries that a group has passed already, its next session says
//! [`Lost`](backup_tracker::ErrorKind::Lost).
//!
//! A send that fails is [`NotSent`](backup_tracker::Delivery::NotSent) when there was no connection, when the server answered with
//! an error, or when the event is too large; and [`Unknown`](backup_tracker::Delivery::Unknown) when the connection broke, the time
//! was over, or replicas are missing. After that the sink connects anew. What the old connection still carries may reach the server
//! at any later time, for example when a network is mended; so each connection of a sink registers, and the script that appends
//! refuses what comes on an older one. A send after the failed one comes after it or without it.
//!
//! A source looks at the stream and reads what follows its position in one step (`MULTI`), so that it cannot miss that the stream
//! changed in between, and waits with `XREAD BLOCK` on a second connection.
//!
//! # Position
//!
//! The position is the group's last delivered identifier: `XINFO GROUPS` shows it, with the right `entries-read` and `lag`. `commit`
//! moves it by `XGROUP SETID`, in a script that compares: a slower replica never moves it back.
//!
//! Opening a new group stores its start, as an identifier, so that the next session begins there too. It is no commit, and
//! [`resumed`](backup_tracker::EventSource::resumed) does not count it as one; nor does it count a position that somebody set by
//! hand with `XGROUP SETID`, or a group that somebody made with `XGROUP CREATE`.
//!
//! The first session that [claims](backup_tracker::EventSource::claim) a group binds it to its application: the field
//! `application:<group>` of the hash. A claim or a commit for another application returns an error
//! ([`Config`](backup_tracker::ErrorKind::Config)) that names both. The binding is as durable as the hash: it survives a stream that
//! is trimmed, deleted or recreated, and a group that is destroyed. A position of an earlier version of this crate has none, and
//! takes the first. These commands make the group `search` a new one, once nobody uses it:
//!
//! ```text
//! redis-cli XGROUP DESTROY backups search
//! redis-cli HDEL backups:backup-tracker group:search application:search
//! ```
//!
//! A session says [`Lost`](backup_tracker::ErrorKind::Lost) once, and goes on at the earliest entry there is, when
//!
//! - entries behind its position were trimmed away. What was trimmed before it does not matter, and an entry that was deleted from
//!   the middle (`XDEL`) is passed over; but when everything up to the position is gone *and* entries behind it are missing, it
//!   cannot be told whether they were trimmed or deleted, and it is said;
//! - the stream was deleted or recreated, also when the new one is longer, or the group was destroyed;
//! - the server came back with fewer entries than the session has seen.
//!
//! A commit in a session whose stream or group is gone moves nothing and succeeds.
//!
//! # Observers
//!
//! [`Redis::observer`] makes a source without a group, for commands that look at a stream or follow it. Each session begins where
//! [`StartAt`](backup_tracker::StartAt) says; opening, reading and `commit` write nothing to the server, not even a stream that
//! [`Redis::create_stream`] asks for; `commit` always succeeds, without asking anybody, and `resumed` is false. What it runs on the
//! server are `EVAL_RO`, which the server lets write nothing, `XREAD` and `XRANGE`; it reads from a replica as well.
//!
//! Without a group it knows its stream by its numbers alone: one that was deleted and created anew is noticed
//! ([`Lost`](backup_tracker::ErrorKind::Lost)), unless that happened within the millisecond of the last entry that was read.
//!
//! # Limits
//!
//! - An event's size: payload, application, and headers' names and values may not exceed
//!   [`RedisSinkBuilder::max_event_bytes`], 1 MiB unless set; and it may have 1000 headers. The server's own limit is
//!   `proto-max-bulk-len`, 512 MB.
//! - The stream grows until somebody trims it: [`RedisSinkBuilder::max_length`], or `XTRIM` from outside. Choose a length that is
//!   far more than is ever announced while a secondary is away.
//! - The server must not evict: `maxmemory-policy` is `noeviction`, or a `volatile-` one. Without memory it refuses to append, which
//!   is [`Unavailable`](backup_tracker::ErrorKind::Unavailable).
//! - [`Redis::open_timeout`], [`RedisSinkBuilder::send_timeout`] and [`RedisSourceBuilder::request_timeout`] bound every wait; 10 s
//!   each. A read that waits is asked again every 3 s, so that a connection that died in silence shows after 3 s and the request
//!   timeout.
//! - A sink that is dropped and not closed leaves a field of some 50 bytes in the hash, which other sinks remove after 30 days.
//! - Clients of Redis Cluster are redirected, which is [`Config`](backup_tracker::ErrorKind::Config) here. Sentinel is not asked: give
//!   an address that leads to the present master.
//!
//! # Security
//!
//! An ACL user and password: in the URL, or by [`Redis::user`] and [`Redis::password`]. `rediss://` is TLS by rustls (feature `tls`,
//! on by default) with the system's authorities or [`Redis::ca_certificates`], and with [`Redis::client_certificate`] where the
//! server asks for one. Where the process has chosen no cryptography for rustls, *ring* is installed as its default. Passwords and
//! keys show neither in `Debug` nor in errors.
//!
//! A refusal is [`Denied`](backup_tracker::ErrorKind::Denied). These rules are enough for primaries and secondaries:
//!
//! ```text
//! ACL SETUSER maps on >secret resetkeys ~backups ~backups:backup-tracker resetchannels -@all
//!     +@stream +eval +exists +time +hget +hset +hdel +hgetall +wait +multi +exec
//! ```
//!
//! And these for an observer:
//!
//! ```text
//! ACL SETUSER operator on >secret resetkeys %R~backups resetchannels -@all
//!     +eval_ro +exists +xinfo|stream +xrange +xread +multi +exec
//! ```
//!
//! # Native access
//!
//! [`Redis::with_connection`] takes the client library's own connection settings whole: database, TCP keep-alive, protocol. The
//! library is re-exported as [`redis`]. Its own time limits are off, because the default of 500 ms for an answer would end every
//! read that blocks; this crate's bound each request instead. Its reconnecting `ConnectionManager` is not used.
//!
//! [`Redis::inspect`] tells what server, stream and groups are like, without writing anything, for programs that judge a set-up.
//!
//! # When the server goes away
//!
//! Every request fails as [`Unavailable`](backup_tracker::ErrorKind::Unavailable), at once when the server refuses connections and
//! after its time when nobody answers; the next one connects anew, and a source goes on where it was. Nothing is retried here. A sink
//! that was idle for a second asks its connection first, so that a server that restarted in the meantime, or closed the connection
//! (`timeout`), costs no announcement.
//!
//! `LOADING`, `READONLY`, `MASTERDOWN`, `OOM`, `MISCONF` and `NOREPLICAS` are `Unavailable` too: each passes by itself or when
//! somebody mends the server.
//!
//! # When the program ends
//!
//! Closing and dropping a source are the same, commit nothing, and return at once. Closing a sink removes its field from the hash,
//! which takes a second at most. An event whose `send` returned `Ok` is as safe as the server keeps it; one whose `send` was still
//! waiting may be in the stream or not. After SIGKILL it is no different: the next session begins at the last `commit` that returned
//! `Ok`, or at one that was under way.

mod access;
mod answer;
mod config;
mod entry;
mod error;
mod inspect;
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
pub use inspect::{Clock, Group, Inspection, Permissions, Stream};
pub use redis;
pub use sink::RedisSink;
pub use source::RedisSource;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
