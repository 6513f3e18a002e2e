//! Properties that a tracker sets itself, and those that an option stands for.

use super::origin::{Origin, Properties};
use crate::options::error::{OptionsError, OptionsErrorKind};

/// What a tracker relies on: the values that are its own, and what would break.
const OURS: [(&str, &[&str], &str); 5] = [
    ("acks", &["all", "-1"], "an announcement counts only once all in-sync replicas have it"),
    ("enable.idempotence", &["true", "t", "1"], "an announcement must not be written twice or out of order"),
    ("enable.auto.commit", &["false", "f", "0"], "the position moves only when the application is Ready"),
    (
        "enable.auto.offset.store",
        &["false", "f", "0"],
        "the position moves only when the application is Ready",
    ),
    ("enable.partition.eof", &["true", "t", "1"], "a tracker counts what remains with it"),
];

/// What an option stands for. A file may say it all the same, where the option is not given.
pub(super) const OPTIONS: [(&str, &str); 3] = [
    ("bootstrap.servers", "--bootstrap-server"),
    ("group.id", "--group"),
    ("auto.offset.reset", "--read-policy"),
];

/// Takes away what a tracker sets to the same value by itself.
pub(super) fn check(properties: &mut Properties) -> Result<(), OptionsError> {
    for (name, values, why) in OURS {
        let Some(property) = properties.remove(name) else { continue };
        if !values.contains(&&*property.value.trim().to_lowercase()) {
            return Err(OptionsError::new(
                OptionsErrorKind::Refused,
                property.origin.option(name),
                why,
                format!("remove it, or set it to `{}`", values[0]),
            ));
        }
    }
    for (name, option) in OPTIONS {
        if let Some(property) = properties.get(name)
            && matches!(property.origin, Origin::Option)
        {
            return Err(OptionsError::new(
                OptionsErrorKind::Refused,
                property.origin.option(name),
                "an option stands for it",
                format!("use {option}"),
            ));
        }
    }
    Ok(())
}
