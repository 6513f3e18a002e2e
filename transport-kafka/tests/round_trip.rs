//! What a sink writes, a source reads.

mod support;

use backup_tracker::{Event, EventSource, Position, Sink, WireFormat};
use backup_tracker_kafka::partition_for;
use support::{cluster, event, next, send, soon, texts};
use uuid::Uuid;

#[tokio::test]
async fn key_headers_and_payload_come_back_unchanged() {
    let cluster = cluster(3);
    let mut sink = cluster.sink().await;
    let mut source = cluster.source("search").await;
    let event = Event::new(Uuid::new_v4(), "maps", vec![0, 159, 146, 150])
        .header("content-type", "application/json")
        .header("twice", "a")
        .header("twice", vec![0_u8, 255])
        .header("empty", "");
    soon(sink.send(&event)).await.unwrap();
    let record = next(&mut source).await;
    assert_eq!(record.key, Some(event.key));
    assert_eq!(record.headers, event.headers);
    assert_eq!(record.payload, Some(event.payload));
    assert_eq!(record.position.to_string(), format!("partition {}, offset 0", partition_for("maps", 3)));
}

#[tokio::test]
async fn one_application_stays_in_one_partition_and_in_order() {
    let cluster = cluster(7);
    let mut sink = cluster.sink().await;
    for number in 0..20 {
        send(&mut sink, "maps", &number.to_string()).await;
    }
    let mut source = cluster.source("search").await;
    let mut partitions = Vec::new();
    for number in 0..20 {
        let record = next(&mut source).await;
        assert_eq!(support::text(&record), number.to_string());
        let Position::Partition { partition, .. } = record.position else { panic!("{:?}", record.position) };
        partitions.push(partition);
    }
    partitions.dedup();
    assert_eq!(partitions, [sink.partition_of("maps")]);
}

#[tokio::test]
async fn every_reader_sees_every_record() {
    let cluster = cluster(2);
    let mut first = cluster.source("search").await;
    let mut replica = cluster.source("search").await;
    let mut other = cluster.source("maps").await;
    let mut sink = cluster.sink().await;
    send(&mut sink, "app", "one").await;
    for source in [&mut first, &mut replica, &mut other] {
        assert_eq!(texts(source, 1).await, ["one"]);
    }
}

#[tokio::test]
async fn the_first_send_does_not_wait_for_the_producers_id() {
    let cluster = cluster(1);
    let mut sink = cluster.sink().await;
    let begin = std::time::Instant::now();
    soon(sink.send(&event("app", "one"))).await.unwrap();
    let took = begin.elapsed();
    assert!(took.as_millis() < 250, "{took:?}");
    assert_eq!(sink.wire_format(), WireFormat::BackupJson);
}

#[tokio::test]
async fn what_remains_is_counted_down_to_nothing() {
    let cluster = cluster(3);
    let mut sink = cluster.sink().await;
    for application in ["a", "b", "c", "d"] {
        send(&mut sink, application, application).await;
    }
    let mut source = cluster.source("search").await;
    for remaining in (0..=4_u64).rev() {
        assert_eq!(soon(source.remaining()).await.unwrap().total(), remaining);
        if remaining > 0 {
            next(&mut source).await;
        }
    }
    send(&mut sink, "a", "more").await;
    assert_eq!(soon(source.remaining()).await.unwrap().total(), 1);
}
