//! A sink heals: after a failed send the next one succeeds as soon as that of a new sink would (K6).

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::{Delivery, ErrorKind, Sink};
use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use backup_tracker_kafka::rdkafka::client::DefaultClientContext;
use backup_tracker_kafka::{CreateTopic, Kafka, KafkaSink};
use backup_tracker_test_servers::{Kafka as Server, KafkaCluster};
use uuid::Uuid;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::proxy::{Proxy, SOCKET_TIMEOUT};
use crate::support::{event, send, soon, texts};

cases! {
    Shared, Needs::Own;
    a_topic_that_was_created_again_with_another_leader_and_a_lower_epoch_is_written_to,
    too_few_replicas_are_named_in_time_and_forgotten_when_they_are_enough,
    a_polite_restart_is_survived,
}

pub(crate) mod any {
    use super::*;

    cases! {
        Shared, Needs::Any;
        a_topic_that_was_created_again_is_written_to,
        a_topic_that_was_created_again_with_fewer_partitions_is_written_to,
        an_event_of_a_wrong_clock_is_not_sent_and_the_clock_is_named,
        more_replicas_demanded_than_there_are_hinder_nobody,
        a_connection_that_was_silent_for_long_is_not_used_again,
    }

    async fn a_topic_that_was_created_again_is_written_to(shared: Arc<Shared>) {
        created_again(&shared, 1).await;
    }

    async fn a_topic_that_was_created_again_with_fewer_partitions_is_written_to(shared: Arc<Shared>) {
        created_again(&shared, 3).await;
    }

    /// Of so many partitions, and then of one.
    async fn created_again(shared: &Shared, partitions: i32) {
        let topic = Topic::new(&shared.servers());
        topic.create(NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(1))).await;
        let mut sink = topic.sink().await;
        let application = (0..100).map(|number| format!("app-{number}"));
        let application =
            application.into_iter().find(|name| sink.partition_of(name) as i32 == partitions - 1);
        let application = application.unwrap();
        send(&mut sink, &application, "before").await;
        topic.delete().await;
        topic.create(NewTopic::new(&topic.name, 1, TopicReplication::Fixed(1))).await;
        topic.heals(&mut sink, &application).await;
    }

    /// What `doctor` says of it. Older brokers refuse each event.
    async fn more_replicas_demanded_than_there_are_hinder_nobody(shared: Arc<Shared>) {
        let topic = Topic::new(&shared.servers());
        let create = CreateTopic::new(1, 1).config("min.insync.replicas", "2");
        let mut sink = soon(topic.kafka.clone().create_topic(create).sink().open()).await.unwrap();
        send(&mut sink, "app", "one").await;
    }

    /// A network that forgets silent connections swallows what comes on them.
    async fn a_connection_that_was_silent_for_long_is_not_used_again(shared: Arc<Shared>) {
        let topic = Topic::new(&shared.servers());
        topic.create(NewTopic::new(&topic.name, 1, TopicReplication::Fixed(1))).await;
        let proxy = Proxy::start(&shared.servers()).await.unwrap();
        let kafka = Kafka::new(proxy.servers(), &topic.name).property("connections.max.idle.ms", "500");
        let mut sink = soon(kafka.sink().open()).await.unwrap();
        send(&mut sink, "app", "before").await;
        soon(proxy.closed_by_clients()).await;
        let held = proxy.hold();
        let begin = std::time::Instant::now();
        send(&mut sink, "app", "after").await;
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        proxy.release(held).await;
    }

    async fn an_event_of_a_wrong_clock_is_not_sent_and_the_clock_is_named(shared: Arc<Shared>) {
        let topic = Topic::new(&shared.servers());
        let create = CreateTopic::new(1, 1).config("message.timestamp.before.max.ms", "0");
        // So that the broker sees it later than the clock said.
        let builder = topic.kafka.clone().create_topic(create).sink().property("linger.ms", "50");
        let mut sink = soon(builder.open()).await.unwrap();
        let error = soon(sink.send(&event("app", "late"))).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Rejected, Delivery::NotSent), "{error}");
        assert!(error.message().contains("clock"), "{error}");
        assert!(error.message().contains("`message.timestamp.before.max.ms`"), "{error}");
    }
}

/// The cases that stop brokers of the cluster, one after the other.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Topic {
    name: String,
    kafka: Kafka,
    admin: AdminClient<DefaultClientContext>,
}

impl Topic {
    fn new(servers: &str) -> Self {
        let name = format!("test-{}", Uuid::new_v4());
        let admin = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        let kafka =
            Kafka::new(servers, &name).property("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string());
        Self { name, kafka, admin }
    }

    async fn create(&self, topic: NewTopic<'_>) {
        // The old one may not be gone everywhere.
        soon(async {
            loop {
                let created = self.admin.create_topics([&topic], &options()).await.unwrap();
                if created.into_iter().all(|outcome| outcome.is_ok()) {
                    break;
                }
            }
        })
        .await;
    }

    async fn delete(&self) {
        let deleted = self.admin.delete_topics(&[&self.name], &options()).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }

    /// A sink whose sends give up soon.
    async fn sink(&self) -> KafkaSink {
        self.sink_of(Duration::from_secs(2)).await
    }

    async fn sink_of(&self, send_timeout: Duration) -> KafkaSink {
        soon(async {
            loop {
                match self.kafka.sink().send_timeout(send_timeout).open().await {
                    Ok(sink) => break sink,
                    // Not known everywhere yet.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                }
            }
        })
        .await
    }

    /// The sink reaches the topic again, and what it sends then is in the log.
    async fn heals(&self, sink: &mut KafkaSink, application: &str) {
        let mut failed = 0;
        soon(async {
            while let Err(error) = sink.send(&event(application, "after")).await {
                eprintln!("{error}");
                failed += 1;
                assert!(failed < 20, "{error}");
            }
        })
        .await;
        send(sink, application, "last").await;
        let mut source = soon(self.kafka.observer().open()).await.unwrap();
        let mut seen = texts(&mut source, 2).await;
        while seen.last().is_none_or(|text| text != "last") {
            seen.extend(texts(&mut source, 1).await);
        }
        seen.dedup();
        assert_eq!(seen, ["after", "last"]);
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)))
}

async fn a_topic_that_was_created_again_with_another_leader_and_a_lower_epoch_is_written_to(
    shared: Arc<Shared>,
) {
    let _turn = TURN.lock().await;
    let cluster = tokio::task::spawn_blocking(move || shared.cluster()).await.unwrap();
    let topic = Topic::new(&cluster.lock().unwrap().servers());
    let on = |broker: &'static [i32]| {
        let replicas: &'static [&'static [i32]] = Box::leak(Box::new([broker]));
        NewTopic::new(&topic.name, 1, TopicReplication::Variable(replicas))
    };
    topic.create(on(&[1])).await;
    // Another reign of the same leader raises the epoch.
    restart(&cluster, 1).await;
    let mut sink = topic.sink().await;
    send(&mut sink, "app", "before").await;
    topic.delete().await;
    topic.create(on(&[2])).await;
    topic.heals(&mut sink, "app").await;
}

async fn restart(cluster: &Arc<std::sync::Mutex<KafkaCluster>>, node: usize) {
    let cluster = Arc::clone(cluster);
    let restarting = tokio::task::spawn_blocking(move || {
        let mut cluster = cluster.lock().unwrap();
        let node = &mut cluster.nodes_mut()[node - 1];
        node.stop().unwrap();
        node.restart().unwrap();
    });
    restarting.await.unwrap();
}

async fn too_few_replicas_are_named_in_time_and_forgotten_when_they_are_enough(shared: Arc<Shared>) {
    let _turn = TURN.lock().await;
    let cluster = tokio::task::spawn_blocking(move || shared.cluster()).await.unwrap();
    let topic = Topic::new(&cluster.lock().unwrap().servers());
    let replicas: &[&[i32]] = &[&[1, 3]];
    let new =
        NewTopic::new(&topic.name, 1, TopicReplication::Variable(replicas)).set("min.insync.replicas", "2");
    topic.create(new).await;
    let mut sink = topic.sink_of(Duration::from_secs(4)).await;
    send(&mut sink, "app", "before").await;
    let stopping = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || stopping.lock().unwrap().nodes_mut()[2].stop().unwrap())
        .await
        .unwrap();
    let begin = std::time::Instant::now();
    let error = soon(sink.send(&event("app", "during"))).await.unwrap_err();
    eprintln!("{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("`min.insync.replicas`"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    let starting = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || starting.lock().unwrap().restart().unwrap()).await.unwrap();
    soon(async { while sink.send(&event("app", "after")).await.is_err() {} }).await;
    send(&mut sink, "app", "last").await;
    let mut source = soon(topic.kafka.observer().open()).await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|text| text != "last") {
        seen.extend(texts(&mut source, 1).await);
    }
    seen.dedup();
    // What was refused for good is not there.
    assert_eq!(seen, ["before", "after", "last"]);
}

async fn a_polite_restart_is_survived(_: Arc<Shared>) {
    let mut server = tokio::task::spawn_blocking(|| Server::start().unwrap()).await.unwrap();
    let topic = Topic::new(&server.servers());
    topic.create(NewTopic::new(&topic.name, 1, TopicReplication::Fixed(1))).await;
    let mut sink = topic.sink().await;
    send(&mut sink, "app", "before").await;
    let restarting = tokio::task::spawn_blocking(move || {
        server.stop().unwrap();
        server.restart().unwrap();
        server
    });
    let mut sent = 0;
    let mut restarted = None;
    tokio::pin!(restarting);
    let during = event("app", "during");
    while restarted.is_none() {
        tokio::select! {
            server = &mut restarting => restarted = Some(server.unwrap()),
            outcome = sink.send(&during) => match outcome {
                Ok(()) => sent += 1,
                Err(error) => assert!(error.is_transient(), "{error}"),
            },
        }
    }
    eprintln!("{sent} events before the broker was down");
    soon(async { while sink.send(&event("app", "after")).await.is_err() {} }).await;
    send(&mut sink, "app", "last").await;
}
