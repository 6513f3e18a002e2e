//! Java's names and values, as librdkafka has them, or why it has not.

use tracing::info;

use super::jaas;
use super::origin::{Origin, Properties, Property};
use crate::options::error::{OptionsError, OptionsErrorKind};

/// Names that librdkafka has twice, and which of the two is meant here: what is set under both would be settled by chance.
const SAME: [(&str, &str); 3] = [
    ("sasl.mechanisms", "sasl.mechanism"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("request.required.acks", "acks"),
];

/// What a Java client needs and a tracker has no use for.
const OF_NO_USE: [&str; 22] = [
    "auto.include.jmx.reporter",
    "buffer.memory",
    "default.api.timeout.ms",
    "exclude.internal.topics",
    "interceptor.classes",
    "key.deserializer",
    "key.serializer",
    "max.block.ms",
    "max.poll.records",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "partition.assignment.strategy",
    "partitioner.class",
    "security.providers",
    "ssl.keymanager.algorithm",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "value.deserializer",
    "value.serializer",
];

/// What cannot be translated, and what to do instead.
const REFUSED: [(&str, &str); 13] = [
    ("fetch.max.wait.ms", "write `fetch.wait.max.ms`, librdkafka's name of it"),
    ("max.request.size", "write `message.max.bytes`, librdkafka's name of it"),
    ("receive.buffer.bytes", "write `socket.receive.buffer.bytes`, librdkafka's name of it"),
    ("send.buffer.bytes", "write `socket.send.buffer.bytes`, librdkafka's name of it"),
    ("sasl.client.callback.handler.class", OAUTH),
    ("sasl.login.callback.handler.class", OAUTH),
    ("sasl.login.class", OAUTH),
    ("sasl.kerberos.kinit.cmd.path", "write `sasl.kerberos.kinit.cmd`, which is a whole command"),
    ("ssl.enabled.protocols", OPENSSL),
    ("ssl.protocol", OPENSSL),
    (
        "ssl.engine.factory.class",
        "name certificates and keys as PEM files, with `ssl.ca.location` and the like",
    ),
    ("security.inter.broker.protocol", "write `security.protocol`; this one is a broker's"),
    ("transactional.id", "remove it; announcements are not sent in transactions"),
];

const OAUTH: &str =
    "write `sasl.oauthbearer.method=oidc` and the other `sasl.oauthbearer.` properties instead";
const OPENSSL: &str =
    "remove it; the protocols are OpenSSL's to choose, and `ssl.cipher.suites` restricts them";

const CA: [&str; 2] = ["ssl.ca.location", "ssl.ca.pem"];
const CERTIFICATE: [&str; 2] = ["ssl.certificate.location", "ssl.certificate.pem"];

/// Properties with librdkafka's names only.
pub(super) fn translate(mut properties: Properties) -> Result<Properties, OptionsError> {
    for (name, ours) in SAME {
        if let Some(property) = properties.remove(name) {
            offer(&mut properties, ours, property.value, &property.origin);
        }
    }
    for name in OF_NO_USE {
        if let Some(property) = properties.remove(name) {
            info!(property = name, "{} is without effect", property.origin.option(name));
        }
    }
    for (name, mend) in REFUSED {
        if let Some(property) = properties.get(name) {
            return Err(refused(name, property, "librdkafka knows no such property", mend));
        }
    }
    login_module(&mut properties)?;
    trust_store(&mut properties)?;
    key_store(&mut properties)?;
    if let Some(algorithm) = properties.get_mut("ssl.endpoint.identification.algorithm") {
        let given = algorithm.value.trim();
        algorithm.value = if given.is_empty() { "none".to_owned() } else { given.to_lowercase() };
    }
    Ok(properties)
}

fn refused(name: &str, property: &Property, problem: &str, mend: &str) -> OptionsError {
    OptionsError::new(OptionsErrorKind::Refused, property.origin.option(name), problem, mend)
}

/// Sets what librdkafka calls it, unless it is set under that name already with the same or a better right.
fn offer(properties: &mut Properties, name: &str, value: String, origin: &Origin) {
    if !properties.get(name).is_some_and(|present| present.origin.holds_against(origin)) {
        properties.insert(name.to_owned(), Property { value, origin: origin.clone() });
    }
}

/// Whether one of librdkafka's properties says already what a store would have said.
fn is_said(properties: &Properties, names: [&str; 2], store: &Property) -> bool {
    names
        .iter()
        .any(|name| properties.get(*name).is_some_and(|present| present.origin.holds_against(&store.origin)))
}

/// `sasl.jaas.config`: user and password, and the mechanism where nothing else says it.
fn login_module(properties: &mut Properties) -> Result<(), OptionsError> {
    const NAME: &str = "sasl.jaas.config";
    let Some(property) = properties.remove(NAME) else { return Ok(()) };
    let jaas = jaas::parse(&property.value)
        .map_err(|why| refused(NAME, &property, why, "set `sasl.username` and `sasl.password` instead"))?;
    let mechanism = properties.get("sasl.mechanism").map(|mechanism| mechanism.value.to_uppercase());
    match (jaas.module.as_str(), mechanism) {
        ("PlainLoginModule", None) => {
            offer(properties, "sasl.mechanism", "PLAIN".to_owned(), &property.origin);
        }
        ("ScramLoginModule", None) => {
            let problem = "the login module is SCRAM's, and `sasl.mechanism` is missing";
            let mend = "set `sasl.mechanism` to SCRAM-SHA-256 or SCRAM-SHA-512";
            return Err(refused(NAME, &property, problem, mend));
        }
        ("PlainLoginModule" | "ScramLoginModule", Some(_)) => {}
        ("Krb5LoginModule", _) => {
            let mend = "set `sasl.kerberos.service.name`, `sasl.kerberos.principal` and `sasl.kerberos.keytab` instead";
            return Err(refused(NAME, &property, "librdkafka has no Krb5LoginModule", mend));
        }
        ("OAuthBearerLoginModule", _) => {
            return Err(refused(NAME, &property, "librdkafka has no OAuthBearerLoginModule", OAUTH));
        }
        _ => {
            let mend = "use PlainLoginModule or ScramLoginModule, or the `sasl.` properties of librdkafka";
            return Err(refused(NAME, &property, "the login module is not known", mend));
        }
    }
    for (option, name) in [("username", "sasl.username"), ("password", "sasl.password")] {
        match jaas.options.get(option) {
            Some(value) => offer(properties, name, value.clone(), &property.origin),
            None if properties.contains_key(name) => {}
            None => {
                let problem = format!("the login module has no `{option}`");
                return Err(refused(NAME, &property, &problem, &format!("add it, or set `{name}`")));
            }
        }
    }
    Ok(())
}

/// Whom to trust.
fn trust_store(properties: &mut Properties) -> Result<(), OptionsError> {
    const LOCATION: &str = "ssl.truststore.location";
    let kind = kind_of(properties.remove("ssl.truststore.type").as_ref());
    if let Some(password) = properties.remove("ssl.truststore.password") {
        let option = password.origin.option("ssl.truststore.password");
        info!("{option} is without effect: certificates in PEM need none");
    }
    if let Some(pem) = properties.remove("ssl.truststore.certificates") {
        offer(properties, "ssl.ca.pem", pem.value, &pem.origin);
    }
    let Some(location) = properties.remove(LOCATION) else { return Ok(()) };
    if kind.as_deref() == Some("PEM") {
        offer(properties, "ssl.ca.location", location.value, &location.origin);
    } else if !is_said(properties, CA, &location) {
        let kind = kind.as_deref().unwrap_or("JKS (Java's default)");
        let problem = format!("librdkafka cannot read a trust store of type {kind}");
        let mend = "export the certificates as PEM (`keytool -exportcert -rfc`, `openssl pkcs12 -nokeys`) and set \
                    `ssl.ca.location` to that file";
        return Err(refused(LOCATION, &location, &problem, mend));
    }
    Ok(())
}

/// The client's own certificate and key.
fn key_store(properties: &mut Properties) -> Result<(), OptionsError> {
    const LOCATION: &str = "ssl.keystore.location";
    const PASSWORD: &str = "ssl.keystore.password";
    let kind = kind_of(properties.remove("ssl.keystore.type").as_ref());
    if let Some(pem) = properties.remove("ssl.keystore.certificate.chain") {
        offer(properties, "ssl.certificate.pem", pem.value, &pem.origin);
    }
    if let Some(pem) = properties.remove("ssl.keystore.key") {
        offer(properties, "ssl.key.pem", pem.value, &pem.origin);
    }
    let Some(location) = properties.get(LOCATION).cloned() else { return Ok(()) };
    let ends = |end: &str| location.value.to_lowercase().ends_with(end);
    match kind.as_deref() {
        Some("PKCS12") => return Ok(()),
        // librdkafka's own property of this name is without a type.
        None if [".p12", ".pfx", ".pkcs12"].into_iter().any(ends) => return Ok(()),
        Some("PEM") => {
            offer(properties, "ssl.certificate.location", location.value.clone(), &location.origin);
            offer(properties, "ssl.key.location", location.value, &location.origin);
        }
        _ if is_said(properties, CERTIFICATE, &location) => {}
        kind => {
            let problem = format!(
                "librdkafka cannot read a key store of type {}",
                kind.unwrap_or("JKS (Java's default)")
            );
            let mend = "convert it (`keytool -importkeystore -deststoretype PKCS12`) and set `ssl.keystore.type` to \
                        PKCS12, or set `ssl.certificate.location` and `ssl.key.location` to PEM files";
            return Err(refused(LOCATION, &location, &problem, mend));
        }
    }
    properties.remove(LOCATION);
    if let Some(password) = properties.remove(PASSWORD) {
        info!("{} is without effect: it belongs to no PEM file", password.origin.option(PASSWORD));
    }
    Ok(())
}

fn kind_of(property: Option<&Property>) -> Option<String> {
    property.map(|property| property.value.trim().to_uppercase()).filter(|kind| !kind.is_empty())
}
