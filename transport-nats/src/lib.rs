//! [NATS JetStream](https://docs.nats.io/nats-concepts/jetstream) as a transport of [`backup_tracker`].
//!
//! ```no_run
//! use backup_tracker::StartAt;
//! use backup_tracker_nats::{CreateStream, Nats};
//!
//! # async fn example() -> backup_tracker::Result<()> {
//! let nats = Nats::new("nats://nats-1:4222,nats://nats-2:4222", "backups")
//!     .credentials_file("/etc/search/nats.creds")
//!     .create_stream(CreateStream::new(3));
//! let sink = nats.sink().open().await?;
//! let source = nats.source("search").start(StartAt::Earliest).open().await?;
//! # Ok(()) }
//! ```
//!
//! Works with NATS 2.10 or later; opening refuses an older server.
//!
//! # Addressing
//!
//! | | is | by default |
//! |---|---|---|
//! | a topic | the beginning of a subject: parts separated by `.` | |
//! | an application | one more token behind it, `backups.shop`, written by [`token_of`]: any name will do | |
//! | the log | a stream that stores `<topic>.*`; [`Nats::stream`] names it | `backups` |
//! | a group | the key `<topic>.<group>`, both written by [`token_of`], in a key-value bucket; [`Nats::positions_bucket`] names it | `backups_positions` |
//! | an event's key | the header `Nats-Msg-Id`, 36 characters | |
//! | an event's headers | `Backup-Tracker-Headers`, exactly; and copies as plain headers of those that such can carry | |
//!
//! Stream and bucket are created by [`Nats::create_stream`], or beforehand, for example with
//! `nats stream add backups --subjects 'backups.*' --defaults` and `nats kv add backups_positions`. Opening refuses a stream that
//! would lose events unnoticed: one whose retention policy is not *limits*, that limits the messages of each subject, that does not
//! acknowledge or does so before it has stored, that changes subjects, or that is sealed. Where the account demands a limit of
//! every stream, the bucket gets [`DEFAULT_BUCKET_BYTES`], and the stream what [`CreateStream::max_bytes`] says.
//!
//! Stream and bucket are in the JetStream domain of the server that the client connects to, unless [`Nats::domain`] or
//! [`Nats::api_prefix`] names another one. An event that another stream or domain has acknowledged is an error that names both:
//! hub and leaf node may each have a stream for the topic, and nobody reads from that one.
//!
//! What a foreign program publishes to `<topic>.<token>` comes as a record, with a key if it has a `Nats-Msg-Id` that is a UUID.
//! What else the stream stores is left alone.
//!
//! # Delivery and order
//!
//! `send` returns `Ok` when the stream has acknowledged: with several replicas, when most of them have it. One order for
//! everything, that of the stream.
//!
//! The server drops an event that it has seen within the stream's duplicate window (2 minutes unless set), so a retry is stored
//! once. An event whose send was dropped, or got no answer, may still be on its way when the next one is sent. So the sink
//! first sends it once more, with its id, and waits: then either copy comes before the next event, and whichever is second is
//! dropped. Do not let the window be shorter than connections take to die.
//!
//! A source reads with an ephemeral consumer that acknowledges nothing, so any number of events may be uncommitted, and
//! replaces it, behind the last record that it returned, whenever anything goes wrong. (A durable consumer would lose events
//! that are committed late: after a restart it delivers new ones first, and acknowledging those gives up the older.)
//!
//! # Position
//!
//! The key's value is `{"stream_created":"…","sequence":42,"committed":true,"time":1767323045000000000,"application":"shop"}`:
//!
//! - which stream, and the last message behind the group;
//! - when the server stored that message, in nanoseconds since 1970;
//! - whether that was committed or is the start that was fixed when the group was new;
//! - the application to which the group is bound.
//!
//! It is written with the expected revision, read from the leader alone, and never moves back. Opening writes it once, unchanged,
//! so that a missing permission shows early. Deleting the key, `nats kv del backups_positions backups.search`, makes the group a
//! new one.
//!
//! The first session that [claims](backup_tracker::EventSource::claim) a group binds it to its application. A claim or a commit for
//! another application returns an error ([`Config`](backup_tracker::ErrorKind::Config)) that names both and how to make the group a
//! new one. The binding is as durable as the bucket: it survives a stream that is purged, or deleted and created again. A position
//! of an earlier version of this crate has none, and takes the first.
//!
//! A stream that was purged past the position, was deleted and created again, or has lost its end, is said
//! ([`Lost`](backup_tracker::ErrorKind::Lost)), also when it has grown past the position since. Single messages that were deleted
//! are not missed. A stream that is missing is trouble until it, or another one, is there.
//!
//! To tell, an opening, and a session that begins to read again, compare the message at the position with the time that is noted:
//! it is the same through restarts, on every replica and in a backup of the stream, and no other message has both. When the stream
//! was created decides only where that message is not there any more, or the position is of an earlier version of this crate, or
//! before the first message: servers 2.10 to 2.12 change it at a restart after an edit of the stream. Earlier versions read the
//! value without the time, and write it without.
//!
//! # Observers
//!
//! [`Nats::observer`] makes a source without a group, for commands that look at a stream or follow it. Each session begins where
//! [`StartAt`](backup_tracker::StartAt) says; opening, reading and `commit` write nothing to stream or bucket, and create neither,
//! whatever [`Nats::create_stream`] asks for; `commit` always succeeds, without asking anybody, and `resumed` is false. There need
//! be no bucket.
//!
//! While it reads, the server keeps an ephemeral consumer for it in memory. `close` removes it; after a drop, or a killed process,
//! it is gone within minutes, as a secondary's is.
//!
//! # Limits
//!
//! - An event, with its headers, may be as large as the server's `max_payload` (1 MiB unless set) and the stream's
//!   `max_msg_size` say; subject tokens are limited to 2,048 bytes together, and a byte outside of `A-Za-z0-9_-` takes three.
//! - A server that does not sync every write (`sync_interval`, 2 minutes unless set) may lose the last ones when its machine
//!   loses power. Three replicas, or `sync_interval: always`, prevent that.
//! - A bucket with a time to live forgets groups that were down for longer. It is best without.
//! - [`NatsSourceBuilder::only_application`] keeps others' events off the wire. Whether messages that were trimmed were others'
//!   or ours cannot be told afterwards, so a session says `Lost` when anything was trimmed past its position; a commit moves
//!   that past what others have, so it takes a service that was down, or did not commit, for the age of the oldest event. An
//!   observer's commit moves nothing, so that an observer of one quiet application may be told of a loss that was none.
//! - In a cluster, a leader that was cut off from its replicas counts as gone after 4 s, also where the contact time is shorter.
//! - With [`Nats::connect_options`], credentials are read at opening and not for each connection, unless the options have an
//!   authentication callback of their own.
//!
//! # Security
//!
//! [`Nats::user_and_password`], [`Nats::token`] and [`Nats::credentials_file`]; TLS with [`Nats::require_tls`] or `tls://`
//! addresses, [`Nats::root_certificates`] and [`Nats::client_certificate`]. Secrets are shown neither by `Debug` nor in errors.
//!
//! A user needs to subscribe to `_INBOX.>` and to publish, for topic, stream `backups` and bucket `backups_positions`:
//!
//! | subject | primary | secondary | observer |
//! |---|---|---|---|
//! | `backups.*`, or its applications' subjects | yes | | |
//! | `$JS.API.STREAM.INFO.backups` | yes | yes | yes |
//! | `$JS.API.STREAM.MSG.GET.backups` | | yes | yes |
//! | `$JS.API.CONSUMER.CREATE.backups.>` | | yes | yes |
//! | `$JS.API.CONSUMER.MSG.NEXT.backups.>` | | yes | yes |
//! | `$JS.API.CONSUMER.DELETE.backups.*` | | to leave nothing behind at `close`; else it is gone within minutes | as a secondary |
//! | `$JS.API.STREAM.INFO.KV_backups_positions` | | yes | |
//! | `$JS.API.STREAM.MSG.GET.KV_backups_positions` | | yes | |
//! | `$KV.backups_positions.backups.*`, or its group's key | | yes | |
//!
//! [`Nats::create_stream`] also needs `$JS.API.STREAM.CREATE.*` when there is something to create. A missing permission is
//! [`Denied`](backup_tracker::ErrorKind::Denied) and names the subject.
//!
//! Passwords, tokens, credentials files and certificates are read again for each connection ([`Secret`](backup_tracker::Secret)):
//! what is renewed is used when the server ends the old connection, or it breaks.
//!
//! # Native access
//!
//! [`Nats::connect_options`] takes the client library's options whole, [`CreateStream::native`] a stream's settings whole. The
//! client library is [`async_nats`].
//!
//! [`Nats::inspect`] tells what server, stream, bucket and group are like, without writing anything, for programs that judge a
//! set-up.
//!
//! # When the server goes away
//!
//! The client library connects again by itself, to any server of the list or that those have told of, at least once a second;
//! until then everything fails at once as [`Unavailable`](backup_tracker::ErrorKind::Unavailable), and a send as
//! `NotSent`. A wait whose connection ends fails at once, too. While a stream or bucket is without a leader, which in a cluster
//! takes some seconds after the leader's death, a send or commit that nothing answers fails within little more than a second.
//! A request without an answer within its time limit also gives up the connection for a new one, which may be to another server.
//!
//! While `next` waits, two have to be there: the server that holds the consumer, which sends heartbeats, and the stream's
//! leader, which is asked now and then what it holds, and whether it hears its replicas. When one of them is silent, `next`
//! returns `Unavailable` within the [contact time](NatsSourceBuilder::contact_time), connects anew, and goes on behind the last record
//! that it returned. A consumer that brings nothing though the leader holds something is replaced.
//!
//! # What the server answers
//!
//! In a session that is open nothing that the server answers is for good: `next`, `commit`, `claim` and `remaining` return
//! `Unavailable`, whose [cause](backup_tracker::Error::cause) is the kind that it has at opening. So it is with what has no code:
//!
//! - a permission that is taken away: `Denied`, and the message names the subject;
//! - credentials that are refused, or have ended: `Denied`;
//! - a file of credentials that cannot be used: `Config`, and the message names it;
//! - a missing stream or bucket: `NotFound`;
//! - JetStream that is switched off, or a domain out of reach: `Config`.
//!
//! A sink has no session that could end: after any error the next send may succeed.
//!
#![doc = include_str!("answers.md")]
//!
//! # When the program ends
//!
//! Dropping a sink or a source is a clean shutdown: every event whose `send` returned `Ok` is stored. Neither commits. If there
//! is no server at that moment, a small idle task stays behind until the runtime ends.
//!
//! A killed process loses nothing: the next session begins behind the last commit. Its consumer is gone within minutes.

mod answers;
mod builder;
mod config;
mod contact;
mod create;
mod credentials;
mod error;
mod group;
mod headers;
mod identity;
mod inspect;
mod link;
mod opening;
mod position;
mod reader;
mod signals;
mod sink;
mod source;
mod stream;
mod subject;

pub use async_nats;
pub use builder::{DEFAULT_REQUEST_TIMEOUT, DEFAULT_SEND_TIMEOUT, NatsSinkBuilder, NatsSourceBuilder};
pub use config::{DEFAULT_OPEN_TIMEOUT, DEFAULT_PING_INTERVAL, Nats};
pub use create::{CreateStream, DEFAULT_BUCKET_BYTES, DEFAULT_DUPLICATE_WINDOW};
pub use inspect::{GroupPosition, Inspection, Server, Stream};
pub use sink::NatsSink;
pub use source::NatsSource;
pub use subject::{application_of, token_of};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
