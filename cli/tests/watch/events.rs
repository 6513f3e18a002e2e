//! Server-sent events.

use std::io::{BufRead, BufReader};

use backup_tracker::BackupState::{BackingUp, Ready};
use serde_json::Value;

use crate::bench::{Bench, Program};
use crate::http::agent;

/// One event: its name, its id and its data.
#[derive(Debug)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

struct Client(BufReader<ureq::BodyReader<'static>>);

impl Client {
    fn connect(url: &str, last: Option<&str>) -> Self {
        let mut request = agent().get(format!("{url}/events"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.call().unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(BufReader::new(response.into_body().into_reader()))
    }

    /// None at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event { name: String::new(), id: None, data: Value::Null };
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                // The end of an event; what has none is a comment that keeps the connection alive.
                None if !event.name.is_empty() => return Some(event),
                _ => {}
            }
        }
    }

    /// The next one, which must be a transition to this state.
    fn transition(&mut self, state: &str) -> Event {
        let event = self.next().unwrap();
        assert_eq!((&*event.name, &event.data["state"]), ("transition", &state.into()), "{event:?}");
        assert_eq!(event.data["id"].as_str(), event.id.as_deref());
        event
    }

    /// The next one, which must be the present state.
    fn state(&mut self, state: &str) -> Event {
        let event = self.next().unwrap();
        assert_eq!((&*event.name, &event.data["state"]), ("state", &state.into()), "{event:?}");
        assert_eq!(event.id, None);
        event
    }
}

fn start(bench: &Bench) -> (Program, String) {
    let program = bench.watch(&["--json", "--http", "127.0.0.1:0", "--group", "watcher"]);
    let url = program.url();
    program.event("synced");
    (program, url)
}

#[test]
fn the_present_state_comes_first_and_then_every_transition_also_to_a_late_client() {
    let bench = Bench::new();
    let (mut program, url) = start(&bench);
    let mut early = Client::connect(&url, None);
    early.state("STARTING");
    bench.announce(&[Ready, BackingUp]);
    early.transition("READY");
    let begun = early.transition("BACKING_UP");
    assert_eq!(begun.data["event"], "transition");
    assert_eq!(begun.data["from"], "READY");

    let mut late = Client::connect(&url, None);
    let state = late.state("BACKING_UP");
    assert_eq!(state.data["last_transition"]["id"].as_str(), begun.id.as_deref());
    assert_eq!(state.data["ready"], false);
    bench.announce(&[Ready]);
    let ended = early.transition("READY");
    assert_eq!(late.transition("READY").id, ended.id);

    program.terminate();
    assert!(early.next().is_none() && late.next().is_none(), "the end of the program ends the streams");
}

#[test]
fn a_silent_connection_is_kept_alive_by_comments() {
    let bench = Bench::new();
    let (mut program, url) = start(&bench);
    let mut client = Client::connect(&url, None);
    client.state("STARTING");
    let mut line = String::new();
    client.0.read_line(&mut line).unwrap();
    assert_eq!(line, ": nothing new\n");
    program.terminate();
}

#[test]
fn a_client_that_returns_gets_what_it_missed_or_hears_that_it_is_lost() {
    let bench = Bench::new();
    let (mut program, url) = start(&bench);
    let mut client = Client::connect(&url, None);
    client.state("STARTING");
    bench.announce(&[Ready]);
    let seen = client.transition("READY").id.unwrap();
    drop(client);
    bench.announce(&[BackingUp, Ready]);
    program.event("transition");
    program.event("transition");
    program.event("transition");

    let mut back = Client::connect(&url, Some(&seen));
    back.state("READY");
    back.transition("BACKING_UP");
    back.transition("READY");

    for unknown in ["6f9619ff-8b86-4011-b42d-00c04fc964ff", "17"] {
        let mut stranger = Client::connect(&url, Some(unknown));
        let event = stranger.next().unwrap();
        assert_eq!((&*event.name, &event.data["lost"]), ("lagged", &Value::Null));
        stranger.state("READY");
        bench.announce(&[Ready]);
        stranger.transition("READY");
    }
    program.terminate();
}
