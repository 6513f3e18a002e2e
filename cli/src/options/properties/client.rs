//! What librdkafka itself says of properties, before anything is connected.

use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::error::KafkaError;
use backup_tracker_kafka::rdkafka::types::RDKafkaConfRes;

use super::origin::{Origin, Properties, Property};
use crate::options::error::{OptionsError, OptionsErrorKind};

/// Parts of the names of properties whose values are not repeated.
const SECRET: [&str; 7] = ["password", "secret", "pem", "key", "jaas", "token", "oauth"];

/// Asks librdkafka about every name and value, and about what it was built with.
pub(super) fn check(properties: &Properties) -> Result<(), OptionsError> {
    // First, because without TLS librdkafka says of each of its properties that it is not supported, and not what to do.
    check_features(properties, &features())?;
    properties.iter().try_for_each(|(name, property)| check_one(name, property))
}

fn check_one(name: &str, property: &Property) -> Result<(), OptionsError> {
    let option = property.origin.option(name);
    if property.value.contains('\0') || name.contains('\0') {
        return Err(OptionsError::invalid(option, "it contains a zero byte", "remove that"));
    }
    let mut config = ClientConfig::new();
    config.set(name, &property.value);
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Err(OptionsError::new(
            OptionsErrorKind::Invalid,
            option,
            "librdkafka knows no such property",
            "remove it, or look for the right name in librdkafka's CONFIGURATION.md",
        )),
        Err(KafkaError::ClientConfig(_, why, ..)) if !SECRET.iter().any(|part| name.contains(part)) => {
            Err(OptionsError::invalid(option, why, "see librdkafka's CONFIGURATION.md for what it may be"))
        }
        Err(_secret) => Err(OptionsError::invalid(
            option,
            "librdkafka does not accept the value",
            "see librdkafka's CONFIGURATION.md for what it may be",
        )),
    }
}

/// What librdkafka was built with: `ssl`, `sasl_scram` and the like.
fn features() -> String {
    // A librdkafka that does not tell has none, which shows where one is needed.
    ClientConfig::new()
        .create_native_config()
        .and_then(|config| config.get("builtin.features"))
        .unwrap_or_default()
}

fn check_features(properties: &Properties, features: &str) -> Result<(), OptionsError> {
    let has = |feature: &str| features.split(',').any(|present| present.trim() == feature);
    let is = |property: &Property, word: &str| property.value.to_lowercase().contains(word);
    let lacking = |name: &str, property: &Property, what: &str, feature: &str| {
        let option = match (&property.origin, name) {
            (Origin::Option, "sasl.mechanism") => "--kafka-login-type".to_owned(),
            (origin, _) => origin.option(name).to_string(),
        };
        let problem = format!("this program was built without {what}");
        Err(OptionsError::new(
            OptionsErrorKind::Refused,
            option,
            problem,
            format!("build it with the Cargo feature `{feature}`"),
        ))
    };
    for (name, property) in properties {
        match name.as_str() {
            "sasl.mechanism" if is(property, "scram") && !has("sasl_scram") => {
                return lacking(name, property, "SCRAM", "ssl");
            }
            "sasl.mechanism" if is(property, "oauthbearer") && !has("sasl_oauthbearer") => {
                return lacking(name, property, "OAUTHBEARER", "ssl");
            }
            "sasl.mechanism" if is(property, "gssapi") && !has("sasl_gssapi") => {
                return lacking(name, property, "Kerberos", "gssapi");
            }
            "security.protocol" if is(property, "ssl") && !has("ssl") => {
                return lacking(name, property, "TLS for Kafka", "ssl");
            }
            _ if name.starts_with("ssl.") && !has("ssl") => {
                return lacking(name, property, "TLS for Kafka", "ssl");
            }
            _ => {}
        }
    }
    Ok(())
}
