//! Backup and restore events over [Redis Streams](https://redis.io/docs/latest/develop/data-types/streams/), for
//! [`backup_tracker`].
//!
//! A primary's [`RedisSink`] appends one application's events to a stream; every secondary's [`RedisSource`] reads all of the
//! stream, from the position of its group. The client is [`redis`]. The server is Redis 7.0 or later, alone, with replicas, or as
//! nodes of a cluster. Opening refuses an older server.
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
//! hash, `<topic>:backup-tracker`, which holds what the stream itself does not: which stream a group belongs to, whether its
//! position was committed, what identifies the entry that stood there, which application the group is bound to, and which
//! connection of a sink has the word. Nothing else is written.
//!
//! `redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/name[/database]` (with TLS: `rediss+sentinel://`) names sentinels, and
//! the primary by the name under which they know it. They are asked for its address with every connection, one after the other
//! until one answers, and whatever fails makes the next connection: a failover is followed.
//!
//! On a cluster the two keys must be in one slot: give the topic a hash tag, such as `{backups}`. Without one, opening fails as
//! [`Config`](backup_tracker::ErrorKind::Config). Any node may be the address; one that does not have the stream names the node that
//! does, and each connection follows that once.
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
//! A replica that is promoted, or a server that is restored, may lack the last events, although their `send` was `Ok`. Live readers
//! notice it (see *Position*). A sink that finds it when it connects again logs a warning that names the entry, and goes on: what is
//! announced next is true all the same. It does not announce the lost event again. If that was the beginning of a running
//! operation, whoever had not read it works through the operation. Where that matters, make `send` wait for replicas, and let a
//! primary refuse writes without them (`min-replicas-to-write`).
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
//! redis-cli HDEL backups:backup-tracker group:search application:search entry:search
//! ```
//!
//! A session says [`Lost`](backup_tracker::ErrorKind::Lost) once, and goes on at the earliest entry there is, when
//!
//! - entries behind its position were trimmed away. What was trimmed before it does not matter, and an entry that was deleted from
//!   the middle (`XDEL`) is passed over; but when everything up to the position is gone *and* entries behind it are missing, it
//!   cannot be told whether they were trimmed or deleted, and it is said;
//! - the stream was deleted or recreated, also when the new one is longer, or the group was destroyed;
//! - the server came back without entries that the session has read: a replica that was promoted, a snapshot that was restored, a
//!   file whose end was cut off. The session remembers a hash of the entry at its position, and reads that entry again with what
//!   follows it, so that a stream that has grown past the position since is noticed as well, also where another entry has the same
//!   identifier;
//! - the stream alone was restored (`RESTORE`), and not the hash beside it, which keeps the same hash of the entry at the last commit
//!   (`entry:<group>`).
//!
//! A new session knows what the server kept. If stream and hash went back together, its position went back as well, and it
//! begins there: everything that the server has comes, and nothing says that there was more.
//!
//! An entry at the position that was trimmed or deleted is no loss by itself, and leaves the numbers alone to compare: a log that
//! went back, and grew, and was trimmed to exactly as many entries as the position expects, goes unnoticed.
//!
//! A commit in a session whose stream or group is gone moves nothing and succeeds.
//!
//! # Observers
//!
//! [`Redis::observer`] makes a source without a group, for commands that look at a stream or follow it. Each session begins where
//! [`StartAt`](backup_tracker::StartAt) says; opening, reading and `commit` write nothing to the server, not even a stream that
//! [`Redis::create_stream`] asks for; `commit` always succeeds, without asking anybody, and `resumed` is false. What it runs on the
//! server are `EVAL_RO`, which the server lets write nothing, `XREAD`, `XRANGE` and `INFO`; it reads from a replica as well.
//!
//! Without a group it knows its stream by its numbers and by the entry at its position: one that was deleted and created anew is
//! noticed ([`Lost`](backup_tracker::ErrorKind::Lost)), unless nothing was read yet and it happened within the millisecond of the
//! last entry.
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
//!   each. [`RedisSourceBuilder::contact_time`], 10 s too, bounds how long a source may be deaf.
//! - A sink that is dropped and not closed leaves a field of some 50 bytes in the hash, which other sinks remove after 30 days.
//! - Sentinels are asked without user and password; those in the URL are the server's.
//!
//! # Security
//!
//! An ACL user and password: in the URL, or by [`Redis::user`] and [`Redis::password`]. `rediss://` is TLS by rustls (feature `tls`,
//! on by default) with the system's authorities or [`Redis::ca_certificates`], and with [`Redis::client_certificate`] where the
//! server asks for one. Where the process has chosen no cryptography for rustls, *ring* is installed as its default. Passwords and
//! keys show neither in `Debug` nor in errors.
//!
//! The URL, user, password and certificates may each be a [`Secret`](backup_tracker::Secret): a file or a function that is read
//! again for every connection. A refused request gives its connection up, so that a renewed secret is used with the next one.
//!
//! ```no_run
//! use backup_tracker::Secret;
//! use backup_tracker_redis::Redis;
//!
//! let redis = Redis::new(Secret::file("/run/secrets/redis-url"), "backups")
//!     .ca_certificates(Secret::file("/etc/ssl/redis-ca.pem"));
//! ```
//!
//! A refusal is [`Denied`](backup_tracker::ErrorKind::Denied) at opening; the message says whether the server does not let the user
//! in, or knows the user and a permission is missing. These rules are enough for primaries and secondaries, and for the observers that
//! their programs open:
//!
//! ```text
//! ACL SETUSER maps on >secret resetkeys ~backups ~backups:backup-tracker resetchannels -@all
//!     +@stream +eval +eval_ro +exists +time +hget +hset +hdel +hgetall +wait +multi +exec +info
//! ```
//!
//! And these for an observer:
//!
//! ```text
//! ACL SETUSER operator on >secret resetkeys %R~backups resetchannels -@all
//!     +eval_ro +exists +xinfo|stream +xrange +xread +multi +exec +info
//! ```
//!
//! Without `+info` everything works, but a source on a replica does not notice that the replica has lost its primary.
//! `+client|setinfo`, which servers know from Redis 7.2 on, keeps a line for each connection out of their `ACL LOG`.
//!
//! # Native access
//!
//! [`Redis::with_connection`] takes the client library's own connection settings whole: database, TCP keep-alive, protocol. The
//! library is re-exported as [`redis`]. Its own time limits are off, because the default of 500 ms for an answer would end every
//! read that blocks; this crate's bound each request instead. Its reconnecting `ConnectionManager` is not used.
//!
//! [`Redis::inspect`] reports what server, stream and groups are like, without writing anything, for programs that judge a set-up.
//!
//! # When the server goes away
//!
//! Every request fails as [`Unavailable`](backup_tracker::ErrorKind::Unavailable), at once when the server refuses connections and
//! after its time when nobody answers; the next one connects anew, and a source goes on where it was. Nothing is retried here. A sink
//! that was idle for a second asks its connection first, so that a server that restarted in the meantime, or closed the connection
//! (`timeout`), costs no announcement. An attempt to connect that takes longer than a second gets company by another one, so that a
//! network that works again is found at once.
//!
//! While `next` waits, the server is asked four times within the contact time, and at least every 3 s. When it, its answers or
//! the way to it are gone, also for the waiting connection alone, `next` returns `Unavailable` within the contact time, and
//! again each second until contact is back. A source on a replica asks for the replica's own contact as well (`INFO replication`): a
//! link to the primary that is down shows at once, and a primary that is silent after the contact time and 10 s.
//!
//! # What the server answers
//!
//! Opening says what is wrong as what it is. In an open session every answer passes: it is
//! [`Unavailable`](backup_tracker::ErrorKind::Unavailable), with the kind that it would have at opening as its
//! [`cause`](backup_tracker::Error::cause) in parentheses, and the session goes on by itself when the server answers again. A stream
//! that is gone is [`Lost`](backup_tracker::ErrorKind::Lost) once, and from then on `Unavailable` because of
//! [`NotFound`](backup_tracker::ErrorKind::NotFound), until there is one again. A send fails as what it is, always
//! [`NotSent`](backup_tracker::Delivery::NotSent), and the next one succeeds as soon as the server takes it. What is not in the table is
//! [`Internal`](backup_tracker::ErrorKind::Internal), as are its last two lines.
//!
#![doc = include_str!("answers.md")]
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
mod contact;
mod entry;
mod error;
mod inspect;
mod link;
mod log;
mod print;
mod reader;
mod script;
mod sentinel;
mod shell;
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
