//! The features of this crate are in the librdkafka that is linked, and no others.

mod support;

use backup_tracker_kafka::rdkafka::ClientConfig;
use support::{cluster, send, soon, texts};

#[test]
fn each_feature_is_in_librdkafka() {
    let config = ClientConfig::new().create_native_config().unwrap();
    let built_in = config.get("builtin.features").unwrap();
    let has = |name: &str| built_in.split(',').any(|feature| feature.trim() == name);
    let tls = cfg!(feature = "ssl");
    for (name, expected) in [
        ("ssl", tls),
        ("sasl_scram", tls),
        ("sasl_oauthbearer", tls),
        ("sasl_gssapi", cfg!(feature = "gssapi")),
        ("zstd", cfg!(feature = "zstd")),
        ("sasl_plain", true),
        ("gzip", true),
    ] {
        assert_eq!(has(name), expected, "{name} in {built_in}");
    }
}

#[tokio::test]
async fn events_may_be_compressed() {
    for codec in ["gzip", "lz4", "snappy", if cfg!(feature = "zstd") { "zstd" } else { "gzip" }] {
        let cluster = cluster(1);
        let sink = cluster.kafka().property("compression.type", codec).sink().open();
        let mut sink = soon(sink).await.unwrap();
        let payload = "x".repeat(5000);
        send(&mut sink, "app", &payload).await;
        let mut source = cluster.source("search").await;
        assert_eq!(texts(&mut source, 1).await, [payload], "{codec}");
    }
}
