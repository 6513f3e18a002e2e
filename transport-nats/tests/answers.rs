//! The table of the server's answers in the crate's documentation: every code is given to every part of a session, by a fake
//! JetStream behind an API prefix of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program without the standard harness is not seen as a test"
)]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::stream::Config;
use backup_tracker::{Delivery, Error, ErrorKind, EventSource, Sink};
use backup_tracker_nats::{Nats, async_nats};
use backup_tracker_test_servers::Nats as Server;
use futures_util::StreamExt;
use serde_json::{Value, json};
use support::{SOON, cases, event, fails, soon};

cases! {
    the_documented_table_is_what_happens,
    an_acknowledgement_of_another_stream_or_domain_is_not_ours,
}

/// Status, code and words as the server has them.
const ANSWERS: [(u32, u32, &str); 29] = [
    (400, 10002, "resource limits exceeded for account"),
    (400, 10003, "bad request"),
    (400, 10005, "no suitable peers for placement"),
    (400, 10005, "no suitable peers for placement, peer offline"),
    (503, 10008, "JetStream system temporarily unavailable"),
    (404, 10014, "consumer not found"),
    (503, 10023, "insufficient resources"),
    (400, 10025, "invalid JSON"),
    (400, 10026, "maximum consumers limit reached"),
    (400, 10027, "maximum number of streams reached"),
    (500, 10028, "insufficient memory resources available"),
    (503, 10035, "account not found"),
    (503, 10039, "JetStream not enabled for account"),
    (500, 10047, "insufficient storage resources available"),
    (400, 10054, "message size exceeds maximum allowed"),
    (404, 10059, "stream not found"),
    (400, 10060, "expected stream does not match"),
    (500, 10074, "replicas > 1 not supported in non-clustered mode"),
    (503, 10076, "JetStream not enabled"),
    (503, 10077, "maximum bytes exceeded"),
    (400, 10109, "invalid operation on sealed stream"),
    (400, 10113, "account requires a stream config to have max bytes set"),
    (500, 10118, "stream is offline"),
    (409, 10158, "duplicate message id is in process"),
    (429, 10167, "too many requests"),
    (401, 19401, "an unknown one, 401 or 403"),
    (404, 19404, "an unknown one, 404"),
    (500, 19500, "an unknown one, 500 or more"),
    (418, 19418, "an unknown one, otherwise"),
];

const PREFIX: &str = "FAKE.API";

/// A JetStream that has a stream and a bucket without a message, and answers every question with an error when it is told to.
struct Fake {
    nats: Nats,
    /// Given instead of every answer.
    error: Arc<Mutex<Option<Value>>>,
    acknowledgement: Arc<Mutex<Value>>,
    _server: Server,
}

impl Fake {
    async fn start() -> Self {
        let server = Server::start().unwrap();
        let nats = Nats::new(server.url(), "backups").api_prefix(PREFIX);
        let (error, acknowledgement) =
            (Arc::default(), Arc::new(Mutex::new(json!({"stream": "backups", "seq": 1}))));
        let fake = Self { nats, error, acknowledgement, _server: server };
        let client = async_nats::connect(fake._server.url()).await.unwrap();
        for subject in ["FAKE.API.>", "backups.*", "$KV.backups_positions.>"] {
            let mut questions = client.subscribe(subject).await.unwrap();
            let (client, error) = (client.clone(), Arc::clone(&fake.error));
            let acknowledgement = Arc::clone(&fake.acknowledgement);
            tokio::spawn(async move {
                while let Some(question) = questions.next().await {
                    let subject = question.subject.as_str();
                    let usual = usual(subject).unwrap_or_else(|| acknowledgement.lock().unwrap().clone());
                    let answer = error.lock().unwrap().clone().unwrap_or(usual);
                    if !subject.contains("MSG.NEXT") {
                        client.publish(question.reply.unwrap(), answer.to_string().into()).await.unwrap();
                    }
                }
            });
        }
        client.flush().await.unwrap();
        fake
    }

    fn answer(&self, error: Option<Value>) {
        *self.error.lock().unwrap() = error;
    }
}

fn error(status: u32, code: u32, words: &str) -> Value {
    json!({"error": {"code": status, "err_code": code, "description": words}})
}

/// What is answered to a question of the API.
fn usual(subject: &str) -> Option<Value> {
    let question = subject.strip_prefix(PREFIX)?;
    if question.contains("MSG.GET") {
        return Some(error(404, 10037, "no message found"));
    }
    let config = Config { name: "backups".into(), subjects: vec!["backups.*".into()], ..Config::default() };
    let state = json!({"first_seq": 1, "last_seq": 0, "messages": 0});
    let created = "2026-01-02T03:04:05.678901234Z";
    Some(json!({"name": "it", "config": config, "state": state, "created": created}))
}

fn cell(error: &Error) -> String {
    match error.cause() {
        Some(cause) => format!("{:?} ({cause:?})", error.kind()),
        None => format!("{:?}", error.kind()),
    }
}

async fn the_documented_table_is_what_happens() {
    let fake = Fake::start().await;
    let builder = fake.nats.source("g").contact_time(Duration::from_secs(1));
    let mut session = soon(builder.open()).await.unwrap();
    let mut table = String::from(
        "| code | words | opening | reading, committing, counting | sending |\n|---|---|---|---|---|\n",
    );
    for (status, code, words) in ANSWERS {
        let mut sink = soon(fake.nats.sink().open()).await.unwrap();
        fake.answer(Some(error(status, code, words)));
        let opening = cell(&soon(fake.nats.observer().open()).await.unwrap_err());
        let reading = cell(&soon(session.next()).await.unwrap_err());
        let committing = cell(&soon(session.commit()).await.unwrap_err());
        let counting = cell(&soon(session.remaining()).await.unwrap_err());
        let claiming = cell(&soon(session.claim("shop")).await.unwrap_err());
        let sending = soon(sink.send(&event("shop"))).await.unwrap_err();
        fake.answer(None);
        assert!(reading.starts_with("Unavailable"), "{code}: {reading}");
        assert_eq!([&committing, &counting, &claiming], [&reading; 3], "{code}");
        let opening = if code == 10059 { "NotFound, or it is created".to_owned() } else { opening };
        let sending = format!("{}, {:?}", cell(&sending), sending.delivery());
        writeln!(table, "| {code} | {words} | {opening} | {reading} | {sending} |").unwrap();
        // The session lives.
        soon(session.commit()).await.unwrap();
        assert_eq!(soon(session.remaining()).await.unwrap().total(), 0);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/answers.md");
    if std::env::var_os("WRITE_ANSWERS").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let documented = std::fs::read_to_string(&path).unwrap();
    assert!(documented == table, "run this test with WRITE_ANSWERS=1; it should be\n{table}");
}

async fn an_acknowledgement_of_another_stream_or_domain_is_not_ours() {
    let fake = Fake::start().await;
    let mut sink = soon(fake.nats.sink().open()).await.unwrap();
    soon(sink.send(&event("shop"))).await.unwrap();
    for (acknowledgement, other) in [
        (json!({"stream": "other", "seq": 7}), "stream `other`"),
        (json!({"stream": "backups", "domain": "leaf", "seq": 7}), "stream `backups` of domain `leaf`"),
    ] {
        *fake.acknowledgement.lock().unwrap() = acknowledgement;
        let error = fails(SOON, ErrorKind::Config, sink.send(&event("shop"))).await;
        assert_eq!(error.delivery(), Delivery::Unknown);
        assert!(error.message().starts_with(other), "{error}");
        assert!(error.message().contains("and not stream `backups`;"), "{error}");
        *fake.acknowledgement.lock().unwrap() = json!({"stream": "backups", "seq": 8});
        soon(sink.send(&event("shop"))).await.unwrap();
    }
}
