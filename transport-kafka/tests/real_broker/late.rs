//! An event whose send ended as unknown comes before what the same sink was told succeeded later, or not at all (K2).

use std::sync::Arc;
use std::time::Duration;

use backup_tracker::{Delivery, Sink};
use backup_tracker_kafka::{CreateTopic, Kafka, KafkaSink};
use uuid::Uuid;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::proxy::Proxy;
use crate::support::{event, never, next, send, soon, text};

cases! {
    Shared, Needs::Any;
    an_event_that_timed_out_is_refused_when_it_comes_late,
    an_event_that_timed_out_is_refused_when_it_comes_later_than_its_producer_was_replaced,
}

/// How long a send has, and how long a connection that hangs: longer, so that the event does not come on another one. A send has
/// the time to find out that a new client would get through.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
const SOCKET_TIMEOUT: Duration = Duration::from_secs(6);

/// A sink whose connections were held while it sent `late`, which has timed out and is on its way.
struct Late {
    kafka: Kafka,
    proxy: Proxy,
    sink: KafkaSink,
    held: usize,
}

impl Late {
    async fn send(shared: &Shared, is_idempotent: bool) -> Self {
        let topic = format!("test-{}", Uuid::new_v4());
        let kafka = Kafka::new(shared.servers(), &topic);
        drop(soon(kafka.clone().create_topic(CreateTopic::new(1, 1)).sink().open()).await.unwrap());
        let proxy = Proxy::start(&shared.servers()).await.unwrap();
        let through = Kafka::new(proxy.servers(), &topic)
            .property("reconnect.backoff.max.ms", "200")
            .property("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string());
        let builder = through.sink().property("enable.idempotence", is_idempotent.to_string());
        let mut sink = soon(builder.send_timeout(SEND_TIMEOUT).open()).await.unwrap();
        send(&mut sink, "app", "before").await;
        let held = proxy.hold();
        let error = soon(sink.send(&event("app", "late"))).await.unwrap_err();
        assert_eq!(error.delivery(), Delivery::Unknown, "{error}");
        Self { kafka, proxy, sink, held }
    }

    /// Sends until an event is acknowledged, over a new connection.
    async fn send_another(&mut self) {
        soon(async { while self.sink.send(&event("app", "after")).await.is_err() {} }).await;
    }

    /// Lets the late event through to the broker.
    async fn arrives(&self) {
        soon(self.proxy.release(self.held)).await;
    }

    async fn is_in_the_log(&self, expected: &[&str], is_late: bool) {
        let mut source = soon(self.kafka.observer().open()).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            let text = text(&next(&mut source).await);
            // Those before it may have come, too.
            if text != "after" || seen.last().is_none_or(|last| last != "after") {
                seen.push(text);
            }
        }
        assert_eq!(seen, expected);
        if !is_late {
            never(async { while text(&next(&mut source).await) == "after" {} }).await;
        }
    }
}

async fn an_event_that_timed_out_is_refused_when_it_comes_late(shared: Arc<Shared>) {
    // It does arrive, and nothing but the producer's epoch keeps it away.
    let mut late = Late::send(&shared, false).await;
    late.send_another().await;
    late.arrives().await;
    late.is_in_the_log(&["before", "after", "late"], true).await;

    let mut late = Late::send(&shared, true).await;
    late.send_another().await;
    late.arrives().await;
    late.is_in_the_log(&["before", "after"], false).await;
}

async fn an_event_that_timed_out_is_refused_when_it_comes_later_than_its_producer_was_replaced(
    shared: Arc<Shared>,
) {
    let mut late = Late::send(&shared, true).await;
    late.proxy.falsify_next_answer();
    let error = soon(late.sink.send(&event("app", "fatal"))).await.unwrap_err();
    assert!(error.message().contains("sequence"), "{error}");
    late.send_another().await;
    late.arrives().await;
    late.is_in_the_log(&["before", "fatal", "after"], false).await;
}
