//! What librdkafka's mock cannot show: markers of transactions, topics that grow, shrink and come again, topic settings.

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::{Delivery, ErrorKind, EventSource, Sink};
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use backup_tracker_kafka::rdkafka::message::Message;
use backup_tracker_kafka::rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use backup_tracker_kafka::rdkafka::{ClientConfig, Offset, TopicPartitionList};
use backup_tracker_kafka::{CreateTopic, Kafka, KafkaSink, KafkaSource};
use uuid::Uuid;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::support::{event, next, send, soon, text, texts};

cases! {
    Shared, Needs::Any;
    markers_of_transactions_do_not_remain,
    a_topic_that_is_recreated_under_a_live_session_is_said_to_be_lost_once,
    a_commit_after_the_topic_was_recreated_skips_nothing_of_the_new_one,
    partitions_that_are_added_during_a_session_are_read,
    the_topics_own_limit_is_known_soon_and_then_refuses_before_an_event_is_sent,
    a_missing_topic_is_not_created_where_the_broker_would,
    a_group_with_members_that_subscribe_is_refused_with_advice,
    an_offset_that_another_program_sets_is_a_position,
    a_group_goes_from_a_subscriber_to_us_and_back,
    an_observer_brings_no_group_into_being,
}

struct Topic {
    name: String,
    client: ClientConfig,
    kafka: Kafka,
}

async fn topic(shared: &Shared, create: CreateTopic) -> Topic {
    let servers = shared.servers();
    let name = format!("test-{}", Uuid::new_v4());
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &servers);
    let kafka = Kafka::new(servers, &name);
    drop(soon(kafka.clone().create_topic(create).sink().open()).await.unwrap());
    Topic { name, client, kafka }
}

impl Topic {
    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client.create().unwrap()
    }

    /// A producer of transactions.
    fn producer(&self) -> BaseProducer {
        let mut config = self.client.clone();
        config.set("transactional.id", Uuid::new_v4().to_string());
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(Duration::from_secs(20)).unwrap();
        producer
    }

    fn send(&self, producer: &BaseProducer, text: &str) {
        let record = BaseRecord::<(), str>::to(&self.name).partition(0).payload(text);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(Duration::from_secs(20)).unwrap();
    }

    /// Sends records in a transaction, whose end is a record of its own that no reader is given.
    fn transaction(&self, texts: &[&str], commit: bool) {
        let (producer, limit) = (self.producer(), Duration::from_secs(20));
        producer.begin_transaction().unwrap();
        for text in texts {
            self.send(&producer, text);
        }
        if commit {
            producer.commit_transaction(limit).unwrap();
        } else {
            producer.abort_transaction(limit).unwrap();
        }
    }

    /// Deletes the topic and creates it again, for a new sink.
    async fn recreate(&self) -> KafkaSink {
        let admin = self.admin();
        soon(admin.delete_topics(&[&self.name], &AdminOptions::new())).await.unwrap();
        soon(async { while self.kafka.sink().open().await.is_ok() {} }).await;
        let again = self.kafka.clone().create_topic(CreateTopic::new(1, 1));
        soon(again.sink().open()).await.unwrap()
    }

    /// Waits until the broker has deleted the group's offset, which it does a little later than the topic.
    async fn is_forgotten(&self, group: &str) {
        let mut config = self.client.clone();
        let tool: BaseConsumer = config.set("group.id", format!("{}-{group}", self.name)).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.name, 0);
        soon(async {
            let stored = || tool.committed_offsets(list.clone(), Duration::from_secs(10)).unwrap();
            while stored().elements()[0].offset() != Offset::Invalid {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    async fn source(&self, group: &str) -> KafkaSource {
        soon(self.kafka.source(format!("{}-{group}", self.name)).open()).await.unwrap()
    }
}

async fn comes_down_to_nothing(source: &mut KafkaSource) {
    soon(async {
        while source.remaining().await.unwrap().total() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// A commit returns when it is decided. What it commits counts when the broker has written the transaction's marker behind it, a
/// little later.
async fn comes_up_to(source: &mut KafkaSource, count: u64) {
    soon(async {
        while source.remaining().await.unwrap().total() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn markers_of_transactions_do_not_remain(shared: Arc<Shared>) {
    let topic = topic(&shared, CreateTopic::new(1, 1)).await;
    topic.transaction(&["one", "two"], true);
    let mut source = topic.source("search").await;
    comes_up_to(&mut source, 2).await;
    assert_eq!(texts(&mut source, 2).await, ["one", "two"]);
    comes_down_to_nothing(&mut source).await;
    // The same for a live session.
    for _ in 0..3 {
        topic.transaction(&["three"], true);
        comes_up_to(&mut source, 1).await;
        assert_eq!(texts(&mut source, 1).await, ["three"]);
        comes_down_to_nothing(&mut source).await;
    }
    topic.transaction(&["aborted"], false);
    assert_eq!(texts(&mut source, 1).await, ["aborted"]);
    comes_down_to_nothing(&mut source).await;
    // What is acknowledged counts, also behind a transaction that stays open.
    let open = topic.producer();
    open.begin_transaction().unwrap();
    topic.send(&open, "open");
    let mut sink = soon(topic.kafka.sink().open()).await.unwrap();
    send(&mut sink, "app", "four").await;
    assert_eq!(texts(&mut source, 2).await, ["open", "four"]);
    comes_down_to_nothing(&mut source).await;
    open.abort_transaction(Duration::from_secs(20)).unwrap();
    comes_down_to_nothing(&mut source).await;
    soon(source.commit()).await.unwrap();
    drop(source);
    let mut source = topic.source("search").await;
    assert!(source.resumed());
    comes_down_to_nothing(&mut source).await;
}

async fn a_topic_that_is_recreated_under_a_live_session_is_said_to_be_lost_once(shared: Arc<Shared>) {
    let topic = topic(&shared, CreateTopic::new(1, 1)).await;
    let mut sink = soon(topic.kafka.sink().open()).await.unwrap();
    for number in 0..5 {
        send(&mut sink, "app", &number.to_string()).await;
    }
    let mut source = topic.source("search").await;
    texts(&mut source, 5).await;
    soon(source.commit()).await.unwrap();
    let mut sink = topic.recreate().await;
    for name in ["new 0", "new 1"] {
        send(&mut sink, "app", name).await;
    }
    let mut lost = 0;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match tokio::time::timeout(Duration::from_secs(60), source.next()).await.unwrap() {
            Ok(record) => seen.push(text(&record.unwrap())),
            Err(error) if error.kind() == ErrorKind::Lost => lost += 1,
            Err(error) => eprintln!("{error}"),
        }
    }
    assert_eq!(seen, ["new 0", "new 1"]);
    assert_eq!(lost, 1);
    assert!(!source.resumed());
    // What was read since is of the new topic, and is committed.
    soon(source.commit()).await.unwrap();
    let mut later = topic.source("search").await;
    assert!(later.resumed());
    assert_eq!(soon(later.remaining()).await.unwrap().total(), 0);
}

async fn a_commit_after_the_topic_was_recreated_skips_nothing_of_the_new_one(shared: Arc<Shared>) {
    let topic = topic(&shared, CreateTopic::new(1, 1)).await;
    let mut sink = soon(topic.kafka.sink().open()).await.unwrap();
    for number in 0..5 {
        send(&mut sink, "app", &number.to_string()).await;
    }
    let mut source = topic.source("search").await;
    soon(source.claim("app")).await.unwrap();
    texts(&mut source, 5).await;
    soon(source.commit()).await.unwrap();
    let mut sink = topic.recreate().await;
    topic.is_forgotten("search").await;
    // Whether the new topic is shorter than the old one's position, or has grown beyond it.
    for count in [2, 7] {
        for number in 0..count {
            send(&mut sink, "app", &format!("new {number}")).await;
        }
        soon(source.commit()).await.unwrap();
    }
    let mut next = topic.source("search").await;
    assert!(!next.resumed());
    assert_eq!(texts(&mut next, 2).await, ["new 0", "new 1"]);
    assert_eq!(soon(next.remaining()).await.unwrap().total(), 7);
}

async fn partitions_that_are_added_during_a_session_are_read(shared: Arc<Shared>) {
    let topic = topic(&shared, CreateTopic::new(1, 1)).await;
    let builder = topic.kafka.source(format!("{}-search", topic.name));
    let mut source = soon(builder.partition_refresh(Duration::from_millis(200)).open()).await.unwrap();
    let mut old = soon(topic.kafka.sink().open()).await.unwrap();
    send(&mut old, "app", "one").await;
    assert_eq!(texts(&mut source, 1).await, ["one"]);
    let admin = topic.admin();
    let more = NewPartitions::new(&topic.name, 4);
    soon(admin.create_partitions([&more], &AdminOptions::new())).await.unwrap();
    let mut new = soon(async {
        loop {
            let sink = topic.kafka.sink().open().await.unwrap();
            if (0..100).any(|number| sink.partition_of(&number.to_string()) == 3) {
                break sink;
            }
        }
    })
    .await;
    let names: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    for name in &names {
        send(&mut new, name, name).await;
    }
    // Fixed at opening: the old sink goes on as before.
    assert_eq!(old.partition_of("app"), 0);
    let mut seen = texts(&mut source, names.len()).await;
    seen.sort_by_key(|name| name.parse::<u32>().unwrap());
    assert_eq!(seen, names);
    comes_down_to_nothing(&mut source).await;
    soon(source.commit()).await.unwrap();
    drop(source);
    let mut source = topic.source("search").await;
    assert!(source.resumed());
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 0);
}

async fn the_topics_own_limit_is_known_soon_and_then_refuses_before_an_event_is_sent(shared: Arc<Shared>) {
    let create = CreateTopic::new(1, 1).config("max.message.bytes", "5000");
    let topic = topic(&shared, create).await;
    let mut sink = soon(topic.kafka.sink().open()).await.unwrap();
    send(&mut sink, "app", &"x".repeat(4000)).await;
    // The limit is asked for beside the opening. Until it is known, the broker refuses, and in other words; what that says of the
    // event is the same.
    soon(async {
        loop {
            let error = sink.send(&event("app", &"x".repeat(5000))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
            assert_eq!(error.delivery(), Delivery::NotSent);
            if error.message().contains("5000 is the most") {
                break;
            }
        }
    })
    .await;
    // And what is let through is taken: the count is exact enough.
    let mut largest = 0;
    for size in 4800..5000 {
        match soon(sink.send(&event("app", &"x".repeat(size)))).await {
            Ok(()) => largest = size,
            Err(error) => assert!(error.message().contains("5000 is the most"), "{error}"),
        }
    }
    assert!(largest > 4850, "{largest}");
}

async fn a_missing_topic_is_not_created_where_the_broker_would(shared: Arc<Shared>) {
    let mut topic = topic(&shared, CreateTopic::new(1, 1)).await;
    topic.kafka = Kafka::new(shared.servers(), format!("{}-missing", topic.name));
    for _ in 0..2 {
        let sink = soon(topic.kafka.sink().open()).await.unwrap_err();
        let source = soon(topic.kafka.source("search").open()).await.unwrap_err();
        assert_eq!(sink.kind(), ErrorKind::NotFound, "{sink}");
        assert_eq!(source.kind(), ErrorKind::NotFound, "{source}");
    }
}

async fn a_group_with_members_that_subscribe_is_refused_with_advice(shared: Arc<Shared>) {
    let topic = topic(&shared, CreateTopic::new(1, 1)).await;
    let group = format!("{}-search", topic.name);
    let member: BaseConsumer = topic.client.clone().set("group.id", &group).create().unwrap();
    member.subscribe(&[&topic.name]).unwrap();
    while member.assignment().unwrap().count() == 0 {
        drop(member.poll(Duration::from_millis(50)));
    }
    let error = soon(topic.kafka.source(&group).open()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("a group of its own"), "{error}");
}

async fn an_offset_that_another_program_sets_is_a_position(shared: Arc<Shared>) {
    let topic = topic(&shared, CreateTopic::new(1, 1)).await;
    let mut sink = soon(topic.kafka.sink().open()).await.unwrap();
    for number in 0..5 {
        send(&mut sink, "app", &number.to_string()).await;
    }
    let group = format!("{}-search", topic.name);
    let tool: BaseConsumer = topic.client.clone().set("group.id", &group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, Offset::Offset(3)).unwrap();
    tool.commit(&list, CommitMode::Sync).unwrap();
    drop(tool);
    let mut source = topic.source("search").await;
    assert!(source.resumed());
    assert_eq!(text(&next(&mut source).await), "3");
}

/// Services in Java subscribe, and commit what they have read at Ready.
async fn a_group_goes_from_a_subscriber_to_us_and_back(shared: Arc<Shared>) {
    let topic = topic(&shared, CreateTopic::new(1, 1)).await;
    let mut sink = soon(topic.kafka.sink().open()).await.unwrap();
    for number in 0..3 {
        send(&mut sink, "app", &number.to_string()).await;
    }
    let subscriber = || {
        let mut config = topic.client.clone();
        config.set("group.id", format!("{}-search", topic.name)).set("auto.offset.reset", "earliest");
        let member: BaseConsumer = config.set("enable.auto.commit", "false").create().unwrap();
        member.subscribe(&[&topic.name]).unwrap();
        member
    };
    let read_one = |member: &BaseConsumer| {
        let record = std::iter::repeat_with(|| member.poll(Duration::from_millis(50))).flatten().next();
        let record = record.unwrap().unwrap().detach();
        String::from_utf8(record.payload().unwrap().to_vec()).unwrap()
    };

    let member = subscriber();
    assert_eq!(read_one(&member), "0");
    let mut read = TopicPartitionList::new();
    read.add_partition_offset(&topic.name, 0, Offset::Offset(1)).unwrap();
    member.commit(&read, CommitMode::Sync).unwrap();

    // Beside it nobody else can keep a position, as long as it is there.
    let mut beside = topic.source("search").await;
    let error = soon(beside.commit()).await.unwrap_err();
    assert_eq!((error.is_transient(), error.cause()), (true, Some(ErrorKind::Config)), "{error}");
    drop((beside, member));

    let mut source = topic.source("search").await;
    assert!(source.resumed());
    assert_eq!(texts(&mut source, 1).await, ["1"]);
    soon(source.commit()).await.unwrap();
    soon(source.close()).await.unwrap();

    assert_eq!(read_one(&subscriber()), "2");
}

async fn an_observer_brings_no_group_into_being(shared: Arc<Shared>) {
    let topic = topic(&shared, CreateTopic::new(2, 1)).await;
    let mut sink = soon(topic.kafka.sink().open()).await.unwrap();
    send(&mut sink, "app", "one").await;
    let mut source = soon(topic.kafka.observer().open()).await.unwrap();
    assert_eq!(texts(&mut source, 1).await, ["one"]);
    comes_down_to_nothing(&mut source).await;
    send(&mut sink, "app", "two").await;
    assert_eq!(texts(&mut source, 1).await, ["two"]);
    soon(source.commit()).await.unwrap();

    let group = format!("{}-search", topic.name);
    let mut known = topic.source("search").await;
    soon(known.commit()).await.unwrap();
    let consumer: BaseConsumer = topic.client.create().unwrap();
    let groups = consumer.fetch_group_list(None, Duration::from_secs(20)).unwrap();
    let names: Vec<_> = groups.groups().iter().map(|group| group.name()).collect();
    assert!(names.contains(&&*group), "{names:?}");
    assert!(!names.contains(&"backup-tracker-observer"), "{names:?}");
}
