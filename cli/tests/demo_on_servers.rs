//! Runs the real program on real servers; where there are none the cases show as ignored.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use backup_tracker_nats::async_nats;
use backup_tracker_redis::redis;
use backup_tracker_test_servers::{Missing, Nats, Redis};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::Value;

/// How long a demo may take that nothing disturbs.
const GOOD: Duration = Duration::from_secs(10);
/// How long it may take to find that it cannot run.
const REFUSED: Duration = Duration::from_secs(8);
/// How long it may take when its server dies.
const BROKEN: Duration = Duration::from_secs(25);
const SECRET: &str = "s3cr3t-p4ssw0rd";

fn main() -> ExitCode {
    let nats = || Nats::find().map(drop);
    let redis = || Redis::find().map(drop);
    let trials = vec![
        trial("on_nats_it_passes_and_leaves_nothing", nats, on_nats_it_passes_and_leaves_nothing),
        trial("on_redis_it_passes_and_leaves_nothing", redis, on_redis_it_passes_and_leaves_nothing),
        trial("the_timeline_says_which_stream_it_uses", redis, the_timeline_says_which_stream_it_uses),
        trial("ctrl_c_leaves_nothing_on_nats", nats, ctrl_c_leaves_nothing_on_nats),
        trial("ctrl_c_leaves_nothing_on_redis", redis, ctrl_c_leaves_nothing_on_redis),
        trial("a_reader_that_goes_away_leaves_nothing", nats, a_reader_that_goes_away_leaves_nothing),
        trial("a_nats_server_that_dies_is_told", nats, a_nats_server_that_dies_is_told),
        trial("a_redis_server_that_dies_is_told", redis, a_redis_server_that_dies_is_told),
        trial("a_wrong_password_of_nats_is_told", nats, a_wrong_password_of_nats_is_told),
        trial("a_wrong_password_of_redis_is_told", redis, a_wrong_password_of_redis_is_told),
        trial("credentials_in_the_address_are_used_and_not_shown", nats, credentials_are_used_and_not_shown),
        trial("a_server_without_jetstream_is_told", nats, a_server_without_jetstream_is_told),
        trial("nats_that_would_not_let_it_clear_away_is_left_alone", nats, nats_that_would_not_clear_away),
        trial("redis_that_would_not_let_it_clear_away_is_left_alone", redis, redis_that_would_not_clear_away),
        trial("a_killed_demo_is_cleared_away_by_redis", redis, a_killed_demo_is_cleared_away_by_redis),
        trial("a_server_that_cannot_be_reached_is_told", || Ok(()), a_server_that_cannot_be_reached_is_told),
        trial("a_server_that_is_silent_is_told", || Ok(()), a_server_that_is_silent_is_told),
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(4);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, needs: fn() -> Result<(), Missing>, case: fn()) -> Trial {
    Trial::ignorable_test(name, move || match needs() {
        Err(missing) => Ok(Completion::ignored_with(missing.reason)),
        Ok(()) => {
            case();
            Ok(Completion::Completed)
        }
    })
}

fn command(transport: &str, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backup-tracker"));
    command.args(["demo", "--transport", transport, "--url", url]).env_remove("RUST_LOG");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs it to its end, which must come in time.
fn run(command: &mut Command, limit: Duration) -> Output {
    let begin = Instant::now();
    let output = command.output().unwrap();
    assert!(begin.elapsed() < limit, "after {:?}: {output:?}", begin.elapsed());
    output
}

/// A run that must be good. Returns the name of its stream.
fn passes(transport: &str, url: &str) -> String {
    let Output { status, stdout, stderr } = run(command(transport, url).arg("--json"), GOOD);
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(0), "{stdout}\n{stderr}");
    assert_eq!(stderr, "");
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let good =
        |event: &str| lines.iter().filter(|line| line["event"] == event && line["good"] == true).count();
    assert_eq!((good("verdict"), good("summary")), (3, 1), "{stdout}");
    stream_in(lines[0]["log"].as_str().unwrap()).to_owned()
}

fn stream_in(words: &str) -> &str {
    let name = words.split('`').nth(1).unwrap_or_default();
    assert!(name.starts_with("backup-tracker-demo-"), "{words}");
    name
}

/// A run that must fail with this status, within this time, in one line that holds these words.
fn fails(command: &mut Command, status: i32, words: &[&str]) {
    let output = run(command, REFUSED);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    assert_eq!(text(&output.stdout), "", "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "`{word}` is missing in {stderr}");
    }
}

/// No secret is in what the program says, however much it is asked to say.
fn shows_no_secret(command: &mut Command) {
    let output = run(command.arg("-vvv"), GOOD);
    for said in [&output.stdout, &output.stderr] {
        let said = text(said);
        if let Some(line) = said.lines().find(|line| line.contains(SECRET)) {
            panic!("a secret in {line}");
        }
    }
}

/// A demo under way that has come to this event. The reading end of its output must live as long as it shall go on.
fn at(command: &mut Command, event: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let event = format!("\"event\":\"{event}\"");
    assert!(lines.any(|line| line.contains(&event)), "{:?}", child.wait_with_output().unwrap());
    (child, lines)
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn ends(child: Child, status: i32, limit: Duration) -> String {
    let begin = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(begin.elapsed() < limit, "after {:?}: {output:?}", begin.elapsed());
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    text(&output.stderr).to_owned()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The names and the numbers of messages of all streams of the server.
fn nats_streams(server: &Nats) -> BTreeSet<(String, u64)> {
    block_on(async {
        let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
        let found: Value = context.request("STREAM.LIST", &serde_json::json!({})).await.unwrap();
        assert!(found["streams"].is_array() || found["total"] == 0, "{found}");
        let streams = found["streams"].as_array().cloned().unwrap_or_default();
        let row = |stream: Value| {
            let name = stream["config"]["name"].as_str().unwrap().to_owned();
            (name, stream["state"]["messages"].as_u64().unwrap())
        };
        streams.into_iter().map(row).collect()
    })
}

/// A server on which somebody else has a stream with two messages.
fn nats_in_use() -> (Nats, BTreeSet<(String, u64)>) {
    let server = Nats::start().unwrap();
    block_on(async {
        let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
        let subjects = vec!["backups.*".to_owned()];
        let config = async_nats::jetstream::stream::Config {
            name: "backups".to_owned(),
            subjects,
            ..Default::default()
        };
        context.create_stream(config).await.unwrap();
        for _ in 0..2 {
            context.publish("backups.shop", "theirs".into()).await.unwrap().await.unwrap();
        }
    });
    let streams = nats_streams(&server);
    assert_eq!(streams, BTreeSet::from([("backups".to_owned(), 2)]));
    (server, streams)
}

fn redis_asks<T: redis::FromRedisValue>(server: &Redis, words: &[&str]) -> T {
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).unwrap()
}

/// Everything in the server, as it would be saved.
fn redis_content(server: &Redis) -> BTreeSet<(String, Vec<u8>)> {
    let keys: Vec<String> = redis_asks(server, &["KEYS", "*"]);
    keys.into_iter().map(|key| (key.clone(), redis_asks(server, &["DUMP", &key]))).collect()
}

/// A server on which somebody else has a stream with two entries.
fn redis_in_use() -> (Redis, BTreeSet<(String, Vec<u8>)>) {
    let server = Redis::start().unwrap();
    for _ in 0..2 {
        let _id: String = redis_asks(&server, &["XADD", "backups", "*", "payload", "theirs"]);
    }
    let content = redis_content(&server);
    assert_eq!(content.len(), 1);
    (server, content)
}

fn on_nats_it_passes_and_leaves_nothing() {
    let (server, before) = nats_in_use();
    let (one, other) = (passes("nats", &server.url()), passes("nats", &server.url()));
    assert_ne!(one, other, "every run has a stream of its own");
    assert_eq!(nats_streams(&server), before);
}

fn on_redis_it_passes_and_leaves_nothing() {
    let (server, before) = redis_in_use();
    let (one, other) = (passes("redis", &server.url()), passes("redis", &server.url()));
    assert_ne!(one, other, "every run has a stream of its own");
    assert_eq!(redis_content(&server), before);
}

fn the_timeline_says_which_stream_it_uses() {
    let server = Redis::start().unwrap();
    let output = run(&mut command("redis", &server.url()), GOOD);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    let first = stdout.lines().next().unwrap();
    assert!(stream_in(first.split_once(", on ").unwrap().1).len() > 20, "{first}");
    assert!(first.contains(&server.address().to_string()), "{first}");
}

fn ctrl_c_leaves_nothing_on_nats() {
    let (server, before) = nats_in_use();
    let (child, lines) = at(&mut command("nats", &server.url()), "operation_began");
    assert_eq!(nats_streams(&server).len(), before.len() + 2, "the stream and the bucket");
    signal(&child, "-INT");
    assert!(!lines.into_iter().any(|line| line.contains("summary")), "it went on to its end");
    assert_eq!(ends(child, 130, REFUSED), "");
    assert_eq!(nats_streams(&server), before);
}

fn ctrl_c_leaves_nothing_on_redis() {
    let (server, before) = redis_in_use();
    // Just when a primary that is dropped still has the end of an operation to announce.
    for event in ["operation_began", "killed"] {
        let (child, lines) = at(&mut command("redis", &server.url()), event);
        assert_eq!(redis_content(&server).len(), before.len() + 2, "the stream and the hash");
        signal(&child, "-INT");
        assert!(!lines.into_iter().any(|line| line.contains("summary")), "it went on to its end");
        assert_eq!(ends(child, 130, REFUSED), "");
        assert_eq!(redis_content(&server), before, "after {event}");
    }
}

fn a_reader_that_goes_away_leaves_nothing() {
    let (server, before) = nats_in_use();
    let (child, lines) = at(&mut command("nats", &server.url()), "operation_began");
    drop(lines);
    assert_eq!(ends(child, 141, REFUSED), "");
    assert_eq!(nats_streams(&server), before);
}

fn dies(child: Child, lines: impl Iterator<Item = String>, mend: &str) {
    let summary: Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["good"], false);
    assert!(summary["trouble"].is_string(), "{summary}");
    let stderr = ends(child, 1, BROKEN);
    assert!(stderr.contains("may still be there") && stderr.contains(mend), "{stderr}");
}

fn a_nats_server_that_dies_is_told() {
    let mut server = Nats::start().unwrap();
    let (child, lines) = at(&mut command("nats", &server.url()), "operation_began");
    server.kill().unwrap();
    dies(child, lines, "nats stream rm --force backup-tracker-demo-");
}

fn a_redis_server_that_dies_is_told() {
    let mut server = Redis::start().unwrap();
    let (child, lines) = at(&mut command("redis", &server.url()), "operation_began");
    server.kill().unwrap();
    dies(child, lines, "redis-cli DEL backup-tracker-demo-");
}

fn nats_with_a_user() -> (Nats, String) {
    let configuration = format!("authorization {{ user: anna, password: \"{SECRET}\" }}");
    let server = Nats::start_with(&configuration).unwrap();
    let address = server.address();
    (server, address.to_string())
}

fn a_wrong_password_of_nats_is_told() {
    let (_server, address) = nats_with_a_user();
    let url = format!("nats://anna:{SECRET}-not@{address}");
    fails(&mut command("nats", &url), 1, &["the server refuses the credentials"]);
    shows_no_secret(&mut command("nats", &url));
}

fn a_wrong_password_of_redis_is_told() {
    let server = Redis::start_with(&[("requirepass", SECRET)]).unwrap();
    let url = |password: &str| format!("redis://:{password}@{}", server.address());
    let wrong = format!("{SECRET}-not");
    fails(&mut command("redis", &url(&wrong)), 1, &["the server does not let this user in"]);
    shows_no_secret(&mut command("redis", &url(&wrong)));
    passes("redis", &url(SECRET));
    shows_no_secret(&mut command("redis", &url(SECRET)));
}

fn credentials_are_used_and_not_shown() {
    let (_server, address) = nats_with_a_user();
    // The second address's `%61` is an `a`; the first is nobody's.
    let url = format!("nats://127.0.0.1:1,nats://%61nna:{SECRET}@{address}");
    passes("nats", &url);
    shows_no_secret(&mut command("nats", &url));

    let server = Nats::start_with(&format!("authorization {{ token: \"{SECRET}\" }}")).unwrap();
    let url = format!("nats://{SECRET}@{}", server.address());
    passes("nats", &url);
    shows_no_secret(&mut command("nats", &url));
}

fn a_server_without_jetstream_is_told() {
    let server = Nats::start_with("accounts { plain { users: [ { user: anna, password: pw } ] } }").unwrap();
    let url = format!("nats://anna:pw@{}", server.address());
    fails(&mut command("nats", &url), 1, &["JetStream not enabled"]);
}

fn nats_that_would_not_clear_away() {
    let users = "authorization { users: [ { user: anna, password: pw, \
                 permissions: { publish: { deny: \"$JS.API.STREAM.DELETE.>\" } } }, { user: admin, password: pw } ] }\n\
                 no_auth_user: admin";
    let server = Nats::start_with(users).unwrap();
    let url = format!("nats://anna:pw@{}", server.address());
    fails(&mut command("nats", &url), 1, &["could not be removed", "$JS.API.STREAM.DELETE"]);
    assert_eq!(nats_streams(&server), BTreeSet::new());
}

fn redis_that_would_not_clear_away() {
    let server = Redis::start().unwrap();
    let rules = ["ACL", "SETUSER", "anna", "on", ">pw", "~*", "+@all", "-del"];
    let _done: String = redis_asks(&server, &rules);
    let url = format!("redis://anna:pw@{}", server.address());
    fails(&mut command("redis", &url), 1, &["could not be removed", "DEL"]);
    assert_eq!(redis_content(&server), BTreeSet::new());
}

fn a_killed_demo_is_cleared_away_by_redis() {
    let server = Redis::start().unwrap();
    let (mut child, _lines) = at(&mut command("redis", &server.url()), "operation_began");
    child.kill().unwrap();
    child.wait().unwrap();
    let keys: Vec<String> = redis_asks(&server, &["KEYS", "*"]);
    assert_eq!(keys.len(), 2, "the stream and the hash");
    for key in keys {
        let seconds: i64 = redis_asks(&server, &["TTL", &key]);
        assert!((1..=600).contains(&seconds), "{key} lives {seconds} s");
    }
}

fn a_server_that_cannot_be_reached_is_told() {
    // Taken and given back, so that nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&mut command("nats", &format!("nats://a:{SECRET}@{address}")), 1, &["no server can be reached"]);
    fails(&mut command("redis", &format!("redis://a:{SECRET}@{address}")), 1, &["refused"]);
}

fn a_server_that_is_silent_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    fails(&mut command("nats", &format!("nats://{address}")), 1, &["within"]);
    fails(&mut command("redis", &format!("redis://{address}")), 1, &["within"]);
}
