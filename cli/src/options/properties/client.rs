//! What librdkafka itself says of properties, before anything is connected.

use backup_tracker_kafka::rdkafka::ClientConfig;
use backup_tracker_kafka::rdkafka::error::KafkaError;
use backup_tracker_kafka::rdkafka::types::RDKafkaConfRes;

use super::origin::{Origin, Properties, Property};
use crate::options::error::{OptionsError, OptionsErrorKind};

/// Parts of the names of properties whose values are not repeated.
const SECRET: [&str; 7] = ["password", "secret", "pem", "key", "jaas", "token", "oauth"];

pub(super) fn is_secret(name: &str) -> bool {
    SECRET.iter().any(|part| name.contains(part))
}

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
    config.create_native_config().map(drop).map_err(|cause| refusal(name, property, cause))
}

/// Why librdkafka does not take a property. Its own words may repeat the value.
fn refusal(name: &str, property: &Property, cause: KafkaError) -> OptionsError {
    let option = property.origin.option(name);
    let mend = "see librdkafka's CONFIGURATION.md for what it may be";
    match cause {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => OptionsError::invalid(
            option,
            "librdkafka knows no such property",
            "remove it, or look for the right name in librdkafka's CONFIGURATION.md",
        ),
        KafkaError::ClientConfig(_, why, ..) if !is_secret(name) => OptionsError::invalid(option, why, mend),
        _ => OptionsError::invalid(option, "librdkafka does not accept the value", mend),
    }
}

/// What librdkafka was built with: `ssl`, `sasl_scram` and the like.
pub(crate) fn features() -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafkas_words_are_passed_on_unless_they_may_hold_a_secret() {
        let said = |name: &str| {
            let property = Property { value: "hunter2".into(), origin: Origin::Option };
            let cause = KafkaError::ClientConfig(
                RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
                "cannot parse hunter2".into(),
                name.into(),
                "hunter2".into(),
            );
            refusal(name, &property, cause).to_string()
        };
        assert!(said("client.rack").contains("cannot parse hunter2"));
        for name in
            ["sasl.password", "ssl.key.pem", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config"]
        {
            assert!(said(name).starts_with(&format!("--kafka-property {name}: ")));
            assert!(!said(name).contains("hunter2"));
        }
    }
}
