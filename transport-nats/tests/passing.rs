//! What passes ends nothing (S14): limits, switched off parts and refusals come and go under a session that is open.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use backup_tracker::{Delivery, ErrorKind, EventSource, Result, Sink};
use backup_tracker_nats::{CreateStream, Nats, NatsSource, async_nats};
use backup_tracker_test_servers::Nats as Server;
use support::{Reconfigure, cases, event, next, next_at_last, pause, send, soon};

cases! {
    a_full_account_is_trouble_and_passes,
    jetstream_switched_off_for_the_account_is_trouble_and_passes,
    jetstream_switched_off_for_the_server_is_trouble_and_passes,
}

/// Two users of one account, so that one may fill it while the other is looked at.
fn server(jetstream: &str) -> Server {
    let users = "users: [ { user: u, password: p }, { user: admin, password: p } ]";
    let accounts =
        format!("accounts {{ A: {{ jetstream: {jetstream}, {users} }}, SYS: {{}} }}\nsystem_account: SYS");
    Server::start_with(&accounts).unwrap()
}

fn nats(server: &Server) -> Nats {
    let nats = Nats::new(server.url(), "backups").user_and_password("u", "p");
    nats.create_stream(CreateStream::new(1)).open_timeout(Duration::from_secs(5))
}

async fn source(nats: &Nats) -> NatsSource {
    let builder = nats.source("g").request_timeout(Duration::from_secs(2));
    builder.contact_time(Duration::from_secs(2)).open().await.unwrap()
}

/// Tries until the error comes that is looked for; others must pass at least.
async fn until(cause: ErrorKind, mut attempt: impl AsyncFnMut() -> Result<()>) {
    let trying = async {
        loop {
            match attempt().await {
                Err(error) if error.cause() == Some(cause) => return error,
                Err(error) => assert!(error.is_transient(), "{error}"),
                Ok(()) => {}
            }
            pause().await;
        }
    };
    let error = soon(trying).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

/// Tries until it succeeds.
async fn at_last(mut attempt: impl AsyncFnMut() -> Result<()>) {
    let trying = async {
        while let Err(error) = attempt().await {
            assert!(error.is_transient(), "{error}");
            pause().await;
        }
    };
    soon(trying).await;
}

async fn a_full_account_is_trouble_and_passes() {
    let server = server("{ max_store: 1MB, max_mem: 1MB }");
    let nats = nats(&server);
    let mut sink = nats.sink().open().await.unwrap();
    let mut session = source(&nats).await;
    send(&mut sink, "shop").await;
    next(&mut session).await;
    // Somebody else's stream takes all the room that there is.
    let admin = async_nats::ConnectOptions::with_user_and_password("admin".into(), "p".into());
    let admin = async_nats::jetstream::new(admin.connect(server.url()).await.unwrap());
    let filler = Config { name: "filler".into(), subjects: vec!["filler".into()], ..Config::default() };
    admin.create_stream(filler).await.unwrap();
    let filling = async {
        for size in [64 * 1024, 1024, 64] {
            while admin.publish("filler", vec![0; size].into()).await.unwrap().await.is_ok() {}
        }
    };
    soon(filling).await;
    let unsent = event("shop");
    let error = soon(sink.send(&unsent)).await.unwrap_err();
    assert_eq!((error.kind(), error.cause()), (ErrorKind::Unavailable, Some(ErrorKind::Config)), "{error}");
    assert_eq!(error.delivery(), Delivery::NotSent, "{error}");
    until(ErrorKind::Config, async || session.commit().await).await;
    until(ErrorKind::Config, async || session.claim("shop").await).await;
    // What needs no room goes on.
    assert_eq!(session.remaining().await.unwrap().total(), 0);
    admin.delete_stream("filler").await.unwrap();
    at_last(async || session.commit().await).await;
    at_last(async || sink.send(&unsent).await).await;
    assert_eq!(next_at_last(&mut session).await.key, Some(unsent.key));
    assert!(source(&nats).await.resumed());
}

/// The parts of a session while JetStream is away, and when it is back.
async fn switched_off_and_on(server: &Server, off: impl Fn(), on: impl Fn()) {
    let nats = nats(server);
    let mut sink = nats.sink().open().await.unwrap();
    let mut session = source(&nats).await;
    send(&mut sink, "shop").await;
    next(&mut session).await;
    session.commit().await.unwrap();
    for _ in 0..2 {
        send(&mut sink, "shop").await;
        next_at_last(&mut session).await;
        off();
        until(ErrorKind::Config, async || session.next().await.map(|record| panic!("{record:?}"))).await;
        until(ErrorKind::Config, async || session.commit().await).await;
        until(ErrorKind::Config, async || session.claim("shop").await).await;
        until(ErrorKind::Config, async || session.remaining().await.map(drop)).await;
        let unsent = event("shop");
        assert_eq!(soon(sink.send(&unsent)).await.unwrap_err().delivery(), Delivery::NotSent);
        on();
        let sending = async {
            while let Err(error) = sink.send(&unsent).await {
                assert_eq!(error.delivery(), Delivery::NotSent, "{error}");
                pause().await;
            }
        };
        soon(sending).await;
        // Nothing was taken for lost.
        assert_eq!(next_at_last(&mut session).await.key, Some(unsent.key));
        at_last(async || session.commit().await).await;
        assert_eq!(session.remaining().await.unwrap().total(), 0);
    }
}

async fn jetstream_switched_off_for_the_account_is_trouble_and_passes() {
    let server = server("enabled");
    let off = || server.reconfigure("jetstream: enabled", "jetstream: disabled");
    let on = || server.reconfigure("jetstream: disabled", "jetstream: enabled");
    switched_off_and_on(&server, off, on).await;
}

async fn jetstream_switched_off_for_the_server_is_trouble_and_passes() {
    let server = server("enabled");
    let store =
        format!("jetstream {{ store_dir: {:?}", server.folder().join("jetstream").display().to_string());
    let off = || server.reconfigure(&store, &store.replacen("jetstream {", "jetstream { enabled: false,", 1));
    let on = || server.reconfigure("jetstream { enabled: false,", "jetstream {");
    switched_off_and_on(&server, off, on).await;
}
