//! Both services, as their users start them, over each transport.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_test_servers::{Missing, Nats, Redis};
use libtest_mimic::{Arguments, Completion, Trial};
use tempfile::tempdir;

const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing must happen for the test to believe that nothing happens.
const QUIET: Duration = Duration::from_millis(300);

/// A service that runs, until this is dropped.
struct Service {
    process: Child,
    url: String,
    log: Receiver<String>,
}

impl Service {
    fn start(program: &str, arguments: &[&OsStr]) -> Self {
        let mut process = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, log) = channel();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        // Ends with the process; nobody listens any more once the service is dropped.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
        let mut service = Self { process, url: String::new(), log };
        service.url = service.line_with("listening on ");
        service
    }

    /// What follows the text in the next line that has it.
    fn line_with(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line =
                self.log.recv_timeout(left).unwrap_or_else(|error| panic!("no line with {text}: {error}"));
            if let Some((_, rest)) = line.split_once(text) {
                return rest.to_owned();
            }
        }
    }

    fn get(&self, path: &str) -> (u16, String) {
        answer(agent().get(format!("{}{path}", self.url)).call())
    }

    fn post(&self, path: &str, body: &str) -> (u16, String) {
        post(&format!("{}{path}", self.url), body)
    }

    /// Asks until the answer is this one.
    fn until(&self, path: &str, expected: (u16, &str)) {
        let end = Instant::now() + PATIENCE;
        loop {
            let (code, body) = self.get(path);
            if (code, body.trim()) == expected {
                return;
            }
            assert!(Instant::now() < end, "{path} answers {code} {body}, and not {expected:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // As `kill -9` does.
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

fn answer(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    let mut answer = answer.unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn post(url: &str, body: &str) -> (u16, String) {
    answer(agent().post(url).content_type("text/plain").send(body))
}

fn both_services(transport: &[&str]) {
    let folder = tempdir().unwrap();
    let transport = transport.iter().map(OsStr::new).collect::<Vec<_>>();
    let orders = |file: &Path| {
        let own = [OsStr::new("--file"), file.as_os_str()];
        Service::start(env!("CARGO_BIN_EXE_orders"), &[&transport[..], &own].concat())
    };
    let search = || {
        let own = ["--group", "search"].map(OsStr::new);
        Service::start(env!("CARGO_BIN_EXE_search"), &[&transport[..], &own].concat())
    };

    // A backup and a restore.
    let file = folder.path().join("orders.txt");
    let primary = orders(&file);
    let secondary = search();
    secondary.until("/readyz", (200, "READY"));
    assert_eq!(primary.post("/orders", "a lamp").0, 201);
    assert_eq!(secondary.post("/words", "a lamp").0, 201);
    assert_eq!(primary.post("/backup", "").0, 200);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a lamp");
    assert!(secondary.line_with("shop from ").starts_with("STARTING to READY"));
    assert!(secondary.line_with("shop from ").starts_with("READY to BACKING_UP"));
    assert!(secondary.line_with("shop from ").starts_with("BACKING_UP to READY"));
    assert_eq!(primary.post("/orders", "a chair").0, 201);
    assert_eq!(primary.post("/restore", "").0, 200);
    assert_eq!(primary.get("/orders"), (200, r#"["a lamp"]"#.to_owned()));
    assert!(secondary.line_with("shop from ").starts_with("READY to RESTORING"));
    secondary.until("/readyz", (200, "READY"));
    drop(primary);

    // A backup that takes its time: somebody must read the pipe. Everybody pauses; and a secondary that is killed and started
    // again sees it at once.
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let primary = orders(&pipe);
    let url = format!("{}/backup", primary.url);
    let backup = thread::spawn(move || post(&url, ""));
    secondary.until("/readyz", (503, "BACKING_UP"));
    assert_eq!(primary.post("/backup", "").0, 409);
    drop(secondary);
    let secondary = search();
    secondary.until("/readyz", (503, "BACKING_UP"));
    let url = format!("{}/words", secondary.url);
    let (told, words) = channel();
    thread::spawn(move || told.send(post(&url, "a table")));
    assert!(words.recv_timeout(QUIET).is_err(), "words were indexed during a backup");
    assert_eq!(secondary.get("/words").1.trim(), "0");
    assert_eq!(std::fs::read_to_string(&pipe).unwrap(), "");
    assert_eq!(backup.join().unwrap().0, 200);
    assert_eq!(words.recv_timeout(PATIENCE).unwrap().0, 201);
    assert_eq!(secondary.get("/words").1.trim(), "2");

    // A primary that is killed in the middle of a backup: the next one ends it.
    let url = format!("{}/backup", primary.url);
    let backup = thread::spawn(move || agent().post(url).send_empty().is_err());
    secondary.until("/readyz", (503, "BACKING_UP"));
    drop(primary);
    assert!(backup.join().unwrap());
    assert_eq!(secondary.get("/readyz").0, 503);
    let _primary = orders(&file);
    secondary.until("/readyz", (200, "READY"));
}

fn kafka() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("backups", 1, 1).unwrap();
    both_services(&[
        "--bootstrap-server",
        &cluster.bootstrap_servers(),
        "--kafka-property",
        "fetch.wait.max.ms=5",
    ]);
}

const CREATE: [&str; 3] = ["--create-topic", "--create-topic-replicas", "1"];

fn nats() {
    let server = Nats::start().unwrap();
    both_services(&[&["--transport", "nats", "--url", &server.url()], &CREATE[..]].concat());
}

fn redis() {
    let server = Redis::start().unwrap();
    both_services(&["--transport", "redis", "--url", &server.url(), "--create-topic"]);
}

fn test(name: &str, missing: Option<Missing>, body: fn()) -> Trial {
    Trial::ignorable_test(name, move || match missing {
        Some(missing) => Ok(Completion::ignored_with(missing.reason)),
        None => {
            body();
            Ok(Completion::Completed)
        }
    })
}

fn main() {
    let trials = vec![
        test("both_services_over_kafka", None, kafka),
        test("both_services_over_nats", Nats::find().err(), nats),
        test("both_services_over_redis", Redis::find().err(), redis),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
