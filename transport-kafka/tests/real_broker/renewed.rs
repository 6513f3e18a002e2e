//! Credentials that are renewed while a sink is at work (K7).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backup_tracker::{Error, ErrorKind, Secret, Sink};
use backup_tracker_kafka::{Kafka, KafkaSink, OauthToken};
use uuid::Uuid;

use crate::Shared;
use crate::cases::{Needs, cases};
use crate::secured::{MUTUAL, OAUTH, SASL, fails, password, says, works};
use crate::support::{event, send, soon};

cases! {
    Shared, Needs::Own;
    a_password_that_was_renewed_is_used_without_a_restart,
    a_certificate_that_was_renewed_is_used_without_a_restart,
    tokens_of_a_short_life_are_renewed,
    without_tokens_the_mechanism_that_needs_them_is_a_wrong_setting,
}

fn name() -> String {
    format!("test-{}", Uuid::new_v4())
}

/// Sends until the broker refuses the client.
async fn refused(sink: &mut KafkaSink) -> Error {
    soon(async {
        loop {
            match sink.send(&event("app", "again")).await {
                Err(error) if error.kind() == ErrorKind::Denied => break error,
                Err(error) => assert!(error.is_transient(), "{error}"),
                Ok(()) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

async fn a_password_that_was_renewed_is_used_without_a_restart(shared: Arc<Shared>) {
    let (topic, secured) = (name(), shared.secured());
    secured.create(&topic).await;
    let file = secured.file("renewed.password");
    std::fs::write(&file, password("renewed")).unwrap();
    secured.may("--add", &["--operation", "All", "--topic", &topic], "renewed").await;
    // A listener that asks for the password again within three seconds.
    let kafka = secured
        .through(SASL, &topic)
        .property("sasl.mechanism", "SCRAM-SHA-512")
        .property("sasl.username", "renewed")
        .secret_property("sasl.password", Secret::file(&file));
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    send(&mut sink, "app", "before").await;
    secured.set_password("SCRAM-SHA-512", "renewed", "another").await;
    says(&refused(&mut sink).await, &["`sasl.password`"]);
    std::fs::write(&file, "another\n").unwrap();
    send(&mut sink, "app", "after").await;
}

/// Long enough to open a sink with it on a busy machine.
const LIFETIME: Duration = Duration::from_secs(10);
/// By when a certificate has expired, and a client has met that.
const EXPIRED: Duration = Duration::from_secs(60);

async fn a_certificate_that_was_renewed_is_used_without_a_restart(shared: Arc<Shared>) {
    let (topic, secured) = (name(), shared.secured());
    secured.create(&topic).await;
    // Idle connections are closed, so that it has to show the certificate again.
    let kafka = secured
        .through(MUTUAL, &topic)
        .property("ssl.ca.location", secured.file("ca.pem"))
        .property("ssl.certificate.location", secured.file("renewed.pem"))
        .property("ssl.key.location", secured.file("renewed.key"))
        .property("connections.max.idle.ms", "300");
    secured.may("--add", &["--operation", "All", "--topic", &topic], "CN=renewed").await;
    secured.issue("renewed", Some(LIFETIME));
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    let refused = async {
        loop {
            // A connection that is in use is not asked again.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            match sink.send(&event("app", "again")).await {
                Err(error) if error.kind() == ErrorKind::Denied => break error,
                Err(error) => assert!(error.is_transient(), "{error}"),
                Ok(()) => {}
            }
        }
    };
    let error = tokio::time::timeout(EXPIRED, refused).await.unwrap();
    says(&error, &["certificate"]);
    secured.issue("renewed", None);
    // On a busy machine a connection may be closed before it was used.
    soon(async {
        while let Err(error) = sink.send(&event("app", "after")).await {
            assert!(error.is_transient(), "{error}");
        }
    })
    .await;
}

/// A token without a signature, which a broker takes that was told nothing better.
fn token(lifetime: Duration) -> OauthToken {
    let now = SystemTime::now();
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let claims = format!(
        r#"{{"sub":"root","iat":{},"exp":{}}}"#,
        seconds(now - Duration::from_secs(60)),
        seconds(now + lifetime)
    );
    let token = format!("{}.{}.", base64(br#"{"alg":"none"}"#), base64(claims.as_bytes()));
    OauthToken::new(token, "root", now + lifetime)
}

/// As URLs have it, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|at| char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63])));
    }
    text
}

async fn tokens_of_a_short_life_are_renewed(shared: Arc<Shared>) {
    const LIFETIME: Duration = Duration::from_secs(4);
    let (topic, secured) = (name(), shared.secured());
    secured.create(&topic).await;
    let asked = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&asked);
    let ask = move || {
        counting.fetch_add(1, Ordering::SeqCst);
        Ok(token(LIFETIME))
    };
    let through =
        |ask: fn() -> backup_tracker::Result<OauthToken>| secured.through(OAUTH, &topic).oauth_token(ask);
    works(&through(|| Ok(token(LIFETIME)))).await;

    let kafka: Kafka = secured.through(OAUTH, &topic).oauth_token(ask);
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    let before = asked.load(Ordering::SeqCst);
    let end = std::time::Instant::now() + 3 * LIFETIME;
    while std::time::Instant::now() < end {
        send(&mut sink, "app", "again").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(asked.load(Ordering::SeqCst) >= before + 2, "{asked:?}");

    let expired =
        through(|| Ok(OauthToken::new(token(Duration::ZERO).token, "root", token(LIFETIME).expires)));
    says(&fails(ErrorKind::Denied, expired.sink().open()).await, &["uthentication"]);
    let none = through(|| Err(Error::new(ErrorKind::Denied, "ask for a token", "the vault is closed")));
    says(&fails(ErrorKind::Denied, none.sink().open()).await, &["the vault is closed"]);
    says(&fails(ErrorKind::Denied, none.source("search").open()).await, &["the vault is closed"]);
}

async fn without_tokens_the_mechanism_that_needs_them_is_a_wrong_setting(shared: Arc<Shared>) {
    let kafka = shared.secured().through(SASL, "guarded").property("sasl.mechanism", "OAUTHBEARER");
    says(&fails(ErrorKind::Config, kafka.sink().open()).await, &["Kafka::oauth_token"]);
    says(&fails(ErrorKind::Config, kafka.observer().open()).await, &["Kafka::oauth_token"]);
}
