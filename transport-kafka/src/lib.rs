//! Backup and restore events over [Apache Kafka](https://kafka.apache.org): the production default of [`backup_tracker`].
//!
//! A primary's [`KafkaSink`] writes one application's events to one partition of a topic; every secondary's [`KafkaSource`]
//! reads all of the topic, from the position of its group. The client is [`rdkafka`](https://docs.rs/rdkafka), which is librdkafka.
//!
//! ```
//! use backup_tracker::{Event, EventSource, Sink};
//! use backup_tracker_kafka::Kafka;
//! # use backup_tracker_kafka::rdkafka::mocking::MockCluster;
//! # use uuid::Uuid;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> backup_tracker::Result<()> {
//! # let mock = MockCluster::new(1).unwrap();
//! # mock.create_topic("backups", 1, 1).unwrap();
//! # let servers = mock.bootstrap_servers();
//! // let servers = "kafka-1:9092,kafka-2:9092";
//! let kafka = Kafka::new(servers, "backups");
//! let mut source = kafka.source("search").open().await?;
//! let mut sink = kafka.sink().open().await?;
//!
//! sink.send(&Event::new(Uuid::new_v4(), "maps", "the announcement")).await?;
//!
//! let record = source.next().await?.expect("a topic never ends");
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
//! [`Kafka::new`] takes bootstrap servers and a topic. All applications may share the topic. A record's key is the event's UUID
//! as 36 lower-case characters, its value is by default the JSON that the Java services read
//! ([`WireFormat::BackupJson`](backup_tracker::WireFormat)), and headers are record headers.
//!
//! Every secondary has a group of its own; the replicas of one service share it. The group is never joined, so that it must not
//! be used by a program that subscribes: with members in it a broker refuses offsets from anybody else. Opening a new group fails as
//! [`Config`](backup_tracker::ErrorKind::Config) then; a session of an old one reports it from `claim` and `commit`, and goes on when
//! the members have left.
//!
//! A topic that does not exist is an error, [`NotFound`](backup_tracker::ErrorKind::NotFound), also where the broker creates
//! topics by itself, unless [`Kafka::create_topic`] says how to make it.
//!
//! # Delivery and order
//!
//! `send` returns when all in-sync replicas have the event (`acks=all`), and librdkafka's retries do not write it twice or out of
//! order (`enable.idempotence`). How many replicas that are is the topic's `min.insync.replicas`. An application's partition is
//! [`partition_for`] its name, which is murmur2 as in Java's default partitioner. A sink looks at the number of partitions once,
//! when it is opened: when partitions are added, an application's place changes with the primary's next start, and a secondary
//! that has not read the old partition to its end by then may see the newer events first. Wait for Ready before adding some.
//!
//! Java's primary spreads events by their random keys. Give a topic that it writes one partition. On a topic of several, a
//! secondary that meets a step in another partition than the one before it warns once, and counts each
//! ([`partition_changes`](backup_tracker::SecondaryStats::partition_changes)): it can only take them in the order in which they
//! come. How Java services share a topic with ours is on a page of its own, `docs/coming-from-java.md` in the repository.
//!
//! A send that fails is [`NotSent`](backup_tracker::Delivery::NotSent) when it never entered librdkafka's queue, is too large, or
//! bears a time that the broker refuses, and [`Unknown`](backup_tracker::Delivery::Unknown) otherwise: `rdkafka` does not tell what
//! librdkafka knows better. What each of a broker's answers comes to is under *When the broker goes away*.
//!
//! An event whose send ended as `Unknown` comes before everything that the same sink was told succeeded later, or not at all:
//! - After a time-out librdkafka raises the epoch of the producer's id. From the first event with the new epoch on, the broker
//!   refuses whatever still comes with the old one, however late.
//! - If librdkafka declares a producer dead, the failed send says so as any other, and the next one makes a new producer once the
//!   old one has ended and its connections are closed. Nothing of the old one leaves this machine after that. The new one has
//!   a new id: the broker does not recognise a repetition across the two; trackers do, by the event's own id.
//! - Some states librdkafka never leaves, without calling them fatal: a topic that was deleted and created again with lower leader
//!   epochs or fewer partitions, a refusal that it remembers, a password that is not right any more. After a failed send, the next one
//!   that is not confirmed within a second therefore makes a new producer beside the old one. If the new one reaches the topic and
//!   the old one still does not confirm the event, the new one takes its place as above and sends the event. After a time-out the
//!   old one first has the time to write: `socket.timeout.ms` and three seconds from when the first event failed to be confirmed.
//!   While no producer reaches the topic, nothing is replaced, and the error is the one that the new producer met.
//!
//! What remains is an event that timed out, is still on its way (in the network, in a proxy), and arrives after later events,
//! where the broker does not know of the newer epoch:
//! - the producer died, or was replaced, before it wrote anything with it;
//! - the broker has lost what it knew of the producer, together with acknowledged events, or forgot it
//!   (`producer.id.expiration.ms`, a day by default).
//!
//! librdkafka's mock cluster does not compare epochs: over it, an event that is delayed by the network does come late. So it does
//! if the property `enable.idempotence` is set to false.
//!
//! A source reads every partition without joining the group (`assign`): no rebalance, no eviction of a slow reader whatever
//! `max.poll.interval.ms` says, and the first record comes at once. Order holds within a partition. Transactions
//! make no difference: a record counts once the broker has it (`isolation.level` is `read_uncommitted`), because a transaction that
//! somebody leaves open would hide every announcement behind it.
//!
//! # Position
//!
//! The position is the group's committed offsets, one for each partition, and the usual tools show and set it. `commit` sends all
//! of them in one request each time it is called, also when nothing has moved, and returns when the group's coordinator has
//! confirmed it: a broker forgets the offsets of a group that is silent for `offsets.retention.minutes` (a week by default).
//!
//! A session whose position does not move, because the group is new or because an operation runs, stores what is stored again
//! after twenty [partition refreshes](KafkaSourceBuilder::partition_refresh) without a commit (10 minutes), so that it does not
//! expire either.
//!
//! Opening a new group stores its start, marked `start` in the offset's metadata, so that the next session begins there too. It is
//! no commit, and [`resumed`](backup_tracker::EventSource::resumed) does not count it as one. Any other stored offset is a position,
//! also one that another program has set. Partitions that were added since are read from their beginning; a live session finds
//! them by itself ([`KafkaSourceBuilder::partition_refresh`]).
//!
//! The position is bound to one application. [`claim`](backup_tracker::EventSource::claim), which a `SecondaryBackupTracker` calls
//! before it reads, notes the application in the metadata of the stored offsets (`committed application=shop`), and every later
//! commit keeps the note. If another application is noted, `claim` and `commit` return
//! [`Config`](backup_tracker::ErrorKind::Config) and store nothing. Use another group for the second service. Or give the group away:
//! `kafka-consumer-groups.sh --delete-offsets --group search --topic backups` deletes its position and the note. A name of more
//! than 255 bytes is noted as its beginning and a 64-bit digest (FNV-1a), so that the note stays far below the broker's
//! `offset.metadata.max.bytes`; a broker that takes less than the note makes `claim` a `Config` error, too.
//!
//! Kafka does not compare what it is given; a source looks first and stores then. If two sessions do both at the same moment, the
//! later write stands:
//! - Of two applications that claim one group, both may be let in. The one whose note was overwritten learns it at its next
//!   commit or claim.
//! - A slower replica of a group may move the position back; the next session then reads some events again, which begins in Ready
//!   as well. The same holds for two replicas that open a new group.
//!
//! The session reports [`Lost`](backup_tracker::ErrorKind::Lost) once and goes on at the earliest record of the partitions in
//! question when the log does not hold what it has read. The log must hold the position, and the record before the position must be
//! the one that was read: a session notes its offset and a 64-bit digest of its key, time stamp, length and beginning beside the
//! position (`committed behind=41:9174e8a2e27de833 application=shop`), and compares. So a topic that was deleted and created again,
//! and a partition that lost its tail in an unclean election, are told from the old ones also when they have grown past the
//! position. A session compares:
//! - when it is opened, before `open` returns;
//! - while it is open: after every error that the client reports, before anything newer is handed out; and when a partition has been
//!   silent for a third of the contact time.
//!
//! Where retention has removed the record before the position, or an earlier release wrote the position, nothing can be compared,
//! and the offset alone counts. A topic that is replaced while its records keep coming without a pause and without an error is
//! noticed at the next pause.
//!
//! A broker deletes a group's offsets together with the topic: after a topic was deleted and created again, a *new* session finds a
//! new group, which starts where [`StartAt`](backup_tracker::StartAt) says.
//!
//! `commit` and `remaining` never return `Lost`. A commit in a live session does not store an offset again that the broker has
//! deleted: it belongs to a log that is gone, and the next session would skip records of the new one. It stores offsets of what the
//! session has read after `Lost`. The price: if the broker forgot the offsets for another reason (the group was silent for too
//! long, somebody deleted them), the session stores none any more, logs a warning once, and the next session begins as a new group.
//! What remains: a broker takes a moment to delete the offsets. A commit in that moment stores an offset that the broker deletes a
//! little later, or, if the topic was created and the offset stored again in the meantime, one that lasts.
//!
//! # Observers
//!
//! [`Kafka::observer`] makes a source without a group, for commands that look at a topic or follow it. Each session begins where
//! [`StartAt`](backup_tracker::StartAt) says; opening, reading and `commit` write nothing to the cluster, not even a topic that
//! [`Kafka::create_topic`] asks for; `commit` always succeeds, without asking anybody, and `resumed` is false.
//!
//! librdkafka reads nothing without a `group.id`, so it is given `backup-tracker-observer` and asks for that group's coordinator. No
//! offset is stored for it or asked for, and nobody joins it, so that it never comes into being. An identity that may do nothing with
//! groups is enough: a broker's refusal of the group is passed over.
//!
//! # Limits
//!
//! - An event's size: key, value, headers and about a hundred bytes may not exceed the client's `message.max.bytes` (1 000 000
//!   unless set as a property) nor the topic's `max.message.bytes`. The latter is read in the background after opening, where
//!   the ACLs allow it (`DescribeConfigs`) and no compression is set; until then, or without it, it is the broker that refuses.
//! - [`Kafka::open_timeout`], [`KafkaSinkBuilder::send_timeout`] and [`KafkaSourceBuilder::request_timeout`] bound every wait; 10 s
//!   each. `socket.timeout.ms` is set to 10 s, which is how long a connection that hangs goes unnoticed.
//!   A connection that was not used for 180 s is closed (`connections.max.idle.ms`), before something on the way forgets it.
//! - A source asks a broker for records ten times a second while there are none (`fetch.wait.max.ms`). A commit or a count of
//!   what remains waits behind such a question; records do not. It is most of what a silent source costs: with 500 instead of 100
//!   ms it takes less than half of the processor time.
//! - A source has two threads of this crate and a sink one of `rdkafka`'s, besides librdkafka's own for each broker.
//! - Features are `rdkafka`'s. librdkafka is compiled with all of them, for which a C compiler and `make` are needed; and for
//!
//!   | feature | brings | needs at build time, beyond that | on Debian |
//!   |---|---|---|---|
//!   | none | PLAIN, gzip, lz4, snappy | nothing | |
//!   | `ssl` | TLS, SCRAM, OAUTHBEARER | OpenSSL and its headers, `pkg-config` | `libssl-dev`, `pkg-config` |
//!   | `ssl-vendored` | the same, as `ssl` | Perl: it compiles an OpenSSL of its own, which takes minutes | `perl` |
//!   | `gssapi` | Kerberos, and what `ssl` brings | as `ssl`, and Cyrus SASL with its headers | `libsasl2-dev` |
//!   | `zstd` | compression with zstd | nothing: it compiles its own | |
//!
//! # Security
//!
//! Encryption and authentication are librdkafka properties (`security.protocol`, `sasl.mechanism`, `ssl.ca.location`, …), set with
//! [`Kafka::property`]; TLS, SCRAM and OAUTHBEARER need the feature `ssl`, Kerberos `gssapi`. Tokens of OAUTHBEARER come from the
//! program ([`Kafka::oauth_token`]). A password that may be renewed is a [`Kafka::secret_property`], which is read again for each new
//! client; files of certificates and keys are, too. Property values show neither in
//! `Debug` nor in errors, and no secret among them is logged at any level.
//!
//! A primary needs the ACL `Write` on the topic (before Kafka 2.8 also `IdempotentWrite` on the cluster), a secondary `Read` on
//! the topic and `Read` on the group, an observer `Read` on the topic alone; each includes `Describe`. Creating the topic needs
//! `Create` on it. A refusal is [`Denied`](backup_tracker::ErrorKind::Denied), comes before the time for opening is over, and
//! says which permission is missing on what, or which property the broker does not accept, with the broker's own words. That
//! holds for a certificate that either side refuses, too.
//!
//! What is taken away from a client at work shows when it is next used: reading at once, a commit and a send as they come. A send
//! is `Denied`; `next` and `commit` are `Unavailable` because of `Denied`, and work again when the permission is back. A connection
//! outlives its password until the broker asks for it again (`connections.max.reauth.ms`), or a new one is made.
//!
//! # Native access
//!
//! [`Kafka::property`] and the builders' `property` pass any librdkafka property through, and win over what this crate sets, except
//! for the five that a source relies on: `group.id`, `enable.auto.commit`, `enable.auto.offset.store`, `auto.offset.reset`,
//! `enable.partition.eof`. Who sets `acks` or `enable.idempotence` sets aside what *Delivery and order* says. The client library is
//! re-exported as [`rdkafka`], with its mock cluster for tests. librdkafka's log lines are `tracing` events with the target
//! `librdkafka`.
//!
//! [`Kafka::inspect`] tells what cluster, topic and group are like, without writing anything, for programs that judge a set-up.
//!
//! # When the broker goes away
//!
//! A session that is open survives every answer of a broker and every outage. `next`, `commit`, `remaining` and `claim` return
//! [`Unavailable`](backup_tracker::ErrorKind::Unavailable), with the [cause](backup_tracker::Error::cause) where there is another
//! one than an outage, and go on where they were. The exceptions are `Lost`, which `next` returns once, and a group that another
//! application has claimed. Opening is strict: it returns at once what time does not heal, and tries again what may pass until
//! [`Kafka::open_timeout`] is over.
//!
//! A source knows whether it is in contact with the leader of each partition. Leaders answer its fetches ten times a second, also
//! while there is nothing to read, but librdkafka reports neither that nor a leader that has stopped answering. So the source reads
//! a partition's last record again when nothing was heard of the partition for a third of
//! [`contact_time`](KafkaSourceBuilder::contact_time). From the contact time on `next` returns `Unavailable` about once a second,
//! naming the partition, and the source makes new clients beside the old one, with the credentials as they are then, until one gets
//! an answer from every leader and takes over. Until then the partitions that can be reached are still read. That no broker can be
//! reached, and that a broker refuses the client, `next` reports without waiting for the contact time.
//!
//! What a source makes of each error that a broker can answer with, every time it is asked:
//!
#![doc = include_str!("../answers/reading.md")]
//!
//! What a sink makes of them, and what is known of the event then:
//!
#![doc = include_str!("../answers/sending.md")]
//!
//! # When the program ends
//!
//! Closing and dropping are the same, commit nothing, and return at once: disconnecting is left to a thread of its own, so that
//! neither an async thread nor a runtime's shutdown waits for a dead broker; a source's connections may stay for a second more.
//! An event whose `send` returned `Ok` is safe; one whose `send` was still waiting may be in the log or not. After SIGKILL it is
//! no different: the next session begins at the last `commit` that returned `Ok`, or at one that was under way.

mod admin;
mod batch;
mod blocking;
mod config;
mod contact;
mod context;
mod delivery;
mod doubt;
mod error;
mod group;
mod inspect;
mod items;
mod link;
mod log_check;
mod mark;
mod partition;
mod poller;
mod positions;
mod producer;
mod properties;
mod record;
mod renewal;
mod replace;
mod seen;
mod sink;
mod source;
mod token;

pub use config::{
    DEFAULT_OPEN_TIMEOUT, DEFAULT_PARTITION_REFRESH, DEFAULT_REQUEST_TIMEOUT, DEFAULT_SEND_TIMEOUT, Kafka,
    KafkaSinkBuilder, KafkaSourceBuilder,
};
pub use inspect::{Broker, GroupInspection, GroupOffset, Inspection, Partition};
pub use partition::partition_for;
pub use properties::CreateTopic;
pub use rdkafka;
pub use sink::KafkaSink;
pub use source::KafkaSource;
pub use token::OauthToken;

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
