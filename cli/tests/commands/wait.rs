use std::time::{Duration, Instant};

use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use serde_json::{Value, json};

use crate::bench::{Bench, MINUTE, TEN, nowhere};
use crate::program::{Ended, Running, forks, program};

/// Long enough for any machine; what hangs ends with it.
const LIMIT: [&str; 2] = ["--timeout", "60s"];

fn wait_for(until: &str) -> Vec<&str> {
    [&["wait", "--application", "shop", "--until", until], &LIMIT[..]].concat()
}

#[test]
fn it_ends_at_once_where_the_application_is_in_that_state_already() {
    let mut bench = Bench::new();
    let never = bench.run(&wait_for("starting"));
    assert_eq!(never.lines(), ["shop is STARTING: it was never announced, as far as the log goes back"]);

    bench.step("shop", TEN, Starting, Ready);
    bench.garbage(Some("garbage"));
    let ready = bench.run(&wait_for("ready"));
    assert_eq!(ready.lines(), ["shop is READY since 2025-07-11T10:00:00Z"]);

    bench.step("shop", TEN + MINUTE, Ready, BackingUp);
    for until in ["backing-up", "BACKING_UP"] {
        let document = bench.run(&[&wait_for(until)[..], &["--json"]].concat()).document("wait");
        assert_eq!((&document["reached"], &document["until"]), (&json!(true), &json!("BACKING_UP")));
        assert_eq!(document["current"]["since_millis"], json!(TEN + MINUTE));
    }
}

#[test]
fn a_state_that_the_log_left_again_does_not_count() {
    let mut bench = Bench::new();
    // Ready again and again, and in the end it is not.
    for minute in 0..50 {
        bench.step("shop", TEN + minute * MINUTE, Ready, Restoring);
        bench.step("shop", TEN + minute * MINUTE, Restoring, Ready);
    }
    bench.step("shop", TEN + 50 * MINUTE, Ready, BackingUp);
    let ended = bench.run(&["wait", "--application", "shop", "--until", "ready", "--timeout", "2500ms"]);
    assert_eq!((ended.status, &*ended.stdout), (Some(124), ""), "{}", ended.stderr);
    let now = "it is BACKING_UP since 2025-07-11T10:50:00Z";
    assert!(ended.stderr.contains(&format!("note: waiting for `shop` to be READY; {now}")), "{ended:?}");
    assert!(
        ended.stderr.contains(&format!("error: the time of 2.5s for `shop` to be READY is over; {now}")),
        "{ended:?}"
    );
}

#[test]
fn it_ends_when_the_application_comes_into_that_state_and_tells_the_way() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    let mut waiting = Running::start(&mut bench.command(&wait_for("restoring")));
    waiting.hears("waiting for `shop` to be RESTORING; it is BACKING_UP");
    bench.step("other", TEN + MINUTE, Ready, Restoring);
    bench.step("shop", TEN + MINUTE, BackingUp, Ready);
    waiting.hears("waiting for `shop` to be RESTORING; it is READY since 2025-07-11T10:01:00Z");
    bench.step("shop", TEN + 2 * MINUTE, Ready, Restoring);
    let ended = waiting.ends();
    assert_eq!(ended.lines(), ["shop is RESTORING since 2025-07-11T10:02:00Z"]);
}

#[test]
fn an_outage_is_told_and_waited_out() {
    let mut bench = Bench::new();
    bench.step("shop", TEN, Ready, BackingUp);
    let mut waiting = Running::start(&mut bench.command(&wait_for("ready")));
    waiting.hears("waiting for `shop` to be READY; it is BACKING_UP");
    forks::broker_down(&bench.mock);
    waiting.hears("trying again");
    bench.mock.broker_up(1).unwrap();
    waiting.hears("the broker answers again");
    bench.reopen();
    bench.step("shop", TEN + MINUTE, BackingUp, Ready);
    let ended = waiting.ends();
    assert_eq!(ended.lines(), ["shop is READY since 2025-07-11T10:01:00Z"]);
}

#[test]
fn the_time_ends_it_also_where_the_broker_cannot_be_reached() {
    let servers = nowhere();
    let began = Instant::now();
    let arguments = ["wait", "--application", "shop", "--until", "starting", "--timeout", "2s", "--json"];
    let ended = Ended::of(program(&arguments).args(["--bootstrap-server", &servers]));
    assert_eq!(ended.status, Some(124), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let document = ended.document("wait");
    assert_eq!((&document["reached"], &document["current"]), (&json!(false), &Value::Null));
    assert!(
        ended.stderr.contains("note: waiting for `shop` to be STARTING; connecting for topic"),
        "{ended:?}"
    );
}

#[test]
fn what_will_not_do_is_status_2() {
    for (arguments, option) in [
        (&["--until", "ready"][..], "--application"),
        (&["--application", "shop"], "--until"),
        (&["--application", "shop", "--until", "asleep"], "--until"),
        (&["--application", "shop", "--until", "ready", "--timeout", "0s"], "--timeout"),
    ] {
        let ended = Ended::of(program(&["wait", "--bootstrap-server", "localhost:1"]).args(arguments));
        assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.contains(option), "{ended:?}");
    }
}
