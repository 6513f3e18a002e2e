//! What is refused.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::bench::Bench;
use crate::forks;
use backup_tracker_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

fn watch(arguments: &[&str]) -> Output {
    forks::output(Command::new(env!("CARGO_BIN_EXE_backup-tracker")).arg("watch").args(arguments))
}

#[test]
fn what_will_not_do_is_said_in_words_that_name_the_option_with_status_2() {
    let shop = ["--application", "shop", "--bootstrap-server", "localhost:1"];
    for (arguments, words) in [
        (&[][..], "--application"),
        (&["--application", "shop"], "--bootstrap-server"),
        (&[shop.as_slice(), &["--exec-timeout", "3s"]].concat(), "--exec"),
        (&[shop.as_slice(), &["--exec", "true", "--exec-timeout", "0s"]].concat(), "--exec-timeout"),
        (&[shop.as_slice(), &["--exec", "true", "--exec-timeout", "soon"]].concat(), "--exec-timeout"),
        (&[shop.as_slice(), &["--exec", ""]].concat(), "--exec"),
        (&[shop.as_slice(), &["--http", "8080"]].concat(), "--http"),
        (&[shop.as_slice(), &["--unready-while-starting"]].concat(), "--http"),
        (&[shop.as_slice(), &["--kafka-property", "no.such.property=1"]].concat(), "--kafka-property"),
    ] {
        let Output { status, stdout, stderr } = watch(arguments);
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stdout.is_empty() && stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

#[test]
fn an_address_that_is_taken_ends_it_with_one_line_that_names_the_option() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let Output { status, stderr, .. } =
        watch(&["--application", "shop", "--bootstrap-server", "localhost:1", "--http", &address]);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.starts_with(&format!("error: --http {address}: ")), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn a_refusal_of_the_broker_ends_it_with_status_1() {
    let bench = Bench::new();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    bench.mock.request_errors(RDKafkaApiKey::OffsetFetch, &[refused; 5]);
    let mut program = bench.watch(&["--group", "watcher"]);
    assert_eq!(program.ended().code(), Some(1));
    let stderr = program.stderr.rest();
    assert!(stderr.iter().any(|line| line.starts_with("error: ") && line.contains("denied")), "{stderr:?}");
}
