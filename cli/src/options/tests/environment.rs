//! What wins: argument, variable, second variable, file, default. Variables are those of a child process, which is this test
//! program once more.

use std::collections::BTreeMap;
use std::process::Command;

use super::super::properties::ClientProperties;
use super::super::{environment, url};
use super::parse;

const ARGUMENTS: &str = "ARGUMENTS_OF_THE_CHILD";
const MARK: &str = "said by the child: ";

/// What a process with these variables and arguments makes of them.
fn child(variables: &[(&str, &str)], arguments: &[&str]) -> BTreeMap<String, String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "options::tests::environment::in_the_child", "--ignored", "--nocapture"])
        .env_clear()
        .envs(variables.iter().copied())
        .env(ARGUMENTS, arguments.join("\u{1f}"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.split_once(MARK)?.1.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(said.contains_key("end"), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
#[ignore = "the other tests of this file run it, in a process of its own"]
fn in_the_child() {
    let arguments = std::env::var(ARGUMENTS).unwrap();
    let arguments: Vec<_> = arguments.split('\u{1f}').filter(|argument| !argument.is_empty()).collect();
    let service = parse(&arguments);
    let say = |name: &str, value: &str| println!("\n{MARK}{name}={value}");
    match service.backups.transport(&service.kafka) {
        Ok(transport) => say("transport", &format!("{transport:?}")),
        Err(error) => say("error", &error.to_string()),
    }
    match ClientProperties::resolve(&service.kafka, &environment::process) {
        Ok(client) => {
            for (name, value) in &client.properties {
                say(name, value);
            }
        }
        Err(error) => say("properties error", &error.to_string()),
    }
    if let Ok(url) = service.backups.url(&url::REDIS, &environment::process) {
        say("url", url.reveal());
    }
    say("topic", service.backups.topic());
    say("servers", service.kafka.bootstrap_servers().unwrap_or_default());
    say("group", service.kafka.group().unwrap_or_default());
    say("format", &format!("{:?}", service.backups.wire_format()));
    say("name", service.backups.transport_name().as_str());
    say("application", service.application.given().unwrap_or_default());
    say("end", "");
}

/// With the argument, with the variable, with both, with a blank variable, with neither.
#[test]
fn an_argument_wins_over_a_variable_and_a_variable_over_the_default() {
    for (said, option, variable, from_argument, from_variable, default) in [
        ("topic", "--backup-topic", "BACKUP_TOPIC", "one", "two", "backups"),
        ("servers", "--bootstrap-server", "BOOTSTRAP_SERVERS", "one", "two", ""),
        ("group", "--group", "CONSUMER_GROUP", "one", "two", ""),
        ("application", "--application", "BACKUP_APPLICATION", "one", "two", ""),
        ("name", "--transport", "BACKUP_TRANSPORT", "nats", "redis", "kafka"),
        ("url", "--url", "BACKUP_URL", "redis://one", "redis://two", ""),
    ] {
        let get = |variables: &[(&str, &str)], arguments: &[&str]| {
            child(variables, arguments).remove(said).unwrap_or_default()
        };
        let set = [(variable, from_variable)];
        assert_eq!(get(&[], &[]), default, "{option}");
        assert_eq!(get(&[(variable, "")], &[]), default, "{option}");
        assert_eq!(get(&set, &[]), from_variable, "{option}");
        assert_eq!(get(&[], &[option, from_argument]), from_argument, "{option}");
        assert_eq!(get(&set, &[option, from_argument]), from_argument, "{option}");
    }
    let format = |variables: &[(&str, &str)], arguments: &[&str]| {
        child(variables, arguments).remove("format").unwrap()
    };
    assert_eq!(format(&[], &[]), "BackupJson");
    assert_eq!(format(&[("BACKUP_WIRE_FORMAT", "")], &["--transport", "redis"]), "Cbor");
    assert_eq!(format(&[("BACKUP_WIRE_FORMAT", "action-json")], &[]), "ActionJson");
    assert_eq!(format(&[("BACKUP_WIRE_FORMAT", "action-json")], &["--wire-format", "cbor"]), "Cbor");
}

#[test]
fn announcements_have_bootstrap_servers_of_their_own_if_those_are_given() {
    let servers = |variables: &[(&str, &str)], arguments: &[&str]| {
        let said = child(variables, arguments);
        let text = said.get("transport").or_else(|| said.get("error")).unwrap().clone();
        text.split_once("bootstrap_servers: \"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map_or(text.clone(), |(servers, _)| servers.to_owned())
    };
    let variable = [("BOOTSTRAP_SERVERS", "variable")];
    assert!(servers(&[], &[]).starts_with("--bootstrap-server: it is missing"));
    assert_eq!(servers(&variable, &[]), "variable");
    assert_eq!(servers(&variable, &["--bootstrap-servers", "general"]), "general");
    assert_eq!(servers(&variable, &["--backup-bootstrap-servers", "backup"]), "backup");
    assert_eq!(
        servers(&variable, &["--bootstrap-server", "general", "--backup-bootstrap-server", "backup"]),
        "backup"
    );
    // Other transports leave the variable to those who read from Kafka.
    let nats = ["--transport", "nats", "--url", "nats://one"];
    assert!(child(&variable, &nats).remove("transport").unwrap().starts_with("Nats"));
}

#[test]
fn signing_in_is_by_option_then_variable_then_property_then_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let file =
        write("first", "sasl.mechanism=PLAIN\nsasl.username=file\nsasl.password=of file\nclient.id=first\n");
    let second = write("second", "client.id=second\n");
    let secret = write("secret", "from a file\n");
    let get = |variables: &[(&str, &str)], arguments: &[&str], name: &str| {
        let mut said = child(variables, arguments);
        said.remove(name).unwrap_or_else(|| said.remove("properties error").unwrap_or_default())
    };

    let first = ("KAFKA_CONFIG_FILE_PATH", file.as_str());
    let other = ("KAFKA_PROPERTIES_FILE", second.as_str());
    for (variables, arguments, id) in [
        (&[][..], &[][..], ""),
        (&[first], &[], "first"),
        (&[other], &[], "second"),
        (&[first, other], &[], "first"),
        (&[("KAFKA_CONFIG_FILE_PATH", ""), other], &[], "second"),
        (&[first], &["--kafka-properties", &second], "second"),
        (&[other], &["--kafka-properties", &file], "first"),
        (&[first], &["--kafka-property", "client.id=property"], "property"),
    ] {
        assert_eq!(get(variables, arguments, "client.id"), id, "{variables:?} {arguments:?}");
    }

    let user = ("KAFKA_USER", "variable");
    let password = ("KAFKA_PASSWORD", "of variable");
    assert_eq!(get(&[first], &[], "sasl.username"), "file");
    assert_eq!(get(&[first], &["--kafka-property", "sasl.username=property"], "sasl.username"), "property");
    assert_eq!(
        get(&[first, user], &["--kafka-property", "sasl.username=property"], "sasl.username"),
        "variable"
    );
    assert_eq!(get(&[first, user], &["--kafka-username", "argument"], "sasl.username"), "argument");
    assert_eq!(get(&[first, password], &[], "sasl.password"), "of variable");
    assert_eq!(get(&[first, password], &["--kafka-password", "of argument"], "sasl.password"), "of argument");

    let secret_file = ("KAFKA_PASSWORD_FILE", secret.as_str());
    let by_file = ["--kafka-user", "me", "--kafka-password-file", &secret];
    let by_word = ["--kafka-user", "me", "--kafka-password", "of argument"];
    assert_eq!(get(&[secret_file, user], &[], "sasl.password"), "from a file");
    assert_eq!(get(&[password], &by_file, "sasl.password"), "from a file");
    assert_eq!(get(&[secret_file], &by_word, "sasl.password"), "of argument");
    for (variables, arguments) in
        [(&[secret_file, password, user][..], &[][..]), (&[], &[&by_file[..], &by_word[2..]].concat())]
    {
        let error = get(variables, arguments, "sasl.password");
        assert!(error.starts_with("--kafka-password, --kafka-password-file: "), "{error}");
    }

    let kind = ("KAFKA_LOGIN_TYPE", "SCRAM-SHA-512");
    let signs_in = [user, password];
    assert_eq!(get(&signs_in, &[], "sasl.mechanism"), "PLAIN");
    assert_eq!(get(&[user, password, ("KAFKA_LOGIN_TYPE", "")], &[], "sasl.mechanism"), "PLAIN");
    assert_eq!(get(&[user, password, kind], &["--kafka-login-type", "plain"], "sasl.mechanism"), "PLAIN");
    assert_eq!(get(&signs_in, &[], "security.protocol"), "sasl_plaintext");
    assert!(
        get(&[user], &[], "sasl.username").starts_with("--kafka-password: there is a user and no password")
    );
    assert!(
        get(&[password], &[], "sasl.username").starts_with("--kafka-user: there is a password and no user")
    );
}

#[test]
fn a_url_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    std::fs::write(&path, "redis://user:hunter2@file\r\n").unwrap();
    let path = path.to_str().unwrap();
    let url = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut said = child(variables, &[&["--transport", "redis"], arguments].concat());
        said.remove("url").unwrap_or_else(|| said.remove("error").unwrap())
    };
    let (in_file, itself) = ("redis://user:hunter2@file", "redis://itself");
    assert_eq!(url(&[], &["--url-file", path]), in_file);
    assert_eq!(url(&[("BACKUP_URL_FILE", path)], &[]), in_file);
    assert_eq!(url(&[("BACKUP_URL", itself)], &["--url-file", path]), in_file);
    assert_eq!(url(&[("BACKUP_URL_FILE", path)], &["--url", itself]), itself);
    for (variables, arguments) in [
        (&[("BACKUP_URL_FILE", path), ("BACKUP_URL", itself)][..], &[][..]),
        (&[], &["--url", itself, "--url-file", path]),
    ] {
        assert!(url(variables, arguments).starts_with("--url, --url-file: "));
    }
}
