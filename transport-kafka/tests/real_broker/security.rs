//! Who is let in and with what, which permissions are needed, and what it looks like when something is missing.

use std::sync::Arc;

use backup_tracker::BackupState::{BackingUp, Ready};
use backup_tracker::{
    BackupTracker, ErrorKind, EventSource, PrimaryBackupTracker, SecondaryBackupTracker, Sink,
};
use backup_tracker_kafka::{CreateTopic, OauthToken};
use uuid::Uuid;

use crate::Shared;
use crate::captured;
use crate::cases::{Needs, cases};
use crate::secured::{MECHANISMS, MUTUAL, SASL, SASL_TLS, TLS, fails, password, says, with_password, works};
use crate::support::{event, send, soon, text, texts};

cases! {
    Shared, Needs::Own;
    every_mechanism_lets_in_with_the_right_password,
    a_wrong_password_and_an_unknown_user_are_denied_and_named,
    a_mechanism_that_the_broker_does_not_offer_is_denied_and_named,
    tls_works_with_an_authority_that_is_trusted_and_with_no_other,
    a_broker_under_a_name_that_its_certificate_does_not_have_is_denied,
    mutual_tls_needs_the_clients_certificate,
    a_password_works_over_tls,
    the_documented_permissions_are_enough,
    without_write_a_sink_is_denied,
    without_read_a_source_is_denied,
    without_the_group_a_source_is_denied_and_an_observer_is_not,
    without_create_a_topic_is_not_created,
    a_rogue_writer_changes_nobodys_state,
    nothing_secret_is_logged_at_any_level,
}

fn name() -> String {
    format!("test-{}", Uuid::new_v4())
}

async fn every_mechanism_lets_in_with_the_right_password(shared: Arc<Shared>) {
    for mechanism in MECHANISMS {
        let topic = name();
        shared.secured().create(&topic).await;
        let kafka = shared.secured().through(SASL, &topic);
        works(&with_password(kafka, mechanism, "root", &password("root"))).await;
    }
}

async fn a_wrong_password_and_an_unknown_user_are_denied_and_named(shared: Arc<Shared>) {
    for mechanism in MECHANISMS {
        for (user, password) in [("root", "hunter2"), ("nobody", "hunter2")] {
            let kafka = with_password(shared.secured().through(SASL, "guarded"), mechanism, user, password);
            let sink = fails(ErrorKind::Denied, kafka.sink().open()).await;
            let source = fails(ErrorKind::Denied, kafka.source("search").open()).await;
            for error in [sink, source] {
                says(&error, &["`sasl.password`", "guarded", "uthentication"]);
                assert!(!format!("{error} {error:?} {kafka:?}").contains("hunter2"));
            }
        }
    }
}

async fn a_mechanism_that_the_broker_does_not_offer_is_denied_and_named(shared: Arc<Shared>) {
    let expires = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    let ask = move || Ok(OauthToken::new("a.token.", "root", expires));
    let kafka = shared.secured().through(SASL, "guarded").oauth_token(ask);
    let error = fails(ErrorKind::Denied, kafka.sink().open()).await;
    says(&error, &["`sasl.mechanism`", "SCRAM-SHA-256"]);
}

async fn tls_works_with_an_authority_that_is_trusted_and_with_no_other(shared: Arc<Shared>) {
    let (topic, secured) = (name(), shared.secured());
    secured.create(&topic).await;
    let kafka = secured.through(TLS, &topic);
    works(&kafka.clone().property("ssl.ca.location", secured.file("ca.pem"))).await;
    for untrusting in [kafka.clone().property("ssl.ca.location", secured.file("stranger.pem")), kafka] {
        let sink = fails(ErrorKind::Denied, untrusting.sink().open()).await;
        let source = fails(ErrorKind::Denied, untrusting.source("search").open()).await;
        for error in [sink, source] {
            says(&error, &["`ssl.ca.location`", "certificate verify failed"]);
        }
    }
}

async fn a_broker_under_a_name_that_its_certificate_does_not_have_is_denied(shared: Arc<Shared>) {
    let secured = shared.secured();
    let kafka = secured.at("localhost", TLS, "guarded").property("ssl.ca.location", secured.file("ca.pem"));
    let sink = fails(ErrorKind::Denied, kafka.sink().open()).await;
    let source = fails(ErrorKind::Denied, kafka.source("search").open()).await;
    for error in [sink, source] {
        says(&error, &["the name by which the broker is addressed", "localhost"]);
    }
}

async fn mutual_tls_needs_the_clients_certificate(shared: Arc<Shared>) {
    let (topic, secured) = (name(), shared.secured());
    secured.create(&topic).await;
    let kafka = secured.through(MUTUAL, &topic).property("ssl.ca.location", secured.file("ca.pem"));
    let with = |certificate: &str| {
        kafka
            .clone()
            .property("ssl.certificate.location", secured.file(&format!("{certificate}.pem")))
            .property("ssl.key.location", secured.file(&format!("{certificate}.key")))
    };
    works(&with("client")).await;
    for stranger in [kafka.clone(), with("impostor")] {
        let sink = fails(ErrorKind::Denied, stranger.sink().open()).await;
        let source = fails(ErrorKind::Denied, stranger.source("search").open()).await;
        for error in [sink, source] {
            says(&error, &["this client's own certificate"]);
        }
    }
}

async fn a_password_works_over_tls(shared: Arc<Shared>) {
    let (topic, secured) = (name(), shared.secured());
    secured.create(&topic).await;
    let kafka = secured.through(SASL_TLS, &topic).property("ssl.ca.location", secured.file("ca.pem"));
    works(&with_password(kafka.clone(), "SCRAM-SHA-512", "root", &password("root"))).await;
    let kafka = with_password(kafka, "SCRAM-SHA-512", "root", "hunter2");
    says(&fails(ErrorKind::Denied, kafka.sink().open()).await, &["`sasl.password`"]);
}

async fn the_documented_permissions_are_enough(shared: Arc<Shared>) {
    let secured = shared.secured();
    secured.create("guarded").await;
    let reader = secured.as_user("reader", "guarded");
    let group = format!("search-{}", name());
    let mut source = soon(reader.source(&group).open()).await.unwrap();
    soon(source.claim("app")).await.unwrap();
    let mut sink = soon(secured.as_user("writer", "guarded").sink().open()).await.unwrap();
    let word = name();
    send(&mut sink, "app", &word).await;
    while texts(&mut source, 1).await != [word.clone()] {}
    soon(source.commit()).await.unwrap();
    soon(source.remaining()).await.unwrap();
    drop(source);
    assert!(soon(reader.source(&group).open()).await.unwrap().resumed());
}

async fn without_write_a_sink_is_denied(shared: Arc<Shared>) {
    let secured = shared.secured();
    secured.create("guarded").await;
    for user in ["looker", "reader"] {
        let opened = soon(secured.as_user(user, "guarded").sink().open()).await;
        // The broker tells when it is asked for a producer's id, or at the first event.
        let error = match opened {
            Err(error) => error,
            Ok(mut sink) => soon(sink.send(&event("app", "one"))).await.unwrap_err(),
        };
        eprintln!("{error}");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        says(&error, &["`Write` on the topic `guarded`"]);
    }
    // Who may not even know that the topic is there.
    let error = fails(ErrorKind::Denied, secured.as_user("looker", "hidden").sink().open()).await;
    says(&error, &["`Write` on the topic `hidden`"]);
}

async fn without_read_a_source_is_denied(shared: Arc<Shared>) {
    let secured = shared.secured();
    secured.create("guarded").await;
    let error =
        fails(ErrorKind::Denied, secured.as_user("topicless", "guarded").source("search").open()).await;
    says(&error, &["`Read` on the topic `guarded`"]);
    let error =
        fails(ErrorKind::Denied, secured.as_user("topicless", "hidden").source("search").open()).await;
    says(&error, &["`Read` on the topic `hidden`"]);
    let error = fails(ErrorKind::Denied, secured.as_user("looker", "guarded").observer().open()).await;
    says(&error, &["`Read` on the topic `guarded`"]);
}

async fn without_the_group_a_source_is_denied_and_an_observer_is_not(shared: Arc<Shared>) {
    let secured = shared.secured();
    secured.create("guarded").await;
    let kafka = secured.as_user("groupless", "guarded");
    let error = fails(ErrorKind::Denied, kafka.source("search").open()).await;
    says(&error, &["`Read` on the group `search`"]);
    let mut observer = soon(kafka.observer().open()).await.unwrap();
    let mut sink = soon(secured.as_user("writer", "guarded").sink().open()).await.unwrap();
    send(&mut sink, "app", "seen").await;
    while text(&soon(observer.next()).await.unwrap().unwrap()) != "seen" {}
}

async fn without_create_a_topic_is_not_created(shared: Arc<Shared>) {
    let topic = name();
    let kafka = shared.secured().as_user("writer", &topic).create_topic(CreateTopic::new(1, 1));
    let error = fails(ErrorKind::Denied, kafka.sink().open()).await;
    says(&error, &[&format!("on the topic `{topic}`")]);
}

async fn a_rogue_writer_changes_nobodys_state(shared: Arc<Shared>) {
    let secured = shared.secured();
    secured.create("guarded").await;
    let application = name();
    let source =
        soon(secured.as_user("reader", "guarded").source(format!("search-{application}")).open()).await;
    let secondary = SecondaryBackupTracker::builder(&application, source.unwrap()).build().unwrap();
    let sink = soon(secured.as_user("writer", "guarded").sink().open()).await.unwrap();
    let primary = PrimaryBackupTracker::builder(&application, sink).build().unwrap();
    soon(primary.startup_complete()).await.unwrap();
    soon(secondary.watch().wait_for(|state| *state == Ready)).await.unwrap();

    // A program that knows the protocol, the topic and the application, as one that may only read.
    for user in ["looker", "reader"] {
        if let Ok(sink) = soon(secured.as_user(user, "guarded").sink().open()).await {
            let rogue = PrimaryBackupTracker::builder(&application, sink).build().unwrap();
            let error = soon(rogue.start_backup()).await.unwrap_err();
            eprintln!("{error}");
            assert_ne!(rogue.state(), BackingUp);
        }
    }
    // What the primary says next is what the secondary hears next.
    soon(primary.start_restore()).await.unwrap();
    soon(primary.finish_restore()).await.unwrap();
    soon(async {
        while secondary.stats().applied < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    let stats = secondary.stats();
    assert_eq!((stats.applied, stats.gaps, stats.forbidden), (3, 0, 0), "{stats:?}");
    assert_eq!(secondary.state(), Ready);
}

async fn nothing_secret_is_logged_at_any_level(shared: Arc<Shared>) {
    let (topic, secured) = (name(), shared.secured());
    secured.create(&topic).await;
    let key = std::fs::read_to_string(secured.file("client.key")).unwrap();
    let certificate = std::fs::read_to_string(secured.file("client.pem")).unwrap();
    let ca = std::fs::read_to_string(secured.file("ca.pem")).unwrap();
    let mut shown = String::new();
    for mechanism in MECHANISMS {
        for password in [password("root"), "not-the-secret-of-root".to_owned()] {
            let kafka = with_password(secured.through(SASL, &topic), mechanism, "root", &password);
            let kafka = kafka.property("debug", "all");
            shown += &format!("{kafka:?} {:?} {:?}", kafka.sink(), kafka.source("search"));
            match soon(kafka.sink().open()).await {
                Ok(mut sink) => send(&mut sink, "app", "one").await,
                Err(error) => shown += &format!("{error} {error:?}"),
            }
            match soon(kafka.source("search").open()).await {
                Ok(source) => drop(source),
                Err(error) => shown += &format!("{error} {error:?}"),
            }
        }
    }
    let mutual = secured
        .through(MUTUAL, &topic)
        .property("debug", "all")
        .property("ssl.ca.pem", ca)
        .property("ssl.certificate.pem", certificate)
        .property("ssl.key.pem", &key);
    works(&mutual).await;
    shown += &format!("{mutual:?}");
    let broken = mutual.property("ssl.key.pem", key.replace("BEGIN", "BEGONE"));
    let error = soon(broken.sink().open()).await.unwrap_err();
    shown += &format!("{error} {error:?}");

    let log = captured::text();
    // The log that is looked through is the one that librdkafka writes when it is asked for everything.
    for word in ["SASL", "SSL", "librdkafka", &topic] {
        assert!(log.contains(word), "{word}");
    }
    let line = key.lines().nth(1).unwrap();
    // As it goes over the wire with PLAIN, and as text would be encoded.
    for secret in [&*password("root"), "not-the-secret-of-root", line, "dGhlLXNlY3JldC1vZi1yb290"] {
        for text in [&log, &shown] {
            if let Some(at) = text.find(secret) {
                let from = text[..at].rfind('\n').map_or(0, |line| line + 1);
                panic!("{secret:?} in {:?}", &text[from..at + secret.len()]);
            }
        }
    }
}
