//! Answers to a source: while it is opened, and while it reads, commits and counts.

use std::time::Duration;

use backup_tracker::{EventSource, Result};
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};

use crate::codes::name;
use crate::support::{cluster, send, soon, text};
use crate::table::{compare, of_each_code, shown};

/// More often than anybody asks.
const ALWAYS: usize = 1000;
const TIME: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn every_answer_to_a_source_is_told_as_the_table_says_and_ends_no_session() {
    let seen = of_each_code(trial).await;
    compare("reading.md", &["opening", "`next`", "`commit`", "`remaining`"], seen);
}

/// The broker answers so for as long as `TIME` and longer, and then well again.
async fn trial(code: Code) -> (Code, Vec<String>) {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    let always = vec![code; ALWAYS];

    cluster.mock.request_errors(RDKafkaApiKey::ListOffsets, &always);
    let opening = cluster.kafka().open_timeout(TIME).source("early").open();
    let opening = outcome(soon(opening).await);
    cluster.mock.clear_request_errors(RDKafkaApiKey::ListOffsets);

    let builder = cluster.kafka().source("search").contact_time(TIME).request_timeout(TIME);
    let mut source = soon(builder.open()).await.unwrap();
    send(&mut sink, "app", "before").await;
    soon(source.next()).await.unwrap();

    cluster.mock.request_errors(RDKafkaApiKey::OffsetCommit, &always);
    let committing = soon(source.commit()).await;
    passes(code, &committing);
    cluster.mock.clear_request_errors(RDKafkaApiKey::OffsetCommit);
    soon(async { while source.commit().await.is_err() {} }).await;

    cluster.mock.request_errors(RDKafkaApiKey::ListOffsets, &always);
    let counting = soon(source.remaining()).await;
    passes(code, &counting);
    cluster.mock.clear_request_errors(RDKafkaApiKey::ListOffsets);
    soon(async { while source.remaining().await.is_err() {} }).await;

    cluster.mock.request_errors(RDKafkaApiKey::Fetch, &always);
    send(&mut sink, "app", "during").await;
    let reading = soon(source.next()).await;
    passes(code, &reading);
    cluster.mock.clear_request_errors(RDKafkaApiKey::Fetch);
    let missed = async {
        loop {
            match source.next().await {
                Ok(record) => break text(&record.unwrap()),
                Err(error) => assert!(error.is_transient(), "{}: {error}", name(code)),
            }
        }
    };
    if reading.is_err() {
        assert_eq!(soon(missed).await, "during", "{}", name(code));
    }
    (code, vec![opening, outcome(reading), outcome(committing), outcome(counting)])
}

/// What the session is told ends it under no circumstances (S14).
fn passes<T>(code: Code, outcome: &Result<T>) {
    if let Err(error) = outcome {
        assert!(error.is_transient(), "{}: {error}", name(code));
    }
}

fn outcome<T>(outcome: Result<T>) -> String {
    outcome.map_or_else(|error| shown(&error), |_| "succeeds".to_owned())
}
