//! A secret shows nowhere.

use std::process::Command;

use clap::CommandFactory;

use super::super::{environment, url};
use super::{Service, parse, refused, resolve};

const SECRET: &str = "hunter2";

/// Every way to give a secret on the command line, all transports together.
const ARGUMENTS: [&str; 8] = [
    "--kafka-user",
    "me",
    "--kafka-password",
    SECRET,
    "--kafka-property",
    "ssl.key.password=hunter2",
    "--url",
    "redis://:hunter2@redis.example",
];

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", parse(&ARGUMENTS));
    assert!(shown.contains("me") && !shown.contains(SECRET), "{shown}");
    for arguments in [
        &["--bootstrap-server", "kafka:9092", "--kafka-user", "me", "--kafka-password", SECRET][..],
        &["--transport", "redis", "--url", "redis://me:hunter2@redis.example"],
        &["--transport", "nats", "--url", "nats://me:hunter2@nats.example,nats://hunter2@other.example"],
    ] {
        let shown = format!("{:?}", resolve(arguments).unwrap().transport);
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn a_url_in_a_file_is_read_again_for_each_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    std::fs::write(&path, "nats://me:hunter2@nats.example\n").unwrap();
    let service = parse(&["--transport", "nats", "--url-file", path.to_str().unwrap()]);
    let url = service.backups.url(&url::NATS, &environment::process).unwrap();
    let renewable = url.renewable();
    assert_eq!(renewable.read().unwrap(), url.reveal());
    std::fs::write(&path, "nats://me:hunter3@nats.example\n").unwrap();
    assert_eq!(renewable.read().unwrap(), "nats://me:hunter3@nats.example");
    assert!(!format!("{url:?} {renewable:?}").contains("hunter"));
}

#[test]
fn help_shows_no_value_of_a_secret_variable() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "options::tests::secrets::help_in_the_child", "--ignored", "--nocapture"])
        .env_clear()
        .env("KAFKA_PASSWORD", SECRET)
        .env("BACKUP_URL", "redis://:hunter2@redis.example")
        .env("KAFKA_USER", "visible")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    // What is no secret is shown, so that its absence says something.
    assert!(help.contains("[env: KAFKA_USER=visible]"), "{help}");
    assert!(help.contains("[env: KAFKA_PASSWORD]") && help.contains("[env: BACKUP_URL]"), "{help}");
    assert!(!help.contains(SECRET), "{help}");
}

#[test]
#[ignore = "the test above runs it, in a process of its own"]
fn help_in_the_child() {
    let mut command = Service::command();
    println!("{}\n{}", command.render_long_help(), command.render_help());
}

#[test]
fn no_error_shows_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let escape = write("escape", "sasl.password=hunter2\\u12\n");
    let jaas = write("jaas", "sasl.jaas.config=PlainLoginModule required password=\"hunter2\n");
    let module = write("module", "sasl.jaas.config=a.hunter2 required password=\"hunter2\";\n");
    let kafka = |more: &[&str]| {
        let arguments = [&["--bootstrap-server", "kafka:9092"], more].concat();
        refused(&arguments)
    };
    for error in [
        kafka(&["--kafka-property", "sasl.password:hunter2"]),
        kafka(&["--kafka-property", "=hunter2"]),
        kafka(&["--kafka-property", "sasl.passwort=hunter2"]),
        kafka(&["--kafka-property", "sasl.oauthbearer.method=hunter2"]),
        kafka(&["--kafka-property", "ssl.key.password=hunter2\0"]),
        kafka(&["--kafka-password", SECRET]),
        kafka(&["--kafka-properties", &escape]),
        kafka(&["--kafka-properties", &jaas]),
        kafka(&["--kafka-properties", &module]),
        refused(&["--url", "redis://:hunter2@redis.example"]),
        refused(&["--transport", "redis", "--url", "hunter2"]),
        refused(&["--transport", "redis", "--url", "me:hunter2://redis"]),
        refused(&["--transport", "nats", "--url", "redis://:hunter2@redis.example"]),
    ] {
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
}
