//! User and password, and how they are shown to the broker.

use tracing::warn;

use super::origin::{Origin, Properties, Property};
use crate::options::error::OptionsError;
use crate::options::words::LoginType;

/// What the options say.
pub(super) struct Login<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    pub(super) kind: Option<LoginType>,
}

/// Adds what the options say, and what follows from it.
pub(super) fn apply(properties: &mut Properties, login: &Login<'_>) -> Result<(), OptionsError> {
    let mut set = |name: &str, value: &str| {
        properties.insert(name.to_owned(), Property { value: value.to_owned(), origin: Origin::Option });
    };
    if let Some(user) = login.user {
        set("sasl.username", user);
    }
    if let Some(password) = login.password {
        set("sasl.password", password);
    }
    if let Some(kind) = login.kind {
        set("sasl.mechanism", kind.as_str());
    }
    if login.user.is_some() || login.password.is_some() {
        if value(properties, "sasl.username").is_none() {
            return Err(OptionsError::missing(
                "--kafka-user",
                "there is a password and no user",
                "give --kafka-user or set KAFKA_USER",
            ));
        }
        if value(properties, "sasl.password").is_none() {
            return Err(OptionsError::missing(
                "--kafka-password",
                "there is a user and no password",
                "set KAFKA_PASSWORD or give --kafka-password-file",
            ));
        }
        properties.entry("sasl.mechanism".to_owned()).or_insert_with(|| Property {
            value: LoginType::Plain.as_str().to_owned(),
            origin: Origin::Option,
        });
        sign_in(properties);
    } else if login.kind.is_some() && value(properties, "sasl.username").is_none() {
        return Err(OptionsError::missing(
            "--kafka-login-type",
            "there is no user to sign in",
            "give --kafka-user and a password, too",
        ));
    }
    warn_of_plain_text(properties);
    Ok(())
}

/// Makes the protocol one that signs in. As in Java's command line, PLAIN alone does not make it TLS; SCRAM does, and so does any
/// property about TLS.
fn sign_in(properties: &mut Properties) {
    let tls = match value(properties, "security.protocol").map(str::to_lowercase).as_deref() {
        Some("plaintext") => false,
        Some("ssl") => true,
        Some(_) => return,
        None => {
            value(properties, "sasl.mechanism")
                .is_some_and(|mechanism| mechanism.to_uppercase().starts_with("SCRAM"))
                || properties.keys().any(|name| name.starts_with("ssl."))
        }
    };
    let protocol = if tls { "sasl_ssl" } else { "sasl_plaintext" };
    properties.insert(
        "security.protocol".to_owned(),
        Property { value: protocol.to_owned(), origin: Origin::Option },
    );
}

fn warn_of_plain_text(properties: &Properties) {
    let is = |name, word| value(properties, name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    if is("security.protocol", "sasl_plaintext") && is("sasl.mechanism", "PLAIN") {
        warn!(
            "the password goes to Kafka unencrypted; `--kafka-property security.protocol=SASL_SSL` makes it TLS, where the \
             broker offers that"
        );
    }
}

fn value<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    properties.get(name).map(|property| &*property.value).filter(|value| !value.is_empty())
}
