//! `doctor` over real Kafka: one broker for all cases, with a topic for each.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_tracker::BoxSource;
use backup_tracker_kafka::Kafka;
use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use backup_tracker_kafka::rdkafka::{Offset, TopicPartitionList};
use backup_tracker_test_servers as servers;

use crate::{Case, Findings, block_on, examine, expect, use_it};

pub(crate) const CASES: &[Case<Arc<servers::Kafka>>] = &[
    ("all is well", all_is_well),
    ("nothing is made", nothing_is_made),
    ("a topic that forgets", a_topic_that_forgets),
    ("a topic that demands more replicas than there are", a_topic_that_demands_more_replicas_than_there_are),
    ("a group that others joined", a_group_that_others_joined),
    ("a group whose position is gone", a_group_whose_position_is_gone),
    ("a user who may little", a_user_who_may_little),
    ("a user whom the broker does not let in", a_user_whom_the_broker_does_not_let_in),
];

const LISTENER: &str = "SASL";

/// The broker, which lets everybody do everything on its first listener, and the user `maps` nothing on its second. It is
/// started for the first who asks, and ends with the last who could.
pub(crate) fn shared() -> impl Fn() -> io::Result<Arc<servers::Kafka>> + Clone {
    let shared = Arc::new(Mutex::new(None));
    move || {
        let mut broker = shared.lock().unwrap();
        if broker.is_none() {
            *broker = Some(Arc::new(start()?));
        }
        Ok(broker.clone().unwrap())
    }
}

fn start() -> io::Result<servers::Kafka> {
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required user_maps=\"secret\";";
    servers::Kafka::builder()
        .listener(LISTENER, "SASL_PLAINTEXT")
        .property("sasl.enabled.mechanisms", "PLAIN")
        .property("listener.name.sasl.plain.sasl.jaas.config", jaas)
        .property("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .property("super.users", "User:ANONYMOUS")
        .start()
}

fn create(server: &servers::Kafka, topic: &str, settings: &[(&str, &str)]) {
    block_on(async {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", server.servers()).create().unwrap();
        let mut new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let created = admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
        created.into_iter().for_each(|outcome| assert_eq!(outcome, Ok(topic.to_owned())));
    });
}

async fn used(server: &servers::Kafka, topic: &str) {
    let kafka = Kafka::new(server.servers(), topic);
    let source = BoxSource::new(kafka.source("search").open().await.unwrap());
    use_it(kafka.sink().open().await.unwrap(), Some(source)).await;
}

fn all_is_well(server: Arc<servers::Kafka>) {
    create(&server, "well", &[]);
    block_on(used(&server, "well"));
    let arguments = ["--backup-topic", "well", "--group", "search", "--application", "shop"];
    let findings = examine("kafka", &server.servers(), &arguments);
    expect(
        &findings,
        &[
            ("broker", "ok"),
            ("topic", "ok"),
            ("partitions", "ok"),
            ("replication", "warning"),
            ("durability", "ok"),
            ("cleanup", "ok"),
            ("retention", "ok"),
            ("retention_size", "ok"),
            ("timestamps", "ok"),
            ("event_size", "ok"),
            ("write", "unknown"),
            ("group", "ok"),
            ("group_members", "ok"),
            ("group_retention", "ok"),
            ("read", "ok"),
            ("application", "ok"),
            ("lag", "ok"),
            ("clock", "unknown"),
        ],
    );
    assert_eq!(findings["lag"].1, "0 events behind the end");
    // Kafka's own defaults: seven days each.
    expect(
        &examine("kafka", &server.servers(), &[&arguments[..], &["--absence", "8d"]].concat()),
        &[("retention", "warning"), ("group_retention", "warning")],
    );
}

/// Though this broker makes each topic that a client asks for unless the client says no.
fn nothing_is_made(server: Arc<servers::Kafka>) {
    for _ in 0..2 {
        let arguments = ["--backup-topic", "nowhere", "--group", "search", "--create-topic"];
        let findings = examine("kafka", &server.servers(), &arguments);
        expect(
            &findings,
            &[("broker", "ok"), ("topic", "problem"), ("group", "unknown"), ("read", "unknown")],
        );
    }
}

fn a_topic_that_forgets(server: Arc<servers::Kafka>) {
    let settings = [
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "3600000"),
        ("retention.bytes", "1000"),
        ("max.message.bytes", "1000"),
    ];
    create(&server, "forgetful", &settings);
    let findings = examine("kafka", &server.servers(), &["--backup-topic", "forgetful"]);
    expect(
        &findings,
        &[
            ("cleanup", "problem"),
            ("retention", "warning"),
            ("retention_size", "warning"),
            ("event_size", "warning"),
            ("group", "unknown"),
        ],
    );
}

fn a_topic_that_demands_more_replicas_than_there_are(server: Arc<servers::Kafka>) {
    create(&server, "strict", &[("min.insync.replicas", "2")]);
    let findings = examine("kafka", &server.servers(), &["--backup-topic", "strict"]);
    expect(&findings, &[("topic", "ok"), ("durability", "warning")]);
}

fn a_group_that_others_joined(server: Arc<servers::Kafka>) {
    create(&server, "crowded", &[]);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", server.servers())
        .set("group.id", "crowd")
        .create()
        .unwrap();
    consumer.subscribe(&["crowded"]).unwrap();
    while consumer.assignment().unwrap().count() == 0 {
        assert!(consumer.poll(Duration::from_millis(100)).is_none());
    }
    let findings = examine("kafka", &server.servers(), &["--backup-topic", "crowded", "--group", "crowd"]);
    expect(&findings, &[("group_members", "problem"), ("group", "warning")]);
}

fn a_group_whose_position_is_gone(server: Arc<servers::Kafka>) {
    create(&server, "trimmed", &[]);
    block_on(async {
        used(&server, "trimmed").await;
        for _ in 0..3 {
            use_it(Kafka::new(server.servers(), "trimmed").sink().open().await.unwrap(), None).await;
        }
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", server.servers()).create().unwrap();
        let mut before = TopicPartitionList::new();
        before.add_partition_offset("trimmed", 0, Offset::Offset(3)).unwrap();
        admin.delete_records(&before, &AdminOptions::new()).await.unwrap();
    });
    let findings = examine("kafka", &server.servers(), &["--backup-topic", "trimmed", "--group", "search"]);
    expect(&findings, &[("group", "problem"), ("group_members", "ok"), ("read", "ok")]);
}

fn as_maps(server: &servers::Kafka, password: &str, arguments: &[&str]) -> Findings {
    let address = format!("127.0.0.1:{}", server.port_of(LISTENER).unwrap());
    let identity = [
        "--kafka-property=security.protocol=sasl_plaintext",
        "--kafka-login-type=PLAIN",
        "--kafka-user=maps",
        "--kafka-password",
        password,
    ];
    examine("kafka", &address, &[&identity[..], arguments].concat())
}

fn a_user_who_may_little(server: Arc<servers::Kafka>) {
    create(&server, "guarded", &[]);
    block_on(async {
        use_it(Kafka::new(server.servers(), "guarded").sink().open().await.unwrap(), None).await;
    });
    let may = |what: &[&str]| {
        let servers = server.servers();
        let first = ["--bootstrap-server", &servers, "--add", "--allow-principal", "User:maps"];
        server.tool("org.apache.kafka.tools.AclCommand", &[&first[..], what].concat()).unwrap();
    };
    let arguments = ["--backup-topic", "guarded", "--group", "search"];
    expect(&as_maps(&server, "secret", &arguments), &[("broker", "ok"), ("topic", "problem")]);
    may(&["--operation", "Describe", "--topic", "guarded"]);
    expect(
        &as_maps(&server, "secret", &arguments),
        &[
            ("topic", "ok"),
            ("partitions", "ok"),
            ("cleanup", "unknown"),
            ("retention", "unknown"),
            ("group", "problem"),
            ("group_members", "unknown"),
            ("group_retention", "unknown"),
            ("read", "problem"),
        ],
    );
    may(&["--operation", "Read", "--topic", "guarded", "--group", "search"]);
    let findings = as_maps(&server, "secret", &arguments);
    expect(&findings, &[("group", "warning"), ("group_members", "ok"), ("read", "ok")]);
}

fn a_user_whom_the_broker_does_not_let_in(server: Arc<servers::Kafka>) {
    let findings = as_maps(&server, "wrong", &["--backup-topic", "guarded"]);
    expect(&findings, &[("broker", "problem"), ("topic", "unknown"), ("read", "unknown")]);
    assert!(!format!("{findings:?}").contains("wrong"), "{findings:?}");
}
