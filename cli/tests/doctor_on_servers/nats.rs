//! `doctor` over real NATS.

use backup_tracker::BoxSource;
use backup_tracker_nats::async_nats::jetstream::{self, stream};
use backup_tracker_nats::{CreateStream, Nats};
use backup_tracker_test_servers as servers;

use crate::{Case, TOPIC, block_on, examine, expect, use_it};

pub(crate) const CASES: &[Case<servers::Nats>] = &[
    ("all is well", all_is_well),
    ("nothing is made", nothing_is_made),
    ("a stream that forgets", a_stream_that_forgets),
    ("a stream that opening refuses, or that was emptied", a_stream_that_opening_refuses_or_that_was_emptied),
    ("a server that is away", a_server_that_is_away),
];

async fn used(server: &servers::Nats, create: CreateStream) {
    let nats = Nats::new(server.url(), TOPIC).create_stream(create);
    let source = BoxSource::new(nats.source("search").open().await.unwrap());
    use_it(nats.sink().open().await.unwrap(), Some(source)).await;
}

fn all_is_well(server: servers::Nats) {
    block_on(used(&server, CreateStream::new(1)));
    let findings = examine("nats", &server.url(), &["--group", "search", "--application", "shop"]);
    expect(
        &findings,
        &[
            ("broker", "ok"),
            ("stream", "ok"),
            ("retention", "ok"),
            ("retention_size", "ok"),
            ("discard", "ok"),
            ("replication", "warning"),
            ("storage", "ok"),
            ("duplicates", "ok"),
            ("event_size", "ok"),
            ("write", "unknown"),
            ("bucket", "warning"),
            ("group", "ok"),
            ("read", "ok"),
            ("application", "ok"),
            ("lag", "ok"),
            ("clock", "ok"),
        ],
    );
    assert_eq!(findings["lag"].1, "0 events behind the end");
    let findings = examine("nats", &server.url(), &["--group", "serach"]);
    expect(&findings, &[("group", "warning"), ("lag", "unknown")]);
}

fn nothing_is_made(server: servers::Nats) {
    for _ in 0..2 {
        let findings = examine("nats", &server.url(), &["--group", "search", "--create-topic"]);
        expect(
            &findings,
            &[("broker", "ok"), ("stream", "problem"), ("bucket", "problem"), ("read", "unknown")],
        );
    }
}

fn a_stream_that_forgets(server: servers::Nats) {
    let config = stream::Config {
        num_replicas: 1,
        max_age: std::time::Duration::from_secs(3600),
        duplicate_window: std::time::Duration::from_secs(1),
        max_messages: 50,
        max_message_size: 1000,
        discard: stream::DiscardPolicy::New,
        storage: stream::StorageType::Memory,
        ..stream::Config::default()
    };
    block_on(used(&server, CreateStream::native(config)));
    let findings = examine("nats", &server.url(), &["--group", "search"]);
    expect(
        &findings,
        &[
            ("stream", "ok"),
            ("retention", "warning"),
            ("retention_size", "warning"),
            ("discard", "warning"),
            ("storage", "warning"),
            ("duplicates", "warning"),
            ("event_size", "warning"),
            ("bucket", "warning"),
        ],
    );
    expect(&examine("nats", &server.url(), &["--absence", "30m"]), &[("retention", "ok")]);
}

fn a_stream_that_opening_refuses_or_that_was_emptied(server: servers::Nats) {
    block_on(async {
        used(&server, CreateStream::new(1)).await;
        let nats = Nats::new(server.url(), TOPIC);
        use_it(nats.sink().open().await.unwrap(), None).await;
        use_it(nats.sink().open().await.unwrap(), None).await;
        let client = backup_tracker_nats::async_nats::connect(server.url()).await.unwrap();
        let mut stream = jetstream::new(client).get_stream(TOPIC).await.unwrap();
        stream.purge().await.unwrap();
        let findings = examine("nats", &server.url(), &["--group", "search"]);
        expect(&findings, &[("stream", "ok"), ("group", "problem")]);

        let mut config = stream.info().await.unwrap().config.clone();
        config.subjects = vec!["elsewhere".to_owned()];
        let client = backup_tracker_nats::async_nats::connect(server.url()).await.unwrap();
        jetstream::new(client).update_stream(&config).await.unwrap();
    });
    let findings = examine("nats", &server.url(), &[]);
    expect(&findings, &[("stream", "problem"), ("read", "unknown")]);
}

fn a_server_that_is_away(mut server: servers::Nats) {
    server.kill().unwrap();
    let findings = examine("nats", &server.url(), &["--timeout", "2s", "--group", "search"]);
    assert!(
        findings
            .iter()
            .all(|(check, (verdict, _))| verdict == if check == "broker" { "problem" } else { "unknown" })
    );
}
