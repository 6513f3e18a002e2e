//! What becomes of each property.

use std::collections::BTreeMap;

use backup_tracker::StartAt;
use clap::Parser;

use super::{ClientProperties, Layers, Renewal};
use crate::options::{KafkaOptions, OptionsError, OptionsErrorKind};

#[derive(Parser)]
struct Service {
    #[command(flatten)]
    kafka: KafkaOptions,
}

/// Calls with a service whose options are these, and whose file holds this text.
fn with<T>(file: &str, arguments: &[&str], call: impl FnOnce(&KafkaOptions) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.properties");
    std::fs::write(&path, file).unwrap();
    let fixed = ["service", "--kafka-properties", path.to_str().unwrap()];
    let service = Service::try_parse_from(fixed.iter().chain(arguments)).unwrap();
    call(&service.kafka)
}

/// What is shown to librdkafka, whatever that was built with.
fn translated(file: &str, arguments: &[&str]) -> Result<BTreeMap<String, String>, OptionsError> {
    let layers = with(file, arguments, |kafka| Layers::merge(kafka, &|_| None))?;
    Ok(layers.0.into_iter().map(|(name, property)| (name, property.value)).collect())
}

fn resolved(file: &str, arguments: &[&str]) -> Result<ClientProperties, OptionsError> {
    with(file, arguments, |kafka| ClientProperties::resolve(kafka, &|_| None))
}

fn becomes(file: &str, expected: &[(&str, &str)]) {
    becomes_with(file, &[], expected);
}

fn becomes_with(file: &str, arguments: &[&str], expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(
        translated(file, arguments).unwrap_or_else(|error| panic!("{file}: {error}")),
        expected,
        "{file}"
    );
}

fn refused(file: &str, property: &str, mend: &str) {
    let error = match translated(file, &[]) {
        Ok(properties) => panic!("{file} is {properties:?}"),
        Err(error) => error,
    };
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    assert!(
        error.option().starts_with("--kafka-properties ") && error.option().ends_with(property),
        "{error}"
    );
    assert!(error.mend().contains(mend), "{error}");
}

const PLAIN: &str =
    r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="me" password="p=1;2";"#;
const SCRAM: &str =
    r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="me" password="p=1;2";"#;

#[test]
fn a_login_module_becomes_user_and_password() {
    let user = [("sasl.password", "p=1;2"), ("sasl.username", "me")];
    becomes(&format!("sasl.jaas.config={PLAIN}"), &[&[("sasl.mechanism", "PLAIN")][..], &user].concat());
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let text =
            format!("security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nsasl.jaas.config={SCRAM}");
        let expected = [("security.protocol", "SASL_SSL"), ("sasl.mechanism", mechanism)];
        becomes(&text, &[&expected[..], &user].concat());
    }
    becomes(
        "sasl.mechanism = PLAIN\nsasl.jaas.config = org.example.PlainLoginModule required \\\n    username=\"me\" \\\n    \
         password=\"p=1;2\";",
        &[&[("sasl.mechanism", "PLAIN")][..], &user].concat(),
    );

    refused(&format!("sasl.jaas.config={SCRAM}"), ": sasl.jaas.config", "SCRAM-SHA-256 or SCRAM-SHA-512");
    refused("sasl.jaas.config=hunter2", ":1: sasl.jaas.config", "`sasl.username` and `sasl.password`");
    refused("\n\nsasl.jaas.config=PlainLoginModule required;", ":3: sasl.jaas.config", "`sasl.username`");
    refused(
        "sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true;",
        "sasl.jaas.config",
        "sasl.kerberos.keytab",
    );
    refused(
        "sasl.jaas.config=a.b.OAuthBearerLoginModule required;",
        "sasl.jaas.config",
        "sasl.oauthbearer.method=oidc",
    );
    refused("sasl.jaas.config=a.b.MyLoginModule required;", "sasl.jaas.config", "PlainLoginModule");
}

#[test]
fn trust_stores_are_pem() {
    let location = "ssl.truststore.location=/a/ca.pem\n";
    becomes(&format!("{location}ssl.truststore.type=PEM"), &[("ssl.ca.location", "/a/ca.pem")]);
    becomes(
        &format!("{location}ssl.truststore.type=pem\nssl.truststore.password=x"),
        &[("ssl.ca.location", "/a/ca.pem")],
    );
    becomes(
        "ssl.truststore.type=PEM\nssl.truststore.certificates=-----BEGIN\\n1",
        &[("ssl.ca.pem", "-----BEGIN\n1")],
    );
    for kind in ["", "ssl.truststore.type=JKS", "ssl.truststore.type=PKCS12"] {
        refused(&format!("{location}{kind}"), ":1: ssl.truststore.location", "`ssl.ca.location`");
        // The mend works, in the file and by option.
        let own = [("ssl.ca.location", "/own.pem")];
        becomes(&format!("{location}{kind}\nssl.ca.location=/own.pem"), &own);
        becomes_with(&format!("{location}{kind}"), &["--kafka-property", "ssl.ca.location=/own.pem"], &own);
    }
}

#[test]
fn key_stores_are_pem_or_pkcs12() {
    let location = "ssl.keystore.location=/a/key.p12\n";
    let both = [("ssl.certificate.location", "/a/key.p12"), ("ssl.key.location", "/a/key.p12")];
    becomes(&format!("{location}ssl.keystore.type=PEM\nssl.keystore.password=x"), &both);
    becomes(
        &format!("{location}ssl.keystore.type=PEM\nssl.key.password=x"),
        &[&both[..], &[("ssl.key.password", "x")]].concat(),
    );
    becomes(
        "ssl.keystore.type=PEM\nssl.keystore.certificate.chain=chain\nssl.keystore.key=key\nssl.key.password=x",
        &[("ssl.certificate.pem", "chain"), ("ssl.key.password", "x"), ("ssl.key.pem", "key")],
    );
    let native = [("ssl.keystore.location", "/a/key.p12"), ("ssl.keystore.password", "x")];
    for kind in ["", "ssl.keystore.type=PKCS12"] {
        becomes(&format!("{location}ssl.keystore.password=x\n{kind}"), &native);
    }
    refused(&format!("{location}ssl.keystore.type=JKS"), ":1: ssl.keystore.location", "PKCS12");
    refused("ssl.keystore.location=/a/store", ":1: ssl.keystore.location", "`ssl.certificate.location`");
    let own = ["--kafka-property", "ssl.certificate.location=/c", "--kafka-property", "ssl.key.location=/k"];
    becomes_with(
        "ssl.keystore.location=/a/store.jks\nssl.keystore.password=x",
        &own,
        &[("ssl.certificate.location", "/c"), ("ssl.key.location", "/k")],
    );
}

#[test]
fn what_both_clients_call_the_same_stays_and_what_is_said_twice_is_said_once() {
    becomes("ssl.endpoint.identification.algorithm=", &[("ssl.endpoint.identification.algorithm", "none")]);
    becomes(
        "ssl.endpoint.identification.algorithm=HTTPS",
        &[("ssl.endpoint.identification.algorithm", "https")],
    );
    becomes("security.protocol=SSL\nclient.id=me", &[("client.id", "me"), ("security.protocol", "SSL")]);
    becomes("sasl.mechanisms=PLAIN", &[("sasl.mechanism", "PLAIN")]);
    becomes_with(
        "sasl.mechanism=PLAIN",
        &["--kafka-property", "sasl.mechanisms=GSSAPI"],
        &[("sasl.mechanism", "GSSAPI")],
    );
    becomes_with(
        "sasl.mechanisms=PLAIN",
        &["--kafka-property", "sasl.mechanism=GSSAPI"],
        &[("sasl.mechanism", "GSSAPI")],
    );
    let jaas = format!("sasl.jaas.config={PLAIN}");
    let own = ["--kafka-property", "sasl.username=you"];
    becomes_with(
        &jaas,
        &own,
        &[("sasl.mechanism", "PLAIN"), ("sasl.password", "p=1;2"), ("sasl.username", "you")],
    );
}

#[test]
fn what_a_tracker_has_no_use_for_is_left_out() {
    becomes(
        "key.serializer=a.B\nvalue.serializer=a.B\nkey.deserializer=a.B\nvalue.deserializer=a.B\nmax.poll.records=1\n\
         interceptor.classes=\npartition.assignment.strategy=a.B\nclient.id=me",
        &[("client.id", "me")],
    );
}

#[test]
fn what_has_another_name_or_none_is_refused_with_the_mend() {
    for (name, mend) in [
        ("fetch.max.wait.ms", "fetch.wait.max.ms"),
        ("max.request.size", "message.max.bytes"),
        ("send.buffer.bytes", "socket.send.buffer.bytes"),
        ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
        ("sasl.login.callback.handler.class", "sasl.oauthbearer.method=oidc"),
        ("ssl.enabled.protocols", "ssl.cipher.suites"),
        ("ssl.protocol", "ssl.cipher.suites"),
        ("ssl.engine.factory.class", "ssl.ca.location"),
        ("transactional.id", "remove it"),
    ] {
        refused(&format!("{name}=x"), name, mend);
    }
}

#[test]
fn what_a_tracker_relies_on_keeps_its_value() {
    becomes(
        "acks=all\nenable.idempotence=true\nenable.auto.commit=false\nenable.auto.offset.store=FALSE\nenable.partition.eof=true",
        &[],
    );
    becomes("request.required.acks=-1", &[]);
    for property in
        ["acks=1", "request.required.acks=0", "enable.idempotence=false", "enable.auto.commit=true"]
    {
        let name = property.split_once('=').unwrap().0.replace("request.required.", "");
        refused(property, &name, "remove it");
    }
}

#[test]
fn a_file_may_say_what_options_say_and_options_win() {
    let text = "bootstrap.servers=a:1\ngroup.id=g\nauto.offset.reset=latest";
    let client = resolved(text, &[]).unwrap();
    assert_eq!(client.bootstrap_servers.as_deref(), Some("a:1"));
    assert_eq!(client.group.as_deref(), Some("g"));
    assert_eq!(client.start, Some(StartAt::Latest));
    assert_eq!(client.properties, BTreeMap::new());
    for (name, option) in super::reserved::OPTIONS {
        let error = translated("", &["--kafka-property", &format!("{name}=x")]).unwrap_err();
        assert_eq!(error.option(), format!("--kafka-property {name}"));
        assert!(error.mend().contains(option), "{error}");
    }
    let error = resolved("auto.offset.reset=error", &[]).err().unwrap();
    assert!(error.option().ends_with(":1: auto.offset.reset"), "{error}");
}

#[test]
fn the_options_about_signing_in_choose_the_protocol() {
    let signs_in = ["--kafka-user", "me", "--kafka-password", "x"];
    let protocol = |file: &str, more: &[&str]| {
        let properties = translated(file, &[&signs_in[..], more].concat()).unwrap();
        assert_eq!(properties["sasl.username"], "me");
        assert_eq!(properties["sasl.password"], "x");
        (properties["security.protocol"].clone(), properties["sasl.mechanism"].clone())
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let scram = ["--kafka-login-type", "SCRAM-SHA-256"];
    assert_eq!(protocol("", &[]), pair("sasl_plaintext", "PLAIN"));
    assert_eq!(protocol("", &scram), pair("sasl_ssl", "SCRAM-SHA-256"));
    assert_eq!(protocol("ssl.ca.location=/ca", &[]), pair("sasl_ssl", "PLAIN"));
    assert_eq!(protocol("security.protocol=SSL", &[]), pair("sasl_ssl", "PLAIN"));
    assert_eq!(protocol("security.protocol=PLAINTEXT", &scram), pair("sasl_plaintext", "SCRAM-SHA-256"));
    assert_eq!(protocol("security.protocol=SASL_PLAINTEXT", &scram), pair("SASL_PLAINTEXT", "SCRAM-SHA-256"));
    assert_eq!(protocol("security.protocol=SASL_SSL", &[]), pair("SASL_SSL", "PLAIN"));
    assert_eq!(protocol("sasl.mechanism=SCRAM-SHA-512", &[]), pair("sasl_ssl", "SCRAM-SHA-512"));
    assert_eq!(protocol("sasl.mechanism=SCRAM-SHA-512", &scram), pair("sasl_ssl", "SCRAM-SHA-256"));
    let jaas = format!("sasl.jaas.config={PLAIN}");
    assert_eq!(protocol(&jaas, &[]), pair("sasl_plaintext", "PLAIN"));
}

#[test]
fn librdkafka_is_asked_before_anything_is_connected() {
    let error = resolved("client.id=me\nmax.poll.recrods=5", &[]).err().unwrap();
    assert_eq!(error.kind(), OptionsErrorKind::Invalid);
    assert!(error.option().ends_with("client.properties:2: max.poll.recrods"), "{error}");
    assert!(error.to_string().contains("librdkafka knows no such property; remove it"), "{error}");

    let error = resolved("", &["--kafka-property", "fetch.wait.max.ms=soon"]).err().unwrap();
    assert_eq!(error.option(), "--kafka-property fetch.wait.max.ms");
    assert!(error.to_string().contains("Invalid value"), "{error}");

    let client = resolved("fetch.wait.max.ms=5", &["--kafka-property", "fetch.wait.max.ms=6"]).unwrap();
    assert_eq!(client.properties["fetch.wait.max.ms"], "6");
    let client = resolved("", &["--kafka-property", "sasl.password = x= "]).unwrap();
    assert_eq!(client.properties["sasl.password"], " x= ");
}

#[cfg(not(feature = "ssl"))]
#[test]
fn a_build_without_tls_says_what_is_missing() {
    let scram = ["--kafka-user", "me", "--kafka-password", "x", "--kafka-login-type", "SCRAM-SHA-256"];
    for (file, arguments, option) in [
        ("", &scram[..], "--kafka-login-type"),
        ("security.protocol=SSL", &[], ":1: security.protocol"),
        ("ssl.ca.location=/ca", &[], ":1: ssl.ca.location"),
        ("sasl.mechanism=GSSAPI", &[], ":1: sasl.mechanism"),
    ] {
        let error = resolved(file, arguments).err().unwrap();
        assert_eq!(error.kind(), OptionsErrorKind::Refused);
        assert!(error.option().ends_with(option), "{error}");
        assert!(error.mend().contains("Cargo feature `"), "{error}");
    }
}

#[cfg(feature = "ssl")]
#[test]
fn a_build_with_tls_takes_what_is_translated() {
    let text = format!(
        "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config={SCRAM}\nssl.truststore.type=PEM\n\
         ssl.truststore.location=/ca.pem\nssl.keystore.type=PEM\nssl.keystore.location=/key.pem\nssl.key.password=x\n\
         ssl.endpoint.identification.algorithm="
    );
    let client = resolved(&text, &[]).unwrap();
    assert_eq!(client.properties["ssl.ca.location"], "/ca.pem");
    let text = "ssl.keystore.type=PKCS12\nssl.keystore.location=/key.p12\nssl.keystore.password=x\nssl.truststore.type=PEM\n\
                ssl.truststore.certificates=pem";
    assert_eq!(resolved(text, &[]).unwrap().properties["ssl.ca.pem"], "pem");
}

#[test]
fn what_a_file_says_of_credentials_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (properties, password) = (path("properties"), path("password"));
    let say = |user: &str, in_properties: &str, in_file: &str| {
        let text = format!("sasl.username={user}\nsasl.password={in_properties}\nlinger.ms=5\n");
        std::fs::write(&properties, text).unwrap();
        std::fs::write(&password, in_file).unwrap();
    };
    say("one", "hunter1", "hunter2\n");
    let renewal = |more: &[&str]| {
        let arguments = ["search", "--kafka-properties", &properties, "--kafka-login-type", "PLAIN"];
        let options = Service::try_parse_from(arguments.iter().chain(more)).unwrap().kafka;
        ClientProperties::resolve(&options, &|_| None).unwrap().renewal.unwrap()
    };
    let (alone, with_password) = (renewal(&[]), renewal(&["--kafka-password-file", &password]));
    let read = |renewal: &Renewal| {
        ["sasl.username", "sasl.password"].map(|name| renewal.secret(name).unwrap().read().unwrap())
    };
    assert_eq!(
        (read(&alone), read(&with_password)),
        (["one", "hunter1"].map(into), ["one", "hunter2"].map(into))
    );
    say("two", "hunter3", "hunter4");
    assert_eq!(
        (read(&alone), read(&with_password)),
        (["two", "hunter3"].map(into), ["two", "hunter4"].map(into))
    );
    assert!(alone.secret("linger.ms").is_none());
    // A file that is gone is told when it is needed, without what it held.
    std::fs::remove_file(&password).unwrap();
    let error = with_password.secret("sasl.password").unwrap().read().unwrap_err();
    assert!(error.message().contains("--kafka-password-file"), "{error}");
    assert!(!error.message().contains("hunter"), "{error}");
}

fn into(text: &str) -> String {
    text.to_owned()
}

#[test]
fn what_no_file_says_is_not_read_again() {
    let arguments = ["search", "--kafka-user", "me", "--kafka-password", "hunter2"];
    let options = Service::try_parse_from(arguments).unwrap().kafka;
    assert!(ClientProperties::resolve(&options, &|_| None).unwrap().renewal.is_none());
}

#[test]
fn a_password_that_wins_over_a_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "of the file").unwrap();
    let arguments = ["search", "--kafka-user", "me", "--kafka-password", "given", "--kafka-password-file"];
    let arguments = arguments.into_iter().map(std::ffi::OsStr::new).chain([file.as_os_str()]);
    let options = Service::try_parse_from(arguments).unwrap().kafka;
    // The file is named by the variable, so that the argument wins.
    let path = file.clone();
    let environment =
        move |name: &str| (name == "KAFKA_PASSWORD_FILE").then(|| path.clone().into_os_string());
    let found = ClientProperties::resolve(&options, &environment).unwrap();
    assert_eq!(found.properties["sasl.password"], "given");
    assert!(found.renewal.is_none());
}
