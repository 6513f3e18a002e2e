//! Answers to a send.

use std::time::Duration;

use backup_tracker::{Delivery, Sink};
use backup_tracker_kafka::KafkaSink;
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};

use crate::codes::name;
use crate::support::{Cluster, cluster, event, soon};
use crate::table::{compare, of_each_code, shown};

/// More often than anybody asks.
const ALWAYS: usize = 1000;

#[tokio::test]
async fn every_answer_to_a_send_is_told_as_the_table_says_and_does_not_end_the_sink() {
    let seen = of_each_code(trial).await;
    compare("sending.md", &["once", "each time", "delivery"], seen);
}

async fn trial(code: Code) -> (Code, Vec<String>) {
    let cluster = cluster(1);
    let builder = cluster.kafka().property("socket.timeout.ms", "1000").sink();
    let mut sink = soon(builder.send_timeout(Duration::from_secs(2)).open()).await.unwrap();
    let (once, _) = answered(&cluster, &mut sink, code, 1).await;
    let (always, delivery) = answered(&cluster, &mut sink, code, ALWAYS).await;
    (code, vec![once, always, delivery])
}

/// What a send comes to when so many answers are this error. The sink is as good as new afterwards.
async fn answered(cluster: &Cluster, sink: &mut KafkaSink, code: Code, times: usize) -> (String, String) {
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &vec![code; times]);
    let outcome = soon(sink.send(&event("app", "event"))).await;
    cluster.mock.clear_request_errors(RDKafkaApiKey::Produce);
    let mut failed = 0;
    soon(async {
        while let Err(error) = sink.send(&event("app", "after")).await {
            failed += 1;
            assert!(failed < 6, "{}: {error}", name(code));
        }
    })
    .await;
    match outcome {
        Ok(()) => ("succeeds".to_owned(), String::new()),
        Err(error) => {
            let delivery = match error.delivery() {
                Delivery::NotSent => "not sent",
                Delivery::Unknown => "unknown",
            };
            (shown(&error), delivery.to_owned())
        }
    }
}
