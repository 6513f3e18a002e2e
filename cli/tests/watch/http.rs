//! Probes, state and metrics.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use backup_tracker::BackupState::{BackingUp, Ready, Restoring};
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::Value;

use crate::bench::{Bench, PATIENCE, Program, eventually, lines_of};
use crate::forks;

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

/// Status and body.
pub(crate) fn get(url: &str) -> (u16, String) {
    let response = agent().get(url).call().unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().read_to_string().unwrap())
}

pub(crate) fn json(url: &str) -> Value {
    serde_json::from_str(&get(url).1).unwrap()
}

fn start(bench: &Bench, arguments: &[&str]) -> (Program, String) {
    let program = bench.watch(&[&["--json", "--http", "127.0.0.1:0"], arguments].concat());
    let url = program.url();
    (program, url)
}

/// Waits until `/readyz` says this.
fn becomes(url: &str, status: u16, because: &str) {
    let mut said = (0, String::new());
    eventually(&format!("{status} {because} at /readyz"), || {
        said = get(&format!("{url}/readyz"));
        said.0 == status
            && serde_json::from_str::<Value>(&said.1).unwrap()["unready_because"].as_str().unwrap_or("")
                == because
    });
}

#[test]
fn the_probes_follow_the_application() {
    let bench = Bench::new();
    let (mut program, url) = start(&bench, &["--group", "watcher"]);
    program.event("synced");
    becomes(&url, 200, "");
    for (state, status, because, word) in [
        (Ready, 200, "", "READY"),
        (BackingUp, 503, "backing_up", "BACKING_UP"),
        (Ready, 200, "", "READY"),
        (Restoring, 503, "restoring", "RESTORING"),
        (Ready, 200, "", "READY"),
    ] {
        bench.announce(&[state]);
        let step = program.event("transition");
        becomes(&url, status, because);
        assert_eq!(get(&format!("{url}/livez")).0, 200);
        let document = json(&format!("{url}/state"));
        assert_eq!(document["state"], word);
        assert_eq!(document["ready"], status == 200);
        assert_eq!(document["application"], "shop");
        assert_eq!(document["synced"], true);
        assert_eq!(document["health"]["status"], "healthy");
        assert_eq!(document["since"], step["timestamp"]);
        assert_eq!(document["last_transition"]["id"], step["id"]);
        assert_eq!(document["stats"]["undecodable"], 0);
        let metrics = get(&format!("{url}/metrics")).1;
        for state in ["STARTING", "READY", "BACKING_UP", "RESTORING"] {
            let value = u8::from(state == word);
            let line = format!(
                r#"backup_tracker_state{{application="shop",role="secondary",state="{state}"}} {value}"#
            );
            assert!(metrics.lines().any(|is| is == line), "no {line} in\n{metrics}");
        }
    }
    program.terminate();
}

#[test]
fn a_restart_in_the_middle_of_a_backup_is_never_ready() {
    let bench = Bench::new();
    bench.announce(&[Ready, BackingUp]);
    let (mut program, url) = start(&bench, &[]);
    loop {
        let (status, body) = get(&format!("{url}/readyz"));
        assert_eq!(status, 503, "{body}");
        if body.contains("backing_up") {
            break;
        }
    }
    program.terminate();
}

#[test]
fn starting_is_unready_if_asked_for() {
    let bench = Bench::new();
    let (mut program, url) = start(&bench, &["--unready-while-starting"]);
    program.event("synced");
    becomes(&url, 503, "starting");
    bench.announce(&[Ready]);
    becomes(&url, 200, "");
    program.terminate();
}

#[test]
fn before_the_broker_answers_it_is_alive_and_unready() {
    let bench = Bench::new();
    forks::broker_down(&bench.mock);
    let (mut program, url) = start(&bench, &[]);
    assert_eq!(get(&format!("{url}/livez")).0, 200);
    becomes(&url, 503, "connecting");
    let document = json(&format!("{url}/state"));
    assert_eq!(document["state"], Value::Null);
    assert_eq!((&document["synced"], &document["health"]["status"]), (&false.into(), &"connecting".into()));
    assert_eq!(get(&format!("{url}/metrics")).0, 200);
    bench.mock.broker_up(1).unwrap();
    becomes(&url, 200, "");
    program.terminate();
}

#[test]
fn the_loss_of_the_broker_shows_in_the_state_and_leaves_the_probes_as_they_were() {
    let bench = Bench::new();
    bench.announce(&[Ready]);
    let (mut program, url) = start(&bench, &["--group", "watcher"]);
    becomes(&url, 200, "");
    program.event("transition");
    forks::broker_down(&bench.mock);
    let health = program.event("health");
    assert_eq!(health["status"], "troubled");
    assert!(health["error"].is_string());
    program.stderr.with("trying again");
    let document = json(&format!("{url}/state"));
    assert_eq!((&document["state"], &document["health"]["status"]), (&"READY".into(), &"troubled".into()));
    assert!(document["health"]["error"].is_string() && document["health"]["since"].is_string());
    assert_eq!(get(&format!("{url}/livez")).0, 200);
    assert_eq!(get(&format!("{url}/readyz")).0, 200);

    bench.mock.broker_up(1).unwrap();
    eventually("health", || json(&format!("{url}/state"))["health"]["status"] == "healthy");
    program.stderr.with("the broker answers again");
    bench.announce(&[BackingUp]);
    becomes(&url, 503, "backing_up");
    program.terminate();
}

#[test]
fn a_refusal_is_trouble_that_passes() {
    let bench = Bench::new();
    bench.announce(&[Ready]);
    let (mut program, url) = start(&bench, &[]);
    becomes(&url, 200, "");
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    bench.mock.request_errors(RDKafkaApiKey::Fetch, &[refused; 1000]);
    let health = program.event("health");
    assert_eq!(health["status"], "troubled");
    assert!(health["error"].as_str().unwrap().contains("denied"), "{health}");
    assert_eq!(get(&format!("{url}/livez")).0, 200);
    bench.mock.clear_request_errors(RDKafkaApiKey::Fetch);
    bench.announce(&[BackingUp]);
    becomes(&url, 503, "backing_up");
    program.terminate();
}

#[test]
fn a_group_that_another_application_has_taken_ends_it() {
    let bench = Bench::new();
    bench.announce(&[Ready]);
    let (mut program, _url) = start(&bench, &["--group", "watcher"]);
    program.event("synced");
    bench.note("watcher", "committed application=maps");
    bench.announce(&[BackingUp, Ready]);
    let health =
        std::iter::repeat_with(|| program.event("health")).find(|health| health["status"] == "failed");
    assert!(health.unwrap()["error"].as_str().unwrap().contains("belongs to application `maps`"));
    assert_eq!(program.ended().code(), Some(2));
    program.stderr.with("error: ");
}

#[test]
fn other_paths_are_404_and_other_methods_405() {
    let bench = Bench::new();
    let (mut program, url) = start(&bench, &[]);
    for path in ["/", "/readyz/", "/livezz", "/metrics/x"] {
        assert_eq!(get(&format!("{url}{path}")).0, 404, "{path}");
    }
    for path in ["/livez", "/readyz", "/state", "/events", "/metrics"] {
        let response = agent().post(format!("{url}{path}")).send_empty().unwrap();
        assert_eq!(response.status().as_u16(), 405, "{path}");
        assert!(response.headers()["allow"].to_str().unwrap().contains("GET"));
    }
    let metrics = agent().get(format!("{url}/metrics")).call().unwrap();
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let state = agent().get(format!("{url}/state")).call().unwrap();
    assert_eq!(state.headers()["content-type"], "application/json");
    program.terminate();
}

#[test]
fn it_listens_on_its_address_alone() {
    let bench = Bench::new();
    let (mut program, url) = start(&bench, &[]);
    let port: u16 = url.rsplit_once(':').unwrap().1.parse().unwrap();
    let listening: Vec<_> = ["tcp", "tcp6"]
        .iter()
        .flat_map(|table| lines_of(format!("/proc/{}/net/{table}", program.child.id()).as_ref()))
        // Local address, remote address, state: 0A is listening.
        .filter(|line| {
            line.contains(&format!(":{port:04X} ")) && line.split_whitespace().nth(3) == Some("0A")
        })
        .map(|line| line.split_whitespace().nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(listening, [format!("0100007F:{port:04X}")]);
    program.terminate();
}

#[test]
fn a_client_that_sends_its_head_too_slowly_and_one_that_sends_nothing_are_sent_away() {
    let bench = Bench::new();
    let (mut program, url) = start(&bench, &[]);
    let begun = Instant::now();
    let connect = |head: &[u8]| {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head).unwrap();
        stream
    };
    let answered = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    for mut stream in [connect(b"GET /livez HT"), connect(b""), connect(answered)] {
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(25), "{took:?}");
    assert_eq!(get(&format!("{url}/livez")).0, 200);
    program.terminate();
}
