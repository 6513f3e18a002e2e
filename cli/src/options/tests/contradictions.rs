//! Options that do not go together, are missing, or mean nothing.

use clap::Parser;

use super::super::OptionsErrorKind::{Contradiction, Invalid, Missing, Unreadable};
use super::super::Transport;
use super::{Service, refused, resolve};

#[test]
fn what_contradicts_or_is_missing_is_named() {
    for (arguments, kind, option) in [
        ("", Missing, "--bootstrap-server"),
        ("--bootstrap-server=", Missing, "--bootstrap-server"),
        ("--transport kafka --bootstrap-server a --url nats://b", Contradiction, "--url"),
        ("--bootstrap-server a --url-file b", Contradiction, "--url-file"),
        ("--bootstrap-server a --backup-credentials b", Contradiction, "--backup-credentials"),
        ("--bootstrap-server a --backup-tls-ca b", Contradiction, "--backup-tls-ca"),
        ("--bootstrap-server a --create-topic-replicas 1", Contradiction, "--create-topic-replicas"),
        ("--bootstrap-server a --kafka-login-type PLAIN", Missing, "--kafka-login-type"),
        ("--bootstrap-server a --kafka-user b", Missing, "--kafka-password"),
        ("--bootstrap-server a --kafka-password b", Missing, "--kafka-user"),
        (
            "--bootstrap-server a --kafka-user b --kafka-password-file /none/such",
            Unreadable,
            "--kafka-password-file",
        ),
        (
            "--bootstrap-server a --kafka-user b --kafka-password-file /dev/null",
            Missing,
            "--kafka-password-file",
        ),
        ("--bootstrap-server a --kafka-properties /none/such", Unreadable, "--kafka-properties"),
        ("--bootstrap-server a --kafka-properties /", Unreadable, "--kafka-properties"),
        ("--transport nats", Missing, "--url"),
        ("--transport redis", Missing, "--url"),
        ("--transport nats --url=", Missing, "--url"),
        (
            "--transport nats --url nats://a --backup-bootstrap-server b",
            Contradiction,
            "--backup-bootstrap-server",
        ),
        ("--bootstrap-server a --nats-domain b", Contradiction, "--nats-domain"),
        ("--transport redis --url redis://a --nats-api-prefix b", Contradiction, "--nats-api-prefix"),
        (
            "--transport nats --url nats://a --nats-domain b --nats-api-prefix c",
            Contradiction,
            "--nats-domain, --nats-api-prefix",
        ),
        ("--transport nats --url redis://a", Contradiction, "--url"),
        ("--transport nats --url nats://a,http://b", Contradiction, "--url"),
        ("--transport nats --url nats://a,", Invalid, "--url"),
        ("--transport nats --url-file /none/such", Unreadable, "--url-file"),
        (
            "--transport nats --url nats://a --backup-credentials /none/such",
            Unreadable,
            "--backup-credentials",
        ),
        ("--transport nats --url nats://a --backup-tls-ca /none/such", Unreadable, "--backup-tls-ca"),
        ("--transport nats --url nats://a --backup-tls-key a", Missing, "--backup-tls-key"),
        ("--transport nats --url nats://a --backup-tls-certificate a", Missing, "--backup-tls-certificate"),
        ("--transport redis --url nats://a", Contradiction, "--url"),
        ("--transport redis --url a:6379", Invalid, "--url"),
        ("--transport redis --url redis://a --backup-credentials b", Contradiction, "--backup-credentials"),
        ("--transport redis --url redis://a --backup-tls-ca b", Contradiction, "--backup-tls-ca"),
        ("--transport redis --url rediss://a --backup-tls-ca /none/such", Unreadable, "--backup-tls-ca"),
        (
            "--transport redis --url redis://a --create-topic --create-topic-replicas 1",
            Contradiction,
            "--create-topic-replicas",
        ),
    ] {
        let error = refused(&arguments.split_whitespace().collect::<Vec<_>>());
        assert_eq!((error.kind(), error.option()), (kind, option), "{arguments}: {error}");
    }
}

#[test]
fn what_is_no_word_of_an_option_is_refused_with_the_words_that_are() {
    for (arguments, option, word) in [
        (["--transport", "rabbit"], "--transport", "redis"),
        (["--kafka-login-type", "GSSAPI"], "--kafka-login-type", "SCRAM-SHA-256"),
        (["--read-policy", "END"], "--read-policy", "LATEST"),
        (["--wire-format", "xml"], "--wire-format", "action-json"),
        (["--create-topic-replicas", "0"], "--create-topic-replicas", "0"),
    ] {
        let error = Service::try_parse_from(["search", arguments[0], arguments[1]]).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2);
        assert!(text.contains(option) && text.contains(word), "{text}");
    }
}

#[test]
fn other_transports_leave_kafkas_options_alone() {
    let arguments =
        ["--transport", "nats", "--url", "nats://a", "--kafka-properties", "/none/such", "--kafka-user", "b"];
    let resolved = resolve(&arguments).unwrap();
    assert!(matches!(resolved.transport, Transport::Nats(_)));
    let resolved = resolve(&["--transport", "REDIS", "--url", "valkey://a", "--group", "g"]).unwrap();
    assert!(matches!(resolved.transport, Transport::Redis(_)));
    assert_eq!(resolved.group.as_deref(), Some("g"));
}

#[test]
fn what_is_to_be_created_is_passed_on() {
    let shown = |arguments: &[&str]| format!("{:?}", resolve(arguments).unwrap().transport);
    let kafka = ["--bootstrap-server", "a", "--create-topic"];
    assert!(!shown(&kafka[..2]).contains("replication"));
    assert!(shown(&kafka).contains("partitions: 1, replication: 3"), "{}", shown(&kafka));
    assert!(shown(&[&kafka[..], &["--create-topic-replicas", "1"]].concat()).contains("replication: 1"));
    let nats = ["--transport", "nats", "--url", "a:4222", "--create-topic"];
    assert!(shown(&nats).contains("num_replicas: 3"), "{}", shown(&nats));
    assert!(
        shown(&["--transport", "redis", "--url", "redis://a", "--create-topic"])
            .contains("create_stream: true")
    );
}
