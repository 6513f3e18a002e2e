//! Records that no sink of ours would write.

mod support;

use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::message::{Header, OwnedHeaders};
use backup_tracker_kafka::rdkafka::producer::{FutureProducer, FutureRecord};
use support::{cluster, next};
use uuid::Uuid;

#[tokio::test]
async fn anything_comes_through() {
    let cluster = cluster(1);
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &cluster.servers).create().unwrap();
    let id = Uuid::new_v4();
    let keys: [&[u8]; 4] = [
        b"not a UUID",
        &[0xff; 36],
        id.simple().to_string().leak().as_bytes(),
        id.to_string().to_uppercase().leak().as_bytes(),
    ];
    for key in keys {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "null", value: None::<&[u8]> })
            .insert(Header { key: "ünï", value: Some(&[0_u8, 1]) });
        let record = FutureRecord::<[u8], [u8]>::to("backups").key(key).headers(headers);
        producer.send_result(record).map_err(|(error, _)| error).unwrap().await.unwrap().unwrap();
    }
    producer
        .send_result(FutureRecord::<[u8], [u8]>::to("backups").payload(b""))
        .map_err(|(error, _)| error)
        .unwrap()
        .await
        .unwrap()
        .unwrap();

    let mut source = cluster.source("search").await;
    for key in [None, None, None, Some(id)] {
        let record = next(&mut source).await;
        assert_eq!(record.key, key);
        assert_eq!(record.payload, None);
        let headers: Vec<_> =
            record.headers.iter().map(|header| (&*header.name, &header.value[..])).collect();
        assert_eq!(headers, [("null", &[][..]), ("ünï", &[0, 1][..])]);
    }
    let record = next(&mut source).await;
    assert_eq!(record.key, None);
    assert_eq!(record.payload.as_deref(), Some(&[][..]));
}
