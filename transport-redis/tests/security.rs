//! Users, passwords, permissions and TLS: who may not, is told so, and no secret is shown.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

mod support;

use std::time::Duration;

use backup_tracker::{Delivery, Error, ErrorKind, EventSource, Result, Sink, StartAt};
use backup_tracker_redis::{Redis, redis};
use support::{Bench, GROUP, TOPIC, ask, events, expect, tests};

tests![
    a_wrong_password_is_denied,
    no_password_where_one_is_needed_is_denied,
    a_user_and_a_password_are_enough,
    a_user_with_the_documented_permissions_can_do_everything,
    an_observer_needs_no_permission_to_write,
    a_user_without_permission_for_the_key_is_denied,
    a_user_without_permission_for_a_command_is_denied,
    permission_that_is_taken_away_shows_and_nothing_is_sent,
    a_secret_is_never_shown,
    tls_with_the_right_authority_works,
    tls_with_an_unknown_authority_is_a_wrong_setting,
    tls_with_another_hosts_certificate_is_a_wrong_setting,
    a_client_certificate_is_shown_to_a_server_that_asks,
];

/// The rules that the crate's documentation shows for this user.
fn documented(user: &str) -> Vec<String> {
    let lines = include_str!("../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//! "));
    let begin = format!("ACL SETUSER {user} ");
    let mut lines = lines.skip_while(|line| !line.starts_with(&begin));
    let mut rules = lines.next().unwrap().to_owned();
    lines.take_while(|line| line.starts_with("    +")).for_each(|line| rules.push_str(line));
    rules.split_whitespace().skip(3).map(str::to_owned).collect()
}

/// A user with these rules, on the documentation's keys.
async fn documented_user(bench: &Bench, rules: &[String]) -> Redis {
    let words: Vec<&str> = ["ACL", "SETUSER", "documented", "reset"]
        .into_iter()
        .chain(rules.iter().map(String::as_str))
        .collect();
    let () = bench.ask(&words).await;
    bench.redis().user("documented").password("secret")
}

const SECRET: &str = "hunter2";

async fn both(redis: &Redis) -> [Result<()>; 2] {
    [redis.sink().open().await.map(drop), redis.source(GROUP).open().await.map(drop)]
}

async fn refused(redis: &Redis, kind: ErrorKind) {
    for result in both(redis).await {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!shown(&error).contains(SECRET), "{error:?}");
    }
}

fn shown(error: &Error) -> String {
    let source = std::error::Error::source(error);
    format!("{error} {error:?} {:?}", source.map(|source| format!("{source} {source:?}")))
}

async fn user(bench: &Bench, name: &str, rules: &[&str]) -> Redis {
    let words = [&["ACL", "SETUSER", name, "reset", "on", ">hunter2"], rules].concat();
    let () = bench.ask(&words).await;
    bench.redis().user(name).password(SECRET)
}

async fn a_wrong_password_is_denied() {
    let bench = Bench::start_with(&[("requirepass", "right")]).await;
    refused(&bench.redis().password(SECRET), ErrorKind::Denied).await;
    refused(&bench.redis().user("nobody").password(SECRET), ErrorKind::Denied).await;
}

async fn no_password_where_one_is_needed_is_denied() {
    let bench = Bench::start_with(&[("requirepass", "right")]).await;
    refused(&bench.redis(), ErrorKind::Denied).await;
}

async fn a_user_and_a_password_are_enough() {
    let bench = Bench::start_with(&[("requirepass", "right")]).await;
    let port = bench.server.port();
    for redis in [
        Redis::new(format!("redis://:right@127.0.0.1:{port}"), TOPIC),
        bench.redis().password("right"),
        Redis::new(format!("redis://default:wrong@127.0.0.1:{port}"), TOPIC).password("right"),
    ] {
        for result in both(&redis.create_stream()).await {
            result.unwrap();
        }
    }
}

async fn nothing_was_refused(bench: &Bench) {
    let mut refused: Vec<redis::Value> = bench.ask(&["ACL", "LOG"]).await;
    // With this the client library names itself, to servers that know it: from Redis 7.2 on.
    refused.retain(|refusal| !format!("{refusal:?}").contains("client|setinfo"));
    assert!(refused.is_empty(), "{refused:?}");
}

async fn a_user_with_the_documented_permissions_can_do_everything() {
    let bench = Bench::start().await;
    let rules = documented("maps");
    let redis = documented_user(&bench, &rules).await;
    let sent = events(3);
    let mut sink =
        redis.sink().max_length(100).wait_for_replicas(1, Duration::from_millis(1)).open().await.unwrap();
    let error = sink.send(&sent[0]).await.unwrap_err();
    assert!(error.message().contains("0 of 1 replicas"), "{error}");
    let mut sink = redis.sink().max_length(100).open().await.unwrap();
    for event in &sent[1..] {
        sink.send(event).await.unwrap();
    }
    sink.close().await.unwrap();
    // Both, as the programs of a service do.
    let mut observer = redis.observer().open().await.unwrap();
    let mut source = redis.source(GROUP).open().await.unwrap();
    source.claim("shop").await.unwrap();
    for source in [&mut source, &mut observer] {
        expect(source, &sent).await;
        // It waits, and is asked what the server is.
        assert!(tokio::time::timeout(Duration::from_millis(100), source.next()).await.is_err());
        source.commit().await.unwrap();
        assert_eq!(source.remaining().await.unwrap().total(), 0);
    }
    // Without memory it reads in another way.
    let later = events(1);
    redis.sink().open().await.unwrap().send(&later[0]).await.unwrap();
    let () = bench.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for source in [&mut source, &mut observer] {
        expect(source, &later).await;
    }
    source.close().await.unwrap();
    let () = bench.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    // Nothing of it was refused.
    nothing_was_refused(&bench).await;
    let permissions = redis.inspect(Some(GROUP)).await.unwrap();
    permissions.signed_in.unwrap();
}

async fn an_observer_needs_no_permission_to_write() {
    let bench = Bench::start().await;
    let rules = documented("operator");
    let redis = documented_user(&bench, &rules).await;
    let mut sink = bench.redis().sink().open().await.unwrap();
    let sent = events(3);
    sink.send(&sent[0]).await.unwrap();
    let mut source = redis.observer().open().await.unwrap();
    source.claim("shop").await.unwrap();
    expect(&mut source, &sent[..1]).await;
    // It waits, is woken, and says how much remains.
    let ((), sent_now) = tokio::join!(expect(&mut source, &sent[1..2]), sink.send(&sent[1]));
    sent_now.unwrap();
    sink.send(&sent[2]).await.unwrap();
    assert_eq!(source.remaining().await.unwrap().total(), 1);
    expect(&mut source, &sent[2..]).await;
    source.commit().await.unwrap();
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    nothing_was_refused(&bench).await;
    // It may do nothing else.
    assert_eq!(redis.source(GROUP).open().await.unwrap_err().kind(), ErrorKind::Denied);
    // Each of the permissions is needed, but one: without it a replica is not asked whether it hears of its primary.
    for missing in rules.iter().filter(|rule| rule.starts_with('+')) {
        let rules: Vec<String> = rules.iter().filter(|rule| *rule != missing).cloned().collect();
        let redis = documented_user(&bench, &rules).await;
        let denied = match redis.observer().start(StartAt::Latest).open().await {
            Err(error) => Some(error.kind()),
            Ok(mut source) => {
                let next = tokio::time::timeout(Duration::from_millis(500), source.next()).await;
                next.ok().and_then(|next| next.unwrap_err().cause())
            }
        };
        let expected = (missing != "+info").then_some(ErrorKind::Denied);
        assert_eq!(denied, expected, "{missing}");
    }
}

async fn a_user_without_permission_for_the_key_is_denied() {
    let bench = Bench::start().await;
    refused(&user(&bench, "stranger", &["~other*", "+@all"]).await, ErrorKind::Denied).await;
    // May read the stream and not write what stands beside it.
    refused(&user(&bench, "reader", &["%R~*", "+@all"]).await, ErrorKind::Denied).await;
}

async fn a_user_without_permission_for_a_command_is_denied() {
    let bench = Bench::start().await;
    // The first may not run a script at all; the others not what is in it.
    for rules in [&["~*", "+@stream"][..], &["~*", "+@all", "-xinfo", "-exists"], &["~*", "+eval", "+exists"]]
    {
        refused(&user(&bench, "user", rules).await, ErrorKind::Denied).await;
    }
}

async fn permission_that_is_taken_away_shows_and_nothing_is_sent() {
    let bench = Bench::start().await;
    let redis = user(&bench, "service", &["~*", "+@all"]).await;
    let mut sink = redis.sink().open().await.unwrap();
    let mut source = redis.source(GROUP).open().await.unwrap();
    let sent = events(2);
    sink.send(&sent[0]).await.unwrap();
    let () = bench.ask(&["ACL", "SETUSER", "service", "-xadd", "-xrange", "-xgroup"]).await;
    let error = sink.send(&sent[1]).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Denied, Delivery::NotSent), "{error}");
    let error = source.next().await.unwrap_err();
    assert_eq!((error.kind(), error.cause()), (ErrorKind::Unavailable, Some(ErrorKind::Denied)), "{error}");
    let () = bench.ask(&["ACL", "SETUSER", "service", "+xadd", "+xrange", "+xgroup"]).await;
    expect(&mut source, &sent[..1]).await;
    source.commit().await.unwrap();
    let length: u64 = bench.ask(&["XLEN", TOPIC]).await;
    assert_eq!(length, 1);
}

async fn a_secret_is_never_shown() {
    let urls = [
        "redis://user:hunter2@127.0.0.1:1",
        "redis://user:hunter2@127.0.0.1:no-port/0",
        "redis://user:hunter2@",
        "http://user:hunter2@127.0.0.1",
        "user:hunter2@127.0.0.1",
    ];
    for url in urls {
        let redis = Redis::new(url, TOPIC).open_timeout(std::time::Duration::from_secs(2));
        let (sink, source) = (redis.sink(), redis.source(GROUP));
        assert!(!format!("{redis:?} {sink:?} {source:?}").contains(SECRET));
        let errors = [sink.open().await.unwrap_err(), source.open().await.unwrap_err()];
        for error in errors {
            assert!(!shown(&error).contains(SECRET), "{error:?}");
        }
    }
    let redis = Redis::new("redis://127.0.0.1", TOPIC).user("user").password(SECRET);
    assert!(!format!("{redis:?}").contains(SECRET));
    let redis = redis.client_certificate("hunter2", "hunter2").ca_certificates("hunter2");
    assert!(!format!("{redis:?}").contains(SECRET));
}

/// An authority, and a certificate of it for a host.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut settings = rcgen::CertificateParams::new(Vec::new()).unwrap();
        settings.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // A name of its own: a certificate that is named like its issuer is taken for one that signed itself.
        settings.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = settings.self_signed(&key).unwrap();
        Self { certificate, issuer: rcgen::Issuer::new(settings, key) }
    }

    /// The certificate and the key, as PEM.
    fn issue(&self, host: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let settings = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        (settings.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server with TLS, and its URL.
async fn encrypted(authority: &Authority, host: &str, asks: &str) -> (Bench, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.issue(host);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let authority = file("ca.pem", &authority.certificate.pem());
    let (certificate, key) = (file("cert.pem", &certificate), file("key.pem", &key));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let bench = Bench::start_with(&[
        ("tls-port", &port),
        ("tls-cert-file", &certificate),
        ("tls-key-file", &key),
        ("tls-ca-cert-file", &authority),
        ("tls-auth-clients", asks),
    ])
    .await;
    let pong: String = ask(&bench.server.url(), &["PING"]).await;
    assert_eq!(pong, "PONG");
    (bench, format!("rediss://127.0.0.1:{port}"), folder)
}

async fn tls_with_the_right_authority_works() {
    let authority = Authority::new();
    let (_bench, url, _folder) = encrypted(&authority, "127.0.0.1", "no").await;
    let redis = Redis::new(url, TOPIC).create_stream().ca_certificates(authority.certificate.pem());
    let sent = events(2);
    let mut sink = redis.sink().open().await.unwrap();
    let mut source = redis.source(GROUP).open().await.unwrap();
    for event in &sent {
        sink.send(event).await.unwrap();
    }
    expect(&mut source, &sent).await;
    source.commit().await.unwrap();
}

async fn tls_with_an_unknown_authority_is_a_wrong_setting() {
    let (_bench, url, _folder) = encrypted(&Authority::new(), "127.0.0.1", "no").await;
    let other = Authority::new().certificate.pem();
    refused(&Redis::new(&*url, TOPIC).create_stream().ca_certificates(other), ErrorKind::Config).await;
    refused(&Redis::new(&*url, TOPIC).create_stream().ca_certificates("no PEM"), ErrorKind::Config).await;
}

async fn tls_with_another_hosts_certificate_is_a_wrong_setting() {
    let authority = Authority::new();
    let (_bench, url, _folder) = encrypted(&authority, "somebody.example", "no").await;
    let redis = Redis::new(url, TOPIC).create_stream().ca_certificates(authority.certificate.pem());
    refused(&redis, ErrorKind::Config).await;
}

async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let authority = Authority::new();
    let (_bench, url, _folder) = encrypted(&authority, "127.0.0.1", "yes").await;
    let redis = Redis::new(url, TOPIC).create_stream().ca_certificates(authority.certificate.pem());
    for result in both(&redis).await {
        result.unwrap_err();
    }
    let (certificate, key) = authority.issue("client");
    for result in both(&redis.client_certificate(certificate, key)).await {
        result.unwrap();
    }
}
