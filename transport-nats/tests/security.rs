//! Who may sign in and with what, which permissions are needed, and what it looks like when one is missing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use backup_tracker::{Delivery, ErrorKind, EventSource, Sink};
use backup_tracker_nats::{CreateStream, Nats, async_nats};
use backup_tracker_test_servers::Nats as Server;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use serde_json::json;
use support::{Reconfigure, SOON, cases, event, fails, jwt, next_at_last, nothing, pause, send, soon};
use tempfile::TempDir;

cases! {
    user_and_password_let_in_and_nothing_else_does,
    a_token_lets_in_and_nothing_else_does,
    a_credentials_file_lets_in_and_another_ones_does_not,
    the_documented_permissions_are_enough,
    an_observer_needs_no_permission_to_write,
    a_missing_permission_is_denied_and_named,
    an_inbox_that_may_not_be_subscribed_to_is_denied_and_named,
    a_permission_that_is_taken_away_shows_at_the_next_commit_and_may_be_given_back,
    tls_works_with_an_authority_that_is_trusted_and_with_no_other,
    tls_on_both_sides_needs_the_clients_certificate,
    debug_and_errors_show_no_secret,
}

fn nats(server: &Server) -> Nats {
    let nats = Nats::new(server.url(), "backups").create_stream(CreateStream::new(1));
    nats.open_timeout(Duration::from_secs(5))
}

async fn works(nats: &Nats) {
    let mut source = soon(nats.source("g").open()).await.unwrap();
    let mut sink = soon(nats.sink().open()).await.unwrap();
    let key = send(&mut sink, "shop").await;
    while soon(source.next()).await.unwrap().unwrap().key != Some(key) {}
    source.commit().await.unwrap();
}

async fn is_denied(nats: &Nats) {
    fails(SOON, ErrorKind::Denied, nats.sink().open()).await;
    fails(SOON, ErrorKind::Denied, nats.source("g").open()).await;
}

async fn user_and_password_let_in_and_nothing_else_does() {
    let server = Server::start_with("authorization { user: tracker, password: sesame }").unwrap();
    works(&nats(&server).user_and_password("tracker", "sesame")).await;
    let in_the_address = |text: &str| {
        let url = server.url().replace("nats://", &format!("nats://{text}@"));
        Nats::new(url, "backups").create_stream(CreateStream::new(1))
    };
    works(&in_the_address("tracker:sesame")).await;
    works(&in_the_address("tr%61cker:sesam%65")).await;
    is_denied(&in_the_address("tracker:wrong")).await;
    // What is set wins over what an address holds.
    works(&in_the_address("tracker:wrong").user_and_password("tracker", "sesame")).await;
    is_denied(&nats(&server).user_and_password("tracker", "wrong")).await;
    is_denied(&nats(&server).user_and_password("somebody", "sesame")).await;
    is_denied(&nats(&server).token("sesame")).await;
    is_denied(&nats(&server)).await;
}

async fn a_token_lets_in_and_nothing_else_does() {
    let server = Server::start_with("authorization { token: sesame }").unwrap();
    works(&nats(&server).token("sesame")).await;
    works(&Nats::new(server.url().replace("nats://", "nats://sesame@"), "backups")).await;
    is_denied(&nats(&server).token("wrong")).await;
    is_denied(&nats(&server)).await;
}

async fn a_credentials_file_lets_in_and_another_ones_does_not() {
    let (configuration, account) = jwt::operator();
    let server = Server::start_with(&configuration).unwrap();
    let folder = TempDir::new().unwrap();
    works(&nats(&server).credentials_file(jwt::credentials(folder.path(), &account, "tracker", None))).await;
    let stranger = jwt::credentials(folder.path(), &KeyPair::new_account(), "stranger", None);
    is_denied(&nats(&server).credentials_file(stranger)).await;
    is_denied(&nats(&server)).await;
    let garbage = folder.path().join("garbage.creds");
    std::fs::write(&garbage, "no credentials").unwrap();
    let open = nats(&server).credentials_file(garbage).sink().open();
    fails(SOON, ErrorKind::Config, open).await;
}

/// The permissions that the crate's documentation lists, for stream `backups` and bucket `backups_positions`.
const PRIMARY: [&str; 2] = ["$JS.API.STREAM.INFO.backups", "backups.*"];
const SECONDARY: [&str; 8] = [
    "$JS.API.STREAM.INFO.backups",
    "$JS.API.STREAM.MSG.GET.backups",
    "$JS.API.CONSUMER.CREATE.backups.>",
    "$JS.API.CONSUMER.MSG.NEXT.backups.>",
    "$JS.API.CONSUMER.DELETE.backups.*",
    "$JS.API.STREAM.INFO.KV_backups_positions",
    "$JS.API.STREAM.MSG.GET.KV_backups_positions",
    "$KV.backups_positions.backups.*",
];

/// What an observer needs of it.
const OBSERVER: [&str; 5] = *SECONDARY.first_chunk().unwrap();

/// A server with an administrator, and users with what they may publish.
async fn with_users(users: &[(&str, &[&str])]) -> Server {
    let user = |(name, publish): &(&str, &[&str])| {
        let publish = json!(publish).to_string();
        format!(
            "{{ user: {name}, password: p, permissions: {{ publish: {publish}, subscribe: \"_INBOX.>\" }} }}"
        )
    };
    let users: Vec<_> = users.iter().map(user).collect();
    let configuration =
        format!("authorization {{ users: [ {{ user: admin, password: p }}, {} ] }}", users.join(", "));
    let server = Server::start_with(&configuration).unwrap();
    works(&nats(&server).user_and_password("admin", "p")).await;
    server
}

fn as_user(server: &Server, user: &str) -> Nats {
    Nats::new(server.url(), "backups").user_and_password(user, "p").open_timeout(Duration::from_secs(2))
}

async fn the_documented_permissions_are_enough() {
    let server = with_users(&[("primary", &PRIMARY), ("secondary", &SECONDARY)]).await;
    let mut sink = as_user(&server, "primary").sink().open().await.unwrap();
    let mut source = as_user(&server, "secondary").source("g").open().await.unwrap();
    source.claim("shop").await.unwrap();
    let key = send(&mut sink, "shop").await;
    while soon(source.next()).await.unwrap().unwrap().key != Some(key) {}
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    source.commit().await.unwrap();
    source.close().await.unwrap();
    let mut source = as_user(&server, "secondary").source("g").open().await.unwrap();
    assert!(source.resumed());
    nothing(&mut source).await;
}

async fn an_observer_needs_no_permission_to_write() {
    let server = with_users(&[("primary", &PRIMARY), ("operator", &OBSERVER)]).await;
    let operator = as_user(&server, "operator");
    let mut source = operator.observer().open().await.unwrap();
    source.claim("shop").await.unwrap();
    let mut sink = as_user(&server, "primary").sink().open().await.unwrap();
    let key = send(&mut sink, "shop").await;
    while soon(source.next()).await.unwrap().unwrap().key != Some(key) {}
    assert_eq!(source.remaining().await.unwrap().total(), 0);
    source.commit().await.unwrap();
    source.close().await.unwrap();
    fails(SOON, ErrorKind::Denied, operator.source("g").open()).await;
}

async fn a_missing_permission_is_denied_and_named() {
    // Closing does without.
    let needed: Vec<_> = SECONDARY.iter().filter(|subject| !subject.contains("DELETE")).collect();
    let name = |number: usize| format!("without{number}");
    let names: Vec<_> = (0..needed.len()).map(name).collect();
    let lists: Vec<Vec<&str>> = needed
        .iter()
        .map(|missing| SECONDARY.iter().copied().filter(|subject| subject != *missing).collect())
        .collect();
    let mut users: Vec<(&str, &[&str])> =
        names.iter().zip(&lists).map(|(name, list)| (&**name, &**list)).collect();
    users.push(("reader", &PRIMARY[..1]));
    users.push(("writer", &PRIMARY[1..]));
    let server = with_users(&users).await;

    for (name, missing) in names.iter().zip(needed) {
        let opening = as_user(&server, name).source("new").contact_time(Duration::from_secs(2)).open().await;
        let error = match opening {
            Err(error) => error,
            Ok(mut source) => {
                let error = if missing.contains("MSG.GET") {
                    fails(SOON, ErrorKind::Unavailable, source.remaining()).await
                } else {
                    fails(SOON, ErrorKind::Unavailable, source.next()).await
                };
                assert_eq!(error.cause(), Some(ErrorKind::Denied), "{missing}: {error}");
                let stem = missing.trim_end_matches(['*', '>']);
                assert!(error.message().contains(stem), "{missing}: {error}");
                continue;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Denied, "{missing}: {error}");
        let stem = missing.trim_end_matches(['*', '>']);
        assert!(error.message().contains(stem), "{missing}: {error}");
    }

    let error = fails(SOON, ErrorKind::Denied, as_user(&server, "writer").sink().open()).await;
    assert!(error.message().contains("STREAM.INFO.backups"), "{error}");
    let mut sink = as_user(&server, "reader").sink().open().await.unwrap();
    for _ in 0..2 {
        let error = fails(SOON, ErrorKind::Denied, sink.send(&event("a.b"))).await;
        assert!(error.message().contains("`backups.a=2Eb`"), "{error}");
        assert_eq!(error.delivery(), Delivery::NotSent);
    }
}

async fn an_inbox_that_may_not_be_subscribed_to_is_denied_and_named() {
    let server = Server::start_with(
        "authorization { users: [ { user: admin, password: p },
          { user: deaf, password: p, permissions: { publish: \">\", subscribe: \"_INBOX_deaf.>\" } } ] }",
    )
    .unwrap();
    works(&nats(&server).user_and_password("admin", "p")).await;
    let deaf = as_user(&server, "deaf");
    for error in [
        fails(SOON, ErrorKind::Denied, deaf.sink().open()).await,
        fails(SOON, ErrorKind::Denied, deaf.source("g").open()).await,
    ] {
        assert!(error.message().contains("subscribe to `_INBOX."), "{error}");
    }
    let options = async_nats::ConnectOptions::new().custom_inbox_prefix("_INBOX_deaf");
    let own = Nats::new(server.url(), "backups").connect_options(options).user_and_password("deaf", "p");
    works(&own).await;
}

async fn a_permission_that_is_taken_away_shows_at_the_next_commit_and_may_be_given_back() {
    let configuration = |publish: &str| {
        format!(
            "authorization {{ users: [ {{ user: u, password: p, permissions: {{ publish: {{ {publish} }} }} }} ] }}"
        )
    };
    let server = Server::start_with(&configuration("allow: \">\"")).unwrap();
    let nats = nats(&server).user_and_password("u", "p");
    works(&nats).await;
    let mut sink = nats.sink().open().await.unwrap();
    let builder = nats.source("g").request_timeout(Duration::from_secs(2));
    let mut source = builder.contact_time(Duration::from_secs(2)).open().await.unwrap();
    server.reconfigure("allow: \">\"", "allow: \">\", deny: [\"$KV.>\", \"backups.>\"]");
    // The server ends connections whose permissions it took away; both come back by themselves.
    let denied = async {
        loop {
            match sink.send(&event("shop")).await {
                Ok(()) => {}
                Err(error) if error.is_transient() => pause().await,
                Err(error) => return error,
            }
        }
    };
    let error = soon(denied).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let denied = async {
        loop {
            match source.commit().await {
                Err(error) if error.cause() == Some(ErrorKind::Denied) => return error,
                Err(error) => assert!(error.is_transient(), "{error}"),
                Ok(()) => {}
            }
            pause().await;
        }
    };
    let error = soon(denied).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("$KV.backups_positions.backups.g"), "{error}");
    // It is given back, and everything goes on.
    server.reconfigure(", deny: [\"$KV.>\", \"backups.>\"]", "");
    let last = event("shop");
    let sending = async {
        while sink.send(&last).await.is_err() {
            pause().await;
        }
    };
    soon(sending).await;
    while next_at_last(&mut source).await.key != Some(last.key) {}
    let committing = async {
        while let Err(error) = source.commit().await {
            assert!(error.is_transient(), "{error}");
            pause().await;
        }
    };
    soon(committing).await;
}

/// An authority, and certificates that it has signed: files named `<name>.pem` and `<name>.key`, and its own `<ca>.pem`.
fn authority(folder: &Path, ca: &str, names: &[&str]) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join(format!("{ca}.pem")), issuer.pem()).unwrap();
    for name in names {
        let key = rcgen::KeyPair::generate().unwrap();
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(hosts).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn tls(folder: &Path, verify: bool) -> Server {
    let file = |name: &str| folder.join(name).display().to_string();
    Server::start_with(&format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: {verify} }}",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    ))
    .unwrap()
}

async fn tls_works_with_an_authority_that_is_trusted_and_with_no_other() {
    let folder = TempDir::new().unwrap();
    authority(folder.path(), "ca", &["server"]);
    authority(folder.path(), "stranger", &[]);
    let server = tls(folder.path(), false);
    works(&nats(&server).root_certificates(folder.path().join("ca.pem"))).await;
    for nats in [
        nats(&server).require_tls(),
        nats(&server),
        nats(&server).root_certificates(folder.path().join("stranger.pem")),
    ] {
        let error = fails(SOON, ErrorKind::Config, nats.sink().open()).await;
        assert!(error.message().contains("certificate"), "{error}");
    }
    // A server that does without is not good enough for a client that insists.
    let plain = Server::start().unwrap();
    let nats = nats(&plain).require_tls().open_timeout(Duration::from_secs(2));
    let error = soon(nats.sink().open()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Unavailable), "{error}");
}

async fn tls_on_both_sides_needs_the_clients_certificate() {
    let folder = TempDir::new().unwrap();
    authority(folder.path(), "ca", &["server", "client"]);
    let server = tls(folder.path(), true);
    let file = |name: &str| folder.path().join(name);
    let trusting = nats(&server).root_certificates(file("ca.pem")).open_timeout(Duration::from_secs(2));
    works(&trusting.clone().client_certificate(file("client.pem"), file("client.key"))).await;
    let error = soon(trusting.sink().open()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Unavailable), "{error}");
    let missing = trusting.client_certificate(file("none.pem"), file("none.key"));
    fails(SOON, ErrorKind::Config, missing.sink().open()).await;
}

async fn debug_and_errors_show_no_secret() {
    let server = Server::start_with("authorization { user: tracker, password: other }").unwrap();
    let with_both = server.url().replace("nats://", "nats://tracker:hunter2@");
    let nats = Nats::new(with_both, "backups").user_and_password("tracker", "hunter2").token("hunter2");
    let error = fails(SOON, ErrorKind::Denied, nats.sink().open()).await;
    let broken = Nats::new("http://tracker:hunter2@x", "backups");
    let parse = fails(SOON, ErrorKind::Config, broken.sink().open()).await;
    let texts = [
        format!("{nats:?} {:?} {:?}", nats.sink(), nats.source("g")),
        format!("{error} {error:?}"),
        format!("{broken:?} {parse} {parse:?}"),
    ];
    for text in texts {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
